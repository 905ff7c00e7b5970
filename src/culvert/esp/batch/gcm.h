/* AES-GCM (NIST SP 800-38D) with AVX-512, VAES and VPCLMULQDQ, sixteen blocks at a time.
 *
 * For processors that have them all: libcrypto before 3.1 has no such code, and any libcrypto sets
 * a packet up through three calls. Elsewhere libcrypto does the work.
 * Nothing here depends on secrets: no tables, no branches, no addresses.
 *
 * GHASH is computed as POLYVAL of reversed octets (RFC 8452 appendix A): products need no bit
 * reversal, and sixteen of them are reduced together. */

#ifdef X86

enum { GROUP = 16, POWERS = GROUP + 8, ZEROTH = GROUP + 4 };

typedef struct gcm {
    __m128i power[POWERS];          /* H^18 .. H^1 at [ZEROTH - exponent], zeros around them */
    aes cipher;
} gcm;

typedef struct product { __m512i low, middle, high; } product;

WIDE_INLINE __m128i reversed(__m128i v)
{
    return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

WIDE_INLINE void add_product(product *to, __m512i a, __m512i b)
{
    to->low = _mm512_xor_si512(to->low, _mm512_clmulepi64_epi128(a, b, 0x00));
    to->high = _mm512_xor_si512(to->high, _mm512_clmulepi64_epi128(a, b, 0x11));
    to->middle = _mm512_ternarylogic_epi64(to->middle, _mm512_clmulepi64_epi128(a, b, 0x01),
                                           _mm512_clmulepi64_epi128(a, b, 0x10), 0x96);
}

WIDE_INLINE __m128i folded(__m512i v)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* The sum of products times x^-128, modulo POLYVAL's polynomial. */
WIDE_INLINE __m128i reduced(const product *of)
{
    const __m128i fold = _mm_set1_epi64x((long long)0xc200000000000000ull);
    __m128i middle = folded(of->middle);
    __m128i low = _mm_xor_si128(folded(of->low), _mm_slli_si128(middle, 8));
    __m128i high = _mm_xor_si128(folded(of->high), _mm_srli_si128(middle, 8));
    __m128i turn = _mm_xor_si128(low, _mm_shuffle_epi32(_mm_clmulepi64_si128(low, fold, 0x00), 0x4e));
    return _mm_ternarylogic_epi64(high, turn, _mm_clmulepi64_si128(turn, fold, 0x11), 0x96);
}

WIDE_INLINE __m512i alone(__m128i v) { return _mm512_zextsi128_si512(v); }

/* Only where wide_able. NULL: no memory, or no key of AES. */
WIDE static gcm *gcm_new(const u8 *key, u32 size)
{
    if (size != 16 && size != 24 && size != 32) return NULL;
    gcm *g = aligned_alloc(64, (sizeof *g + 63) / 64 * 64);
    if (!g) return NULL;
    memset(g, 0, sizeof *g);
    aes_key(&g->cipher, key, size);
    u64 h[2], carry;
    _mm_storeu_si128((__m128i *)h, reversed(aes_block(&g->cipher, _mm_setzero_si128())));
    carry = h[1] >> 63;             /* times x */
    h[1] = (h[1] << 1 | h[0] >> 63) ^ ((0 - carry) & 0xc200000000000000ull);
    h[0] = h[0] << 1 ^ carry;
    __m128i power = _mm_loadu_si128((__m128i *)h), first = power;
    for (u32 exponent = 1; exponent <= GROUP + 2; exponent++) {
        g->power[ZEROTH - exponent] = power;
        product next = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
        add_product(&next, alone(power), alone(first));
        power = reduced(&next);
    }
    explicit_bzero(h, sizeof h);
    return g;
}

/* Sixteen blocks of key stream, the first for the counter in `at`'s lowest lane. */
WIDE_INLINE void key_stream(const aes *a, __m512i at, __m512i out[4])
{
    const __m512i turn = _mm512_broadcast_i32x4(
        _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi32(4, 0, 0, 0));
    __m512i key = _mm512_broadcast_i32x4(a->round[0]);
    for (int j = 0; j < 4; j++, at = _mm512_add_epi32(at, four))
        out[j] = _mm512_xor_si512(_mm512_shuffle_epi8(at, turn), key);
    for (u32 r = 1; r < a->rounds; r++) {
        key = _mm512_broadcast_i32x4(a->round[r]);
        for (int j = 0; j < 4; j++) out[j] = _mm512_aesenc_epi128(out[j], key);
    }
    key = _mm512_broadcast_i32x4(a->round[a->rounds]);
    for (int j = 0; j < 4; j++) out[j] = _mm512_aesenclast_epi128(out[j], key);
}

/* In place; the tag of what is encrypted, with the 8 octets at `head` authenticated besides. */
WIDE_INLINE void gcm_run(const gcm *g, const u8 nonce[12], const u8 *head, u8 *octets, u32 size,
                         u8 tag[16], bool sealing)
{
    const __m512i reverse = _mm512_broadcast_i32x4(
        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i sixteen = _mm512_broadcast_i32x4(_mm_set_epi32(16, 0, 0, 0));
    const __m512i nothing = _mm512_setzero_si512();
    u32 parts[4] = {0, 0, 0, 1};
    memcpy(parts, nonce, 12);
    __m128i first = _mm_loadu_si128((__m128i *)parts);
    __m512i counter = _mm512_add_epi32(
        _mm512_broadcast_i32x4(first),
        _mm512_set_epi32(4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0));
    __m512i hashed = nothing, stream[4];
    u32 left = size, blocks = size % (16 * GROUP) / 16 + (size % 16 != 0);
    product sum = {nothing, nothing, nothing};
    u32 of_head = size >= 16 * GROUP ? GROUP + 1 : blocks + 2;
    add_product(&sum, alone(reversed(_mm_loadl_epi64((const __m128i *)head))),
                alone(g->power[ZEROTH - of_head]));
    for (; left >= 16 * GROUP; left -= 16 * GROUP, octets += 16 * GROUP) {
        key_stream(&g->cipher, counter, stream);
        counter = _mm512_add_epi32(counter, sixteen);
        for (int j = 0; j < 4; j++) {
            __m512i before = _mm512_loadu_si512(octets + 64 * j);
            __m512i after = _mm512_xor_si512(before, stream[j]);
            _mm512_storeu_si512(octets + 64 * j, after);
            __m512i block = _mm512_shuffle_epi8(sealing ? after : before, reverse);
            if (!j) block = _mm512_xor_si512(block, hashed);
            add_product(&sum, block, _mm512_load_si512(g->power + ZEROTH - GROUP + 4 * j));
        }
        hashed = alone(reduced(&sum));
        sum = (product){nothing, nothing, nothing};
    }
    if (size < 16 * GROUP) hashed = nothing;
    if (left) key_stream(&g->cipher, counter, stream);
    for (u32 j = 0; 64 * j < left; j++) {
        u32 rest = left - 64 * j;
        __mmask64 mask = rest < 64 ? ~(u64)0 >> (64 - rest) : ~(u64)0;
        __m512i before = _mm512_maskz_loadu_epi8(mask, octets + 64 * j);
        __m512i after = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(before, stream[j]));
        _mm512_mask_storeu_epi8(octets + 64 * j, mask, after);
        __m512i block = _mm512_shuffle_epi8(sealing ? after : before, reverse);
        add_product(&sum, _mm512_xor_si512(block, hashed),
                    _mm512_loadu_si512(g->power + ZEROTH - (blocks + 1) + 4 * j));
        hashed = nothing;
    }
    __m512i lengths = alone(_mm_set_epi64x(8 * HEADER, 8 * (long long)size));
    add_product(&sum, _mm512_xor_si512(lengths, hashed), alone(g->power[ZEROTH - 1]));
    parts[3] = htonl(1);
    __m128i mask = aes_block(&g->cipher, _mm_loadu_si128((__m128i *)parts));
    _mm_storeu_si128((__m128i *)tag, _mm_xor_si128(reversed(reduced(&sum)), mask));
}

WIDE static void gcm_seal(const gcm *g, const u8 nonce[12], const u8 *head, u8 *octets, u32 size,
                          u8 tag[16])
{
    gcm_run(g, nonce, head, octets, size, tag, true);
}

WIDE static bool gcm_open(const gcm *g, const u8 nonce[12], const u8 *head, u8 *octets, u32 size,
                          const u8 tag[16])
{
    u64 made[2], came[2];
    gcm_run(g, nonce, head, octets, size, (u8 *)made, false);
    memcpy(came, tag, 16);
    return !((made[0] ^ came[0]) | (made[1] ^ came[1]));
}

#else

typedef struct gcm { u8 none; } gcm;

static gcm *gcm_new(const u8 *key, u32 size) { (void)key; (void)size; return NULL; }

static void gcm_seal(const gcm *g, const u8 nonce[12], const u8 *head, u8 *octets, u32 size,
                     u8 tag[16])
{
    (void)g; (void)nonce; (void)head; (void)octets; (void)size; (void)tag;
}

static bool gcm_open(const gcm *g, const u8 nonce[12], const u8 *head, u8 *octets, u32 size,
                     const u8 tag[16])
{
    (void)g; (void)nonce; (void)head; (void)octets; (void)size; (void)tag;
    return false;
}

#endif

static void gcm_free(gcm *g)
{
    if (g) explicit_bzero(g, sizeof *g);
    free(g);
}
