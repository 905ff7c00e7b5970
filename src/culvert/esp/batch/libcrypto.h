/* libcrypto, found at run time and called by pointer. */

typedef struct { u64 words[MAC_STATE]; } plain;

typedef struct hash {
    const char *name, *init_name, *update_name, *final_name;
    u32 digest, block;
    /* The plain functions copy a keyed state with memcpy; EVP's copy allocates, at 0.4 us. They
     * are deprecated since libcrypto 3.0, so where one is gone EVP does the work (init is NULL). */
    int (*init)(plain *), (*update)(plain *, const void *, size_t), (*final)(u8 *, plain *);
} hash;

static hash hashes[] = {
    {"md5", "MD5_Init", "MD5_Update", "MD5_Final", 16, 64, 0, 0, 0},
    {"sha1", "SHA1_Init", "SHA1_Update", "SHA1_Final", 20, 64, 0, 0, 0},
    {"sha256", "SHA256_Init", "SHA256_Update", "SHA256_Final", 32, 64, 0, 0, 0},
    {"sha384", "SHA384_Init", "SHA384_Update", "SHA384_Final", 48, 128, 0, 0, 0},
    {"sha512", "SHA512_Init", "SHA512_Update", "SHA512_Final", 64, 128, 0, 0, 0},
};
enum { HASHES = sizeof hashes / sizeof hashes[0] };

static struct {
    void *(*cipher_new)(void);
    void (*cipher_free)(void *);
    const void *(*cipher_by_name)(const char *);
    int (*cipher_init)(void *, const void *, void *, const u8 *, const u8 *, int);
    int (*cipher_update)(void *, u8 *, int *, const u8 *, int);
    int (*cipher_final)(void *, u8 *, int *);
    int (*cipher_control)(void *, int, int, void *);
    int (*cipher_padding)(void *, int);
    void *(*digest_new)(void);
    void (*digest_free)(void *);
    const void *(*digest_by_name)(const char *);
    int (*digest_init)(void *, const void *, void *);
    int (*digest_update)(void *, const void *, size_t);
    int (*digest_final)(void *, u8 *, u32 *);
    int (*digest_copy)(void *, const void *);
    int ways;                       /* that may serve and can */
} lib;

API u32 batch_version(void) { return VERSION; }

/* 0: usable. -1: no such library, -2: it lacks something. `ways`: PLAIN_HASHES, OWN_AES, OWN_WIDE. Before
 * anything else. */
API int batch_library(const char *path, int ways)
{
    void *found = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!found) return -1;
    struct { void **to; const char *name; } wanted[] = {
        {(void **)&lib.cipher_new, "EVP_CIPHER_CTX_new"},
        {(void **)&lib.cipher_free, "EVP_CIPHER_CTX_free"},
        {(void **)&lib.cipher_by_name, "EVP_get_cipherbyname"},
        {(void **)&lib.cipher_init, "EVP_CipherInit_ex"},
        {(void **)&lib.cipher_update, "EVP_CipherUpdate"},
        {(void **)&lib.cipher_final, "EVP_CipherFinal_ex"},
        {(void **)&lib.cipher_control, "EVP_CIPHER_CTX_ctrl"},
        {(void **)&lib.cipher_padding, "EVP_CIPHER_CTX_set_padding"},
        {(void **)&lib.digest_new, "EVP_MD_CTX_new"},
        {(void **)&lib.digest_free, "EVP_MD_CTX_free"},
        {(void **)&lib.digest_by_name, "EVP_get_digestbyname"},
        {(void **)&lib.digest_init, "EVP_DigestInit_ex"},
        {(void **)&lib.digest_update, "EVP_DigestUpdate"},
        {(void **)&lib.digest_final, "EVP_DigestFinal_ex"},
        {(void **)&lib.digest_copy, "EVP_MD_CTX_copy_ex"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!(*wanted[i].to = dlsym(found, wanted[i].name))) return -2;
    for (hash *h = hashes; h < hashes + HASHES; h++) {
        *(void **)&h->init = ways & PLAIN_HASHES ? dlsym(found, h->init_name) : NULL;
        *(void **)&h->update = dlsym(found, h->update_name);
        *(void **)&h->final = dlsym(found, h->final_name);
        if (!h->update || !h->final) h->init = NULL;
    }
    lib.ways = ways;
    if (!aes_able()) lib.ways &= ~OWN_AES;
    if (!wide_able()) lib.ways &= ~OWN_WIDE;
    return 0;
}

static bool own_aes(void) { return lib.ways & OWN_AES; }
static bool own_wide(void) { return lib.ways & OWN_WIDE; }

/* What serves beside libcrypto: 0 nothing, 1 AES-NI, 2 AVX-512 too. */
API int batch_own(void) { return own_wide() ? 2 : own_aes(); }
