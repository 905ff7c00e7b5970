/* 3DES, bit-sliced: a word holds one bit of 128 blocks, and the S-boxes are circuits of gates.
 *
 * Table look-ups wait for each other within a block; gates on 128 blocks do not, which makes this
 * several times as fast as one block after another. Decrypting CBC, the blocks of one packet are
 * independent; encrypting, the packets of a batch are (each a stream of its own). No access
 * depends on key or data, so nothing leaks through the cache either. FIPS 46-3's bit 1 is the
 * first; here bit 0. The initial and final permutations only rename words. */
#include "des.h"

#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* Bit b of block i lies in the first half for i < 64, of block 64 + i in the second. */
typedef u64 lane __attribute__((vector_size(16)));

#include "des_sboxes.h"

struct des3 { u64 masks[48][48]; }; /* per round and key bit: all ones or none */

static const u8 IP[64] = {
    57, 49, 41, 33, 25, 17, 9,  1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21,
    13, 5,  63, 55, 47, 39, 31, 23, 15, 7, 56, 48, 40, 32, 24, 16, 8, 0,  58, 50, 42, 34,
    26, 18, 10, 2,  60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6};
static const u8 PC1[56] = {
    56, 48, 40, 32, 24, 16, 8,  0,  57, 49, 41, 33, 25, 17, 9,  1,  58, 50, 42,
    34, 26, 18, 10, 2,  59, 51, 43, 35, 62, 54, 46, 38, 30, 22, 14, 6,  61, 53,
    45, 37, 29, 21, 13, 5,  60, 52, 44, 36, 28, 20, 12, 4,  27, 19, 11, 3};
static const u8 PC2[48] = {
    13, 16, 10, 23, 0,  4,  2,  27, 14, 5,  20, 9,  22, 18, 11, 3,  25, 7,  15, 6,  26, 19, 12, 1,
    40, 51, 30, 36, 46, 54, 29, 39, 50, 44, 32, 47, 43, 48, 38, 55, 33, 52, 45, 41, 49, 35, 28, 31};
static const u8 SHIFTS[16] = {1, 2, 4, 6, 8, 10, 12, 14, 15, 17, 19, 21, 23, 25, 27, 28};

static void schedule(u64 masks[16][48], const u8 key[8], int encrypts)
{
    for (int round = 0; round < 16; round++)
        for (int bit = 0; bit < 48; bit++) {
            int from = PC2[bit], half = from < 28 ? 0 : 28;
            int at = PC1[half + (from - half + SHIFTS[round]) % 28];
            masks[encrypts ? round : 15 - round][bit] = 0 - (u64)(key[at / 8] >> (7 - at % 8) & 1);
        }
}

des3 *des3_new(const u8 key[24], int encrypts)
{
    des3 *k = malloc(sizeof *k);
    if (!k) return NULL;
    for (int i = 0; i < 3; i++) /* EDE: the middle one runs the other way */
        schedule(k->masks + 16 * i, key + 8 * (encrypts ? i : 2 - i), i == 1 ? !encrypts : encrypts);
    return k;
}

void des3_free(des3 *k)
{
    if (k) explicit_bzero(k, sizeof *k);
    free(k);
}

/* ---- the cipher ----------------------------------------------------------------------------- */

#define KEYED(bit, at) (r[at] ^ (lane){k[bit], k[bit]})
#define BOX(n, at, w, x, y, z)                                                                    \
    box##n(KEYED(6 * (n - 1), (at + 31) % 32), KEYED(6 * (n - 1) + 1, at),                        \
           KEYED(6 * (n - 1) + 2, at + 1), KEYED(6 * (n - 1) + 3, at + 2),                        \
           KEYED(6 * (n - 1) + 4, at + 3), KEYED(6 * (n - 1) + 5, (at + 4) % 32), &l[w], &l[x],   \
           &l[y], &l[z])

