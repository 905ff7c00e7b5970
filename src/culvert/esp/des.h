/* 3DES in CBC (RFC 2451), many blocks at a time; see des.c. */
#ifndef CULVERT_DES_H
#define CULVERT_DES_H
#include <stdint.h>

enum {
    DES_LANES = 128, /* blocks (decrypting) or packets (encrypting) at work at a time */
    DES_WORTH = 16,  /* fewer lanes in use: one block after another is faster (libcrypto) */
};

typedef struct des3 des3;

/* NULL: no memory. */
des3 *des3_new(const uint8_t key[24], int encrypts);
void des3_free(des3 *k);

/* `octets`: an IV and `blocks` blocks behind it, decrypted in place; the IV stays. */
void des3_decrypt(const des3 *k, uint8_t *octets, uint32_t blocks);

/* Every packet is a CBC stream of its own, in place; all begin with the same `chain`. */
void des3_encrypt(const des3 *k, const uint8_t chain[8], uint8_t *const packets[],
                  const uint32_t blocks[], uint32_t count);
#endif
