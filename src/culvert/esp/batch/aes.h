/* AES by the processor's instructions: the key schedule, a block, CBC of eight packets at a time.
 *
 * CBC encrypts a block only after the one before, so one packet keeps a processor waiting for itself:
 * 1.2 Gbyte/s. Packets know nothing of each other, so eight go through side by side. Nothing here
 * depends on secrets: no tables, no branches, no addresses. */

#if defined(__x86_64__) && (__GNUC__ >= 11 || __clang_major__ >= 14)
#define X86
#include <immintrin.h>
#define AES_NI __attribute__((target("aes,sse4.1")))
#define WIDE __attribute__((target("aes,pclmul,sse4.1,avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq")))
#define WIDE_INLINE WIDE __attribute__((always_inline)) static inline

enum { ROUNDS = 14 };

typedef struct aes { __m128i round[ROUNDS + 1]; u32 rounds; } aes;

static bool aes_able(void) { return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1"); }

static bool wide_able(void)
{
    return aes_able() && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("vaes") &&
           __builtin_cpu_supports("vpclmulqdq");
}

AES_NI static u32 substituted(u32 word)
{
    return (u32)_mm_cvtsi128_si32(_mm_aeskeygenassist_si128(_mm_set1_epi32((int)word), 0));
}

/* FIPS 197 §5.2, words with their first octet lowest. */
AES_NI static void aes_key(aes *a, const u8 *key, u32 size)
{
    u32 words[4 * (ROUNDS + 1)], of_key = size / 4, constant = 1;
    a->rounds = of_key + 6;
    memcpy(words, key, size);
    for (u32 i = of_key; i < 4 * (a->rounds + 1); i++) {
        u32 word = words[i - 1];
        if (i % of_key == 0) {
            word = substituted(word >> 8 | word << 24) ^ constant;
            constant = constant << 1 ^ (constant >> 7) * 0x11b;
        } else if (of_key > 6 && i % of_key == 4) word = substituted(word);
        words[i] = words[i - of_key] ^ word;
    }
    memcpy(a->round, words, 16 * (a->rounds + 1));
    explicit_bzero(words, sizeof words);
}

AES_NI static inline __m128i aes_block(const aes *a, __m128i block)
{
    block = _mm_xor_si128(block, a->round[0]);
    for (u32 r = 1; r < a->rounds; r++) block = _mm_aesenc_si128(block, a->round[r]);
    return _mm_aesenclast_si128(block, a->round[a->rounds]);
}

AES_NI static void cbc_seal_one(const aes *a, const u8 chain[16], u8 *at, u32 blocks)
{
    __m128i state = _mm_loadu_si128((const __m128i *)chain);
    for (; blocks; blocks--, at += 16) {
        state = aes_block(a, _mm_xor_si128(state, _mm_loadu_si128((__m128i *)at)));
        _mm_storeu_si128((__m128i *)at, state);
    }
}

/* Up to eight packets of as many blocks each, in place, each beginning with `chain`. */
AES_NI static void cbc_seal(const aes *a, const u8 chain[16], u8 *const *packets, u32 count, u32 blocks)
{
    if (count == 1) { cbc_seal_one(a, chain, packets[0], blocks); return; }
    u8 spare[16] = {0}, *at[LANES];
    u32 step[LANES];
    __m128i state[LANES];
    for (u32 l = 0; l < LANES; l++) {
        at[l] = l < count ? packets[l] : spare;
        step[l] = l < count ? 16 : 0;
        state[l] = _mm_loadu_si128((const __m128i *)chain);
    }
    for (; blocks; blocks--) {
        __m128i key = a->round[0];
        for (u32 l = 0; l < LANES; l++)
            state[l] = _mm_xor_si128(_mm_xor_si128(state[l], key), _mm_loadu_si128((__m128i *)at[l]));
        for (u32 r = 1; r < a->rounds; r++) {
            key = a->round[r];
            for (u32 l = 0; l < LANES; l++) state[l] = _mm_aesenc_si128(state[l], key);
        }
        key = a->round[a->rounds];
        for (u32 l = 0; l < LANES; l++) {
            state[l] = _mm_aesenclast_si128(state[l], key);
            _mm_storeu_si128((__m128i *)at[l], state[l]);
            at[l] += step[l];
        }
    }
}

#else

#define WIDE

typedef struct aes { u8 none; } aes;

static bool aes_able(void) { return false; }
static bool wide_able(void) { return false; }
static void aes_key(aes *a, const u8 *key, u32 size) { (void)a; (void)key; (void)size; }

static void cbc_seal(const aes *a, const u8 chain[16], u8 *const *packets, u32 count, u32 blocks)
{
    (void)a; (void)chain; (void)packets; (void)count; (void)blocks;
}

#endif

/* NULL: no memory, or no key of AES. */
static aes *aes_new(const u8 *key, u32 size)
{
    if (size != 16 && size != 24 && size != 32) return NULL;
    aes *a = aligned_alloc(64, (sizeof *a + 63) / 64 * 64);
    if (a) aes_key(a, key, size);
    return a;
}

static void aes_free(aes *a)
{
    if (a) explicit_bzero(a, sizeof *a);
    free(a);
}
