/* HMAC with MD5, SHA-1 and SHA-256 (RFC 2104) of sixteen packets at a time, with AVX-512.
 *
 * Each lane of a vector is a word of another packet. All packets are of one length and one key. */

enum { KINDS = 3, WORDS = 8 };      /* kinds: the first of `hashes` */

typedef struct keyed { u32 inner[WORDS], outer[WORDS]; } keyed;

#ifdef X86

typedef __m512i vector;

#define PLUS _mm512_add_epi32
#define LEFT _mm512_rol_epi32
#define RIGHT _mm512_ror_epi32
#define ALL(word) _mm512_set1_epi32((int)(word))
#define EXCLUSIVE(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define CHOICE(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

static const struct { u32 words, start[WORDS]; bool little; } kinds[KINDS] = {
    {4, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, true},
    {5, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, false},
    {8, {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
         0x5be0cd19}, false},
};

/* RFC 1321 §3.4 */
WIDE static void md5_block(vector s[WORDS], vector w[16])
{
    static const u32 sines[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
    vector a = s[0], b = s[1], c = s[2], d = s[3];
#define STEP(f, at, turn) \
    do { \
        vector next = PLUS(f, PLUS(a, PLUS(w[(at) & 15], ALL(sines[t])))); \
        a = d; d = c; c = b; \
        b = PLUS(b, LEFT(next, turn)); \
        t++; \
    } while (0)
#define FOUR(f, at, step, first, second, third, fourth) \
    for (u32 i = 0; i < 4; i++) { \
        STEP(f, at + (4 * i) * step, first); \
        STEP(f, at + (4 * i + 1) * step, second); \
        STEP(f, at + (4 * i + 2) * step, third); \
        STEP(f, at + (4 * i + 3) * step, fourth); \
    }
    u32 t = 0;
#pragma GCC unroll 4
    FOUR(CHOICE(b, c, d), 0, 1, 7, 12, 17, 22)
#pragma GCC unroll 4
    FOUR(CHOICE(d, b, c), 1, 5, 5, 9, 14, 20)
#pragma GCC unroll 4
    FOUR(EXCLUSIVE(b, c, d), 5, 3, 4, 11, 16, 23)
#pragma GCC unroll 4
    FOUR(_mm512_ternarylogic_epi32(b, c, d, 0x39), 0, 7, 6, 10, 15, 21) /* c ^ (b | ~d) */
#undef FOUR
#undef STEP
    s[0] = PLUS(s[0], a); s[1] = PLUS(s[1], b); s[2] = PLUS(s[2], c); s[3] = PLUS(s[3], d);
}

/* FIPS 180-4 §6.1.2 */
WIDE static void sha1_block(vector s[WORDS], vector w[16])
{
    static const u32 constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    vector a = s[0], b = s[1], c = s[2], d = s[3], e = s[4];
#pragma GCC unroll 80
    for (u32 t = 0; t < 80; t++) {
        vector f = t < 20 ? CHOICE(b, c, d) : t < 40 || t >= 60 ? EXCLUSIVE(b, c, d) : MAJORITY(b, c, d);
        if (t >= 16)
            w[t & 15] = LEFT(_mm512_xor_si512(w[t & 15], EXCLUSIVE(w[(t + 2) & 15], w[(t + 8) & 15],
                                                                   w[(t + 13) & 15])), 1);
        vector next = PLUS(LEFT(a, 5), PLUS(f, PLUS(PLUS(e, w[t & 15]), ALL(constants[t / 20]))));
        e = d; d = c; c = LEFT(b, 30); b = a; a = next;
    }
    s[0] = PLUS(s[0], a); s[1] = PLUS(s[1], b); s[2] = PLUS(s[2], c); s[3] = PLUS(s[3], d);
    s[4] = PLUS(s[4], e);
}

/* FIPS 180-4 §6.2.2 */
WIDE static void sha256_block(vector s[WORDS], vector w[16])
{
    static const u32 constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    vector a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
#pragma GCC unroll 64
    for (u32 t = 0; t < 64; t++) {
        if (t >= 16) {
            vector two = w[(t + 14) & 15], fifteen = w[(t + 1) & 15];
            vector low = EXCLUSIVE(RIGHT(fifteen, 7), RIGHT(fifteen, 18), _mm512_srli_epi32(fifteen, 3));
            vector high = EXCLUSIVE(RIGHT(two, 17), RIGHT(two, 19), _mm512_srli_epi32(two, 10));
            w[t & 15] = PLUS(PLUS(w[t & 15], low), PLUS(w[(t + 9) & 15], high));
        }
        vector ready = PLUS(PLUS(h, w[t & 15]), ALL(constants[t]));
        vector first = PLUS(EXCLUSIVE(RIGHT(e, 6), RIGHT(e, 11), RIGHT(e, 25)),
                            PLUS(CHOICE(e, f, g), ready));
        vector second = PLUS(EXCLUSIVE(RIGHT(a, 2), RIGHT(a, 13), RIGHT(a, 22)), MAJORITY(a, b, c));
        h = g; g = f; f = e; e = PLUS(d, first); d = c; c = b; b = a; a = PLUS(first, second);
    }
    s[0] = PLUS(s[0], a); s[1] = PLUS(s[1], b); s[2] = PLUS(s[2], c); s[3] = PLUS(s[3], d);
    s[4] = PLUS(s[4], e); s[5] = PLUS(s[5], f); s[6] = PLUS(s[6], g); s[7] = PLUS(s[7], h);
}

WIDE_INLINE void hash_block(u32 kind, vector s[WORDS], vector w[16])
{
    if (kind == 0) md5_block(s, w);
    else if (kind == 1) sha1_block(s, w);
    else sha256_block(s, w);
}

/* Rows to columns: word t of sixteen blocks of 64 octets becomes w[t]. */
WIDE static void columns(const u8 *const at[16], u32 offset, vector w[16], bool little)
{
    const vector turn = _mm512_broadcast_i32x4(
        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    vector a[16], b[16];
    for (u32 l = 0; l < 16; l++) {
        a[l] = _mm512_loadu_si512(at[l] + offset);
        if (!little) a[l] = _mm512_shuffle_epi8(a[l], turn);
    }
    for (u32 l = 0; l < 16; l += 2) {
        b[l] = _mm512_unpacklo_epi32(a[l], a[l + 1]);
        b[l + 1] = _mm512_unpackhi_epi32(a[l], a[l + 1]);
    }
    for (u32 l = 0; l < 16; l += 4)
        for (u32 j = 0; j < 2; j++) {
            a[l + 2 * j] = _mm512_unpacklo_epi64(b[l + j], b[l + j + 2]);
            a[l + 2 * j + 1] = _mm512_unpackhi_epi64(b[l + j], b[l + j + 2]);
        }
    for (u32 j = 0; j < 4; j++) {   /* a[4 * i + j]: word j of each quarter, packets 4 * i … */
        vector p = _mm512_shuffle_i32x4(a[j], a[j + 4], 0x88), q = _mm512_shuffle_i32x4(a[j], a[j + 4], 0xdd);
        vector r = _mm512_shuffle_i32x4(a[j + 8], a[j + 12], 0x88);
        vector s = _mm512_shuffle_i32x4(a[j + 8], a[j + 12], 0xdd);
        w[j] = _mm512_shuffle_i32x4(p, r, 0x88);
        w[j + 8] = _mm512_shuffle_i32x4(p, r, 0xdd);
        w[j + 4] = _mm512_shuffle_i32x4(q, s, 0x88);
        w[j + 12] = _mm512_shuffle_i32x4(q, s, 0xdd);
    }
}

/* Hash both padded keys, a block each, once. */
WIDE static void keyed_by(keyed *k, u32 kind, const u8 in[64], const u8 out[64])
{
    const u8 *blocks[] = {in, out}, *rows[16];
    u32 *to[] = {k->inner, k->outer};
    for (u32 i = 0; i < 2; i++) {
        vector s[WORDS], w[16];
        for (u32 l = 0; l < 16; l++) rows[l] = blocks[i];
        for (u32 j = 0; j < WORDS; j++) s[j] = ALL(kinds[kind].start[j]);
        columns(rows, 0, w, kinds[kind].little);
        hash_block(kind, s, w);
        for (u32 j = 0; j < WORDS; j++) to[i][j] = (u32)_mm_cvtsi128_si32(_mm512_castsi512_si128(s[j]));
        explicit_bzero(s, sizeof s);
        explicit_bzero(w, sizeof w);
    }
}

/* The tags of up to sixteen messages of `size` octets. */
WIDE static void tags_of(const keyed *k, u32 kind, const u8 *const *messages, u32 count, u32 size,
                         u8 tags[ABREAST][64])
{
    u8 tails[16][128];
    const u8 *at[16];
    vector s[WORDS], w[16];
    bool little = kinds[kind].little;
    u32 words = kinds[kind].words, rest = size % 64, ends = rest + 9 <= 64 ? 64 : 128;
    u64 bits = 8 * (64 + (u64)size);
    for (u32 l = 0; l < 16; l++) at[l] = messages[l < count ? l : 0];
    for (u32 j = 0; j < WORDS; j++) s[j] = ALL(k->inner[j]);
    for (u32 done = 0; done + 64 <= size; done += 64) {
        columns(at, done, w, little);
        hash_block(kind, s, w);
    }
    for (u32 l = 0; l < 16; l++) {
        u8 *tail = tails[l];
        memcpy(tail, at[l] + size - rest, rest);
        memset(tail + rest, 0, ends - rest);
        tail[rest] = 0x80;
        for (u32 i = 0; i < 8; i++) tail[ends - 8 + i] = (u8)(bits >> (little ? 8 * i : 56 - 8 * i));
        at[l] = tail;
    }
    for (u32 done = 0; done < ends; done += 64) {
        columns(at, done, w, little);
        hash_block(kind, s, w);
    }
    for (u32 j = 0; j < 16; j++) w[j] = j < words ? s[j] : ALL(0);
    w[words] = ALL(little ? 0x80u : 0x80000000u);
    w[little ? 14 : 15] = ALL(8 * (64 + 4 * words));
    for (u32 j = 0; j < WORDS; j++) s[j] = ALL(k->outer[j]);
    hash_block(kind, s, w);
    for (u32 j = 0; j < words; j++) {
        u32 column[16];
        _mm512_storeu_si512(column, s[j]);
        for (u32 l = 0; l < 16; l++) {
            u32 word = little ? column[l] : htonl(column[l]);
            memcpy(tags[l] + 4 * j, &word, 4);
        }
    }
}

#else

static void keyed_by(keyed *k, u32 kind, const u8 in[64], const u8 out[64])
{
    (void)k; (void)kind; (void)in; (void)out;
}

static void tags_of(const keyed *k, u32 kind, const u8 *const *messages, u32 count, u32 size,
                    u8 tags[ABREAST][64])
{
    (void)k; (void)kind; (void)messages; (void)count; (void)size; (void)tags;
}

#endif