/* l ^= P(S(E(r) ^ key)): the last four numbers are where P puts a box's outputs. */
static void round_of(lane *l, const lane *r, const u64 *k)
{
    BOX(1, 0, 8, 16, 22, 30);
    BOX(2, 4, 12, 27, 1, 17);
    BOX(3, 8, 23, 15, 29, 5);
    BOX(4, 12, 25, 19, 9, 0);
    BOX(5, 16, 7, 13, 24, 2);
    BOX(6, 20, 3, 28, 10, 18);
    BOX(7, 24, 31, 11, 21, 6);
    BOX(8, 28, 4, 26, 14, 20);
}

/* 64 x 64 bits, both halves at once: blocks become bits and back. */
static void transpose(lane a[64])
{
    u64 mask = 0xffffffff;
    for (int j = 32; j; j >>= 1, mask ^= mask << j)
        for (int i = 0; i < 64; i = ((i | j) + 1) & ~j) {
            lane t = (a[i] ^ (a[i | j] >> j)) & (lane){mask, mask};
            a[i] ^= t;
            a[i | j] ^= t << j;
        }
}

/* All 128 blocks, as they lie in memory: the first half of each word one block, then another. */
static void blocks_of(const des3 *k, u64 blocks[DES_LANES])
{
    lane bits[64], halves[2][32], *l = halves[0], *r = halves[1];
    for (int i = 0; i < 64; i++)
        bits[i] = (lane){__builtin_bswap64(blocks[i]), __builtin_bswap64(blocks[64 + i])};
    transpose(bits);
    for (int i = 0; i < 32; i++) {
        l[i] = bits[IP[i]];
        r[i] = bits[IP[32 + i]];
    }
    for (int round = 0; round < 48; round += 16) {
        for (int i = 0; i < 16; i += 2) {
            round_of(l, r, k->masks[round + i]);
            round_of(r, l, k->masks[round + i + 1]);
        }
        lane *swapped = l; /* the halves change places at the end of each DES */
        l = r;
        r = swapped;
    }
    for (int i = 0; i < 32; i++) {
        bits[IP[i]] = l[i];
        bits[IP[32 + i]] = r[i];
    }
    transpose(bits);
    for (int i = 0; i < 64; i++) {
        blocks[i] = __builtin_bswap64(bits[i][0]);
        blocks[64 + i] = __builtin_bswap64(bits[i][1]);
    }
}

/* ---- CBC ------------------------------------------------------------------------------------ */

void des3_decrypt(const des3 *k, u8 *octets, u32 blocks)
{
    u64 sealed[DES_LANES + 1], clear[DES_LANES];
    memcpy(sealed, octets, 8);
    for (u32 done = 0, some; done < blocks; done += some) {
        u8 *at = octets + 8 + 8 * (size_t)done;
        some = blocks - done < DES_LANES ? blocks - done : DES_LANES;
        memcpy(sealed + 1, at, 8 * some);
        memcpy(clear, at, 8 * some);
        memset(clear + some, 0, 8 * (DES_LANES - some));
        blocks_of(k, clear);
        for (u32 i = 0; i < some; i++) clear[i] ^= sealed[i];
        memcpy(at, clear, 8 * some);
        sealed[0] = sealed[some];
    }
}

void des3_encrypt(const des3 *k, const u8 chain[8], u8 *const packets[], const u32 blocks[],
                  u32 count)
{
    u64 state[DES_LANES];
    for (u32 first = 0; first < count; first += DES_LANES) {
        u32 some = count - first < DES_LANES ? count - first : DES_LANES, longest = 0;
        memset(state, 0, sizeof state);
        for (u32 i = 0; i < some; i++) {
            memcpy(state + i, chain, 8);
            if (blocks[first + i] > longest) longest = blocks[first + i];
        }
        for (u32 step = 0; step < longest; step++) {
            for (u32 i = 0; i < some; i++)
                if (step < blocks[first + i]) {
                    u64 clear;
                    memcpy(&clear, packets[first + i] + 8 * (size_t)step, 8);
                    state[i] ^= clear;
                }
            blocks_of(k, state);
            for (u32 i = 0; i < some; i++)
                if (step < blocks[first + i])
                    memcpy(packets[first + i] + 8 * (size_t)step, state + i, 8);
        }
    }
}
