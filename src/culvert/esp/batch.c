/* The compiled engine of the data path: ESP (RFC 4303) in UDP (RFC 3948), one call per batch.
 *
 *   datagrams -> SPI -> SA -> replay, ICV, decrypt, padding -> selectors -> MSS -> join -> TUN
 *   TUN -> split super-packets -> selectors -> SA -> MSS -> pad, encrypt, ICV -> trains -> UDP
 *
 * A plain shared object for ctypes: no Python.h, no OpenSSL header; libcrypto is found with dlopen.
 * What it does must equal culvert.datapath.python_engine octet for octet; the tests compare them.
 * It knows no IKE, no ICMP and no fragments: such packets go back to Python as records.
 *
 * Memory: every octet from outside lies in a buffer of `struct work` and is reached through a
 * length that was checked against that buffer; nothing is allocated per packet. A `work` belongs
 * to one caller at a time. Tables are changed under both locks, used under one of them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "des.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define API __attribute__((visibility("default")))

/* <linux/udp.h>, <linux/if_tun.h>, <linux/virtio_net.h>: constants of the kernel's interface */
enum { LEVEL_UDP = 17, OPTION_SEGMENT = 103, OPTION_GRO = 104 };
enum { NEEDS_CSUM = 1, GSO_TCP4 = 1, GSO_TCP6 = 4, GSO_UDP = 5, GSO_ECN = 0x80 };
enum { TCP = 6, UDP = 17, ESP = 50, FIN = 1, SYN = 2, PSH = 8, ACK = 16, CWR = 128 };

enum {
    VERSION = 4,              /* of the interface below; Python refuses another one */
    LARGEST = 65535,          /* octets of any IP packet or datagram */
    VNET = 10,                /* struct virtio_net_hdr */
    FRAME = VNET + LARGEST,
    HEADER = 8,               /* SPI and sequence number */
    AROUND = HEADER + 16 + 255 + 2 + 32, /* the most that ESP adds */
    WINDOW = 1024,            /* culvert.esp.replay.WINDOW */
    RING = 2 * WINDOW / 64,   /* words: old ones are cleared whole, so twice the window */
    TRAIN = 64,               /* datagrams per UDP_SEGMENT send (UDP_MAX_SEGMENTS of old kernels) */
    REFUSALS = 8,             /* trains refused in a row until none is tried any more */
    TRAIN_OCTETS = 65000,     /* all of them stay one datagram, with room for IPv6 */
    SEGMENTS = 1500,          /* of a super-packet: 64 KB at TCP's smallest MSS of 48 are 1365 */
    RECORDS = 2 * SEGMENTS,   /* per call */
    ARENA = 768 * 1024,       /* octets handed to Python per call */
    ROOM = 384 * 1024,        /* the most that one more super-packet or train needs of it */
    BASKET = 512 * 1024,      /* received octets that joined packets still point into */
    PIECES = 128,             /* TCP segments joined for one TUN write; of UDP a TRAIN */
    JOINED = 65000,           /* octets of a joined packet */
    SLICE = 256 * 1024,       /* octets moved per call: others wait for less than a millisecond */
    MAC_STATE = 32,           /* 64-bit words; SHA512_CTX, the largest, has 27 */
};

enum reason { R_SHORT, R_REPLAYED, R_NOT_AUTHENTIC, R_PADDING, R_NEXT_HEADER, R_DUMMY, R_NOT_IP,
              R_NOT_LEASED, R_OUT_OF_SCOPE, R_NO_SA, R_TOO_BIG, R_LOOP, R_EXHAUSTED,
              R_UNKNOWN_SPI, REASONS };
enum kind { K_INSIDE, K_SEALED, K_IKE, K_UNKNOWN, K_NEWEST, K_WORN, K_BIG, K_SPENT };
enum mode { M_GCM, M_CBC };

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u32 get32(const u8 *p) { u32 v; memcpy(&v, p, 4); return ntohl(v); }
static void put16(u8 *p, u32 v) { p[0] = (u8)(v >> 8); p[1] = (u8)v; }
static void put32(u8 *p, u32 v) { v = htonl(v); memcpy(p, &v, 4); }

/* ---- libcrypto, by pointer ------------------------------------------------------------------ */

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
} lib;

API u32 batch_version(void) { return VERSION; }

/* 0: usable. -1: no such library, -2: it lacks something. `plain_hashes` 0: EVP only. Once per
 * process, before anything else. */
API int batch_library(const char *path, int plain_hashes)
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
        *(void **)&h->init = plain_hashes ? dlsym(found, h->init_name) : NULL;
        *(void **)&h->update = dlsym(found, h->update_name);
        *(void **)&h->final = dlsym(found, h->final_name);
        if (!h->update || !h->final) h->init = NULL;
    }
    return 0;
}

/* ---- HMAC with both padded keys hashed once (RFC 2104) -------------------------------------- */

typedef struct mac {
    const hash *h;
    bool copies;                    /* the plain states serve, not EVP's */
    plain inner, outer;
    void *evp_inner, *evp_outer, *evp_work;
} mac;

static void mac_free(mac *m)
{
    if (m->evp_inner) lib.digest_free(m->evp_inner);
    if (m->evp_outer) lib.digest_free(m->evp_outer);
    if (m->evp_work) lib.digest_free(m->evp_work);
    memset(m, 0, sizeof *m);
}

static bool mac_key(mac *m, const hash *h, const u8 *key, u32 size)
{
    u8 in[128], out[128];
    if (size > h->block) return false;
    for (u32 i = 0; i < h->block; i++) {
        u8 octet = i < size ? key[i] : 0;
        in[i] = octet ^ 0x36;
        out[i] = octet ^ 0x5c;
    }
    m->h = h;
    m->copies = h->init;
    if (m->copies)
        return h->init(&m->inner) == 1 && h->update(&m->inner, in, h->block) == 1 &&
               h->init(&m->outer) == 1 && h->update(&m->outer, out, h->block) == 1;
    const void *md = lib.digest_by_name(h->name);
    m->evp_inner = lib.digest_new();
    m->evp_outer = lib.digest_new();
    m->evp_work = lib.digest_new();
    return md && m->evp_inner && m->evp_outer && m->evp_work &&
           lib.digest_init(m->evp_inner, md, NULL) == 1 &&
           lib.digest_update(m->evp_inner, in, h->block) == 1 &&
           lib.digest_init(m->evp_outer, md, NULL) == 1 &&
           lib.digest_update(m->evp_outer, out, h->block) == 1;
}

static bool mac_of(mac *m, const u8 *octets, u32 size, u8 out[64])
{
    u8 first[64];
    if (m->copies) {
        plain state = m->inner;
        m->h->update(&state, octets, size);
        m->h->final(first, &state);
        state = m->outer;
        m->h->update(&state, first, m->h->digest);
        return m->h->final(out, &state) == 1;
    }
    return lib.digest_copy(m->evp_work, m->evp_inner) == 1 &&
           lib.digest_update(m->evp_work, octets, size) == 1 &&
           lib.digest_final(m->evp_work, first, NULL) == 1 &&
           lib.digest_copy(m->evp_work, m->evp_outer) == 1 &&
           lib.digest_update(m->evp_work, first, m->h->digest) == 1 &&
           lib.digest_final(m->evp_work, out, NULL) == 1;
}

/* ---- sessions, pairs of SAs, tables --------------------------------------------------------- */

typedef struct prefix { u8 octets, length, value[16], mask[16]; } prefix;

typedef struct traffic {
    u64 octets_in, octets_out, packets_in, packets_out;
    double last_inbound;
    u64 dropped_in[REASONS], dropped_out[REASONS];
} traffic;

typedef struct peer {               /* where datagrams go, and from which of our addresses */
    u8 host_size, answer_size, host[16], answer[20]; /* answer: in_pktinfo or in6_pktinfo */
    u16 port, local_port;
} peer;

typedef struct session { traffic count; peer to; } session;

typedef struct half { void *cipher; mac icv; u8 salt[4]; des3 *des; } half; /* des: of 3DES alone */

typedef struct pair {
    u64 tag;
    session *of;
    struct pair *next;              /* in the SAD's bucket */
    u32 mode, iv, align, icv;
    u32 inner_mtu;
    half in, out;
    u8 spi_in[4], spi_out[4];
    u32 highest;                    /* inbound */
    u64 seen[RING];
    bool strayed;
    u32 admitted_size;              /* source and destination of the packet before, found good */
    u8 admitted[32];
    prefix *local, *remote;
    u32 locals, remotes;
    u32 sequence, last, worn_at;    /* outbound */
    u8 chain[8];                    /* 3DES: every packet's CBC begins with it */
    u64 volume, soft, hard;         /* octets: of the cipher, and of the agreed lifetime */
    struct wear { u64 octets; bool worn, spent; } sealed, opened;
} pair;

typedef struct progress {           /* how far the keys are used up, for the next process */
    u64 octets_out, octets_in;
    u32 sequence, highest;
    u64 seen[RING];
} progress;

typedef struct rule {               /* remote prefix -> pair, best first within a bucket */
    struct rule *next;
    prefix remote, local;
    u32 order;
    pair *to;
} rule;

typedef struct engine {
    pthread_mutex_t inbound, outbound;
    pair **sad;
    rule **spd;
    u32 sad_size, sad_used, spd_size, spd_used, order;
    u32 rules[2][129];              /* how many rules have a remote prefix of this length */
    u8 lengths[2][129];             /* those in use, longest first */
    u32 levels[2];
    u64 refused[REASONS];
} engine;

typedef struct order {
    u64 tag, volume, soft, hard;
    const char *cipher;
    const u8 *key_in, *key_out, *salt_in, *salt_out, *mac_in, *mac_out, *chain;
    const prefix *local, *remote;
    u32 spi_in, spi_out, inner_mtu, sealed, last, worn_at;
    u32 key_size, mac_size, iv, align, icv, locals, remotes;
    int hash;                       /* index of hashes, -1: the cipher has its own */
} order;

static u32 mix(u32 v) { v *= 2654435769u; return v ^ v >> 15; }

static u32 spi_bucket(const engine *e, const u8 *spi) { return mix(get32(spi)) & (e->sad_size - 1); }

static u32 spd_bucket(const engine *e, const u8 *value, u32 octets, u32 length)
{
    u32 h = octets << 8 | length;
    for (u32 i = 0; i < octets; i += 4) h = mix(h ^ get32(value + i));
    return h & (e->spd_size - 1);
}

static bool within(const u8 *address, const prefix *p)
{
    for (u32 i = 0; i < p->octets; i += 4) {
        u32 a, m, v;
        memcpy(&a, address + i, 4);
        memcpy(&m, p->mask + i, 4);
        memcpy(&v, p->value + i, 4);
        if ((a & m) != v) return false;
    }
    return true;
}

static bool held(const u8 *address, u32 octets, const prefix *set, u32 count)
{
    for (u32 i = 0; i < count; i++)
        if (set[i].octets == octets && within(address, set + i)) return true;
    return false;
}

API engine *batch_engine(void)
{
    engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->sad_size = e->spd_size = 64;
    e->sad = calloc(e->sad_size, sizeof *e->sad);
    e->spd = calloc(e->spd_size, sizeof *e->spd);
    if (!e->sad || !e->spd) { free(e->sad); free(e->spd); free(e); return NULL; }
    pthread_mutex_init(&e->inbound, NULL);
    pthread_mutex_init(&e->outbound, NULL);
    return e;
}

static void lock(engine *e) { pthread_mutex_lock(&e->inbound); pthread_mutex_lock(&e->outbound); }
static void unlock(engine *e) { pthread_mutex_unlock(&e->outbound); pthread_mutex_unlock(&e->inbound); }

API session *batch_session(void)
{
    session *s = calloc(1, sizeof *s);
    if (s) s->count.last_inbound = -__builtin_inf();
    return s;
}

/* Only once its pairs are removed. */
API void batch_session_free(engine *e, session *s) { lock(e); free(s); unlock(e); }

API void batch_move(engine *e, session *s, const peer *to) { lock(e); s->to = *to; unlock(e); }

API void batch_traffic(engine *e, const session *s, traffic *out)
{
    lock(e);
    *out = s->count;
    unlock(e);
}

API void batch_recount(engine *e, session *s, const traffic *before)
{
    lock(e);
    s->count = *before;
    unlock(e);
}

API void batch_refused(engine *e, u64 out[REASONS])
{
    lock(e);
    memcpy(out, e->refused, sizeof e->refused);
    unlock(e);
}

static void pair_free(pair *p)
{
    half *halves[] = {&p->in, &p->out};
    for (int i = 0; i < 2; i++) {
        if (halves[i]->cipher) lib.cipher_free(halves[i]->cipher);
        mac_free(&halves[i]->icv);
        des3_free(halves[i]->des);
    }
    free(p->local);
    free(p->remote);
    explicit_bzero(p, sizeof *p);
    free(p);
}

static bool half_key(half *h, const order *o, const u8 *key, const u8 *salt, const u8 *icv_key,
                     const u8 *chain, int enc)
{
    bool null = !strcmp(o->cipher, "null");   /* RFC 2410: an ICV and no cipher */
    const void *cipher = null ? NULL : lib.cipher_by_name(o->cipher);
    h->cipher = null ? NULL : lib.cipher_new();
    if (!null && (!cipher || !h->cipher)) return false;
    if (o->hash < 0) memcpy(h->salt, salt, 4);
    else if (o->hash >= HASHES || !mac_key(&h->icv, hashes + o->hash, icv_key, o->mac_size))
        return false;
    if (null) return o->hash >= 0;
    if (!strcmp(o->cipher, "des-ede3-cbc") && !(h->des = des3_new(key, enc))) return false;
    return lib.cipher_init(h->cipher, cipher, NULL, key, chain, enc) == 1 &&
           lib.cipher_padding(h->cipher, 0) == 1;
}

static prefix *copied(const prefix *from, u32 count)
{
    prefix *made = calloc(count ? count : 1, sizeof *made);
    if (made && count) memcpy(made, from, count * sizeof *made);
    return made;
}

static void sad_grow(engine *e)     /* without memory the chains just get longer */
{
    u32 size = e->sad_size * 2, old = e->sad_size;
    pair **wide = calloc(size, sizeof *wide), **narrow = e->sad;
    if (!wide) return;
    e->sad = wide;
    e->sad_size = size;
    for (u32 i = 0; i < old; i++)
        for (pair *p = narrow[i], *next; p; p = next) {
            next = p->next;
            pair **at = &e->sad[spi_bucket(e, p->spi_in)];
            p->next = *at;
            *at = p;
        }
    free(narrow);
}

/* NULL: no memory, or this libcrypto lacks the cipher. The SPI is not in use (Python looked). */
API pair *batch_install(engine *e, session *s, const order *o)
{
    static const u8 zeros[16];
    pair *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->tag = o->tag;
    p->of = s;
    p->mode = o->hash < 0 ? M_GCM : M_CBC;
    p->iv = o->iv;
    p->align = o->align;
    p->icv = o->icv;
    p->inner_mtu = o->inner_mtu;
    p->sequence = o->sealed;
    p->last = o->last;
    p->worn_at = o->worn_at;
    p->volume = o->volume;
    p->soft = o->soft;
    p->hard = o->hard;
    if (o->iv == sizeof p->chain && o->chain) memcpy(p->chain, o->chain, sizeof p->chain);
    p->seen[0] = 1;                 /* number 0 is never sent (RFC 4303 §2.2) */
    put32(p->spi_in, o->spi_in);
    put32(p->spi_out, o->spi_out);
    p->local = copied(o->local, p->locals = o->locals);
    p->remote = copied(o->remote, p->remotes = o->remotes);
    if (!p->local || !p->remote ||
        !half_key(&p->in, o, o->key_in, o->salt_in, o->mac_in, o->hash < 0 ? NULL : zeros, 0) ||
        !half_key(&p->out, o, o->key_out, o->salt_out, o->mac_out, o->chain, 1)) {
        pair_free(p);
        return NULL;
    }
    lock(e);
    if (e->sad_used++ >= e->sad_size) sad_grow(e);
    pair **at = &e->sad[spi_bucket(e, p->spi_in)];
    p->next = *at;
    *at = p;
    unlock(e);
    return p;
}

API void batch_progress(engine *e, const pair *p, progress *out)
{
    lock(e);
    out->octets_out = p->sealed.octets;
    out->octets_in = p->opened.octets;
    out->sequence = p->sequence;
    out->highest = p->highest;
    memcpy(out->seen, p->seen, sizeof out->seen);
    unlock(e);
}

API void batch_go_on(engine *e, pair *p, const progress *from)
{
    lock(e);
    p->sealed.octets = from->octets_out;
    p->opened.octets = from->octets_in;
    if (from->sequence > p->sequence) p->sequence = from->sequence;
    p->highest = from->highest;
    memcpy(p->seen, from->seen, sizeof p->seen);
    unlock(e);
}

API void batch_fit(engine *e, pair *p, u32 inner_mtu) { lock(e); p->inner_mtu = inner_mtu; unlock(e); }

static void levels_anew(engine *e, int six)
{
    e->levels[six] = 0;
    for (int length = six ? 128 : 32; length >= 0; length--)
        if (e->rules[six][length]) e->lengths[six][e->levels[six]++] = (u8)length;
}

static void spd_remove(engine *e, const pair *p)
{
    for (u32 i = 0; i < p->remotes; i++) {
        const prefix *far = p->remote + i;
        rule **at = &e->spd[spd_bucket(e, far->value, far->octets, far->length)];
        while (*at)
            if ((*at)->to == p) {
                rule *gone = *at;
                *at = gone->next;
                e->spd_used--;
                if (!--e->rules[gone->remote.octets == 16][gone->remote.length])
                    levels_anew(e, gone->remote.octets == 16);
                free(gone);
            } else at = &(*at)->next;
    }
}

static bool before(const rule *a, const rule *b) /* longest local prefix first, then the youngest */
{
    return a->local.length != b->local.length ? a->local.length > b->local.length
                                              : a->order > b->order;
}

static void spd_put(engine *e, rule *r)
{
    rule **at = &e->spd[spd_bucket(e, r->remote.value, r->remote.octets, r->remote.length)];
    while (*at && before(*at, r)) at = &(*at)->next;
    r->next = *at;
    *at = r;
}

static void spd_grow(engine *e)
{
    u32 size = e->spd_size * 2, old = e->spd_size;
    rule **wide = calloc(size, sizeof *wide), **narrow = e->spd;
    if (!wide) return;
    e->spd = wide;
    e->spd_size = size;
    for (u32 i = 0; i < old; i++)
        for (rule *r = narrow[i], *next; r; r = next) {
            next = r->next;
            spd_put(e, r);
        }
    free(narrow);
}

/* 0, or -1 without memory: then the pair carries nothing. */
API int batch_activate(engine *e, pair *p)
{
    int result = 0;
    lock(e);
    spd_remove(e, p);
    e->order++;
    for (u32 i = 0; i < p->remotes && !result; i++)
        for (u32 j = 0; j < p->locals; j++) {
            const prefix *far = p->remote + i, *near = p->local + j;
            if (far->octets != near->octets) continue;
            rule *r = calloc(1, sizeof *r);
            if (!r) { spd_remove(e, p); result = -1; break; }
            *r = (rule){NULL, *far, *near, e->order, p};
            if (e->spd_used++ >= e->spd_size) spd_grow(e);
            spd_put(e, r);
            if (!e->rules[far->octets == 16][far->length]++) levels_anew(e, far->octets == 16);
        }
    unlock(e);
    return result;
}

API void batch_remove(engine *e, pair *p)
{
    lock(e);
    spd_remove(e, p);
    for (pair **at = &e->sad[spi_bucket(e, p->spi_in)]; *at; at = &(*at)->next)
        if (*at == p) { *at = p->next; e->sad_used--; break; }
    unlock(e);
    pair_free(p);
}

/* Only once all pairs are removed. */
API void batch_engine_free(engine *e) { free(e->sad); free(e->spd); free(e); }

static pair *pair_of_spi(const engine *e, const u8 *spi)
{
    for (pair *p = e->sad[spi_bucket(e, spi)]; p; p = p->next)
        if (!memcmp(p->spi_in, spi, 4)) return p;
    return NULL;
}

static pair *pair_for(const engine *e, const u8 *source, const u8 *destination, u32 octets)
{
    for (u32 i = 0, six = octets == 16; i < e->levels[six]; i++) {
        u32 length = e->lengths[six][i];
        u8 value[16] = {0};
        memcpy(value, destination, (length + 7) / 8);
        if (length % 8) value[length / 8] &= (u8)(0xff00 >> length % 8);
        for (rule *r = e->spd[spd_bucket(e, value, octets, length)]; r; r = r->next)
            if (r->remote.octets == octets && r->remote.length == length &&
                !memcmp(r->remote.value, value, octets) && within(source, &r->local))
                return r->to;
    }
    return NULL;
}

/* ---- internet checksums (RFC 1071), sums in network byte order as they lie in memory --------- */

static u64 sum_of(const u8 *p, u32 n, u64 sum)
{
    u64 a = 0, b = 0;
    for (; n >= 16; p += 16, n -= 16) {
        u32 w[4];
        memcpy(w, p, 16);
        a += (u64)w[0] + w[1];
        b += (u64)w[2] + w[3];
    }
    sum += a + b;
    for (; n >= 2; p += 2, n -= 2) {
        u16 w;
        memcpy(&w, p, 2);
        sum += w;
    }
    if (n) {
        u16 w = 0;
        memcpy(&w, p, 1);
        sum += w;
    }
    return sum;
}

static u16 fold(u64 sum)
{
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

static u64 pseudo(const u8 *ip, bool six, u32 protocol, u32 size)
{
    u64 sum = six ? sum_of(ip + 8, 32, 0) : sum_of(ip + 12, 8, 0);
    return sum + htons((u16)protocol) + htons((u16)(size >> 16)) + htons((u16)size);
}

static void put_sum(u8 *at, u64 sum, bool never_zero)
{
    u16 c = (u16)~fold(sum);
    if (!c && never_zero) c = 0xffff; /* UDP: zero says "none" (RFC 768) */
    memcpy(at, &c, 2);
}

static void sum_ipv4(u8 *ip, u32 header)
{
    ip[10] = ip[11] = 0;
    put_sum(ip + 10, sum_of(ip, header, 0), false);
}

/* ---- inner packets -------------------------------------------------------------------------- */

/* The length its header tells, 0 if it is no whole packet (culvert.inet.packet.whole). */
static u32 whole(const u8 *p, u32 n)
{
    u32 total, least;
    if (n >= 20 && p[0] >> 4 == 4) {
        total = get16(p + 2);
        least = (p[0] & 15u) * 4;
        if (least < 20) least = 20;
    } else if (n >= 40 && p[0] >> 4 == 6) {
        total = 40u + get16(p + 4);
        least = 40;
    } else return 0;
    return least <= total && total <= n ? total : 0;
}

/* Lower the MSS of a SYN in a whole packet (culvert.inet.mss.clamp). */
static void clamp(u8 *p, u32 n, u32 mtu)
{
    u32 start, most;
    if (p[0] >> 4 == 4) {
        if (p[9] != TCP || get16(p + 6) & 0x1fff) return;
        start = (p[0] & 15u) * 4;
        most = mtu - 40;
    } else {
        if (p[6] != TCP) return;
        start = 40;
        most = mtu - 60;
    }
    if (n < start + 20 || !(p[start + 13] & SYN)) return;
    u32 end = start + (p[start + 12] >> 4) * 4u, at = start + 20;
    if (end > n) end = n;
    while (at + 4 <= end) {
        u8 kind = p[at], size = p[at + 1];
        if (kind == 2 && size == 4) break;
        if (kind == 0 || (kind != 1 && size < 2)) return;
        at += kind == 1 ? 1 : size;
    }
    if (at + 4 > end) return;
    u32 offered = get16(p + at + 2);
    if (offered <= most) return;
    put16(p + at + 2, most);
    /* RFC 1624 §3, eqn. 3; at an odd offset the octets lie in two words (RFC 1071 §2 B). */
    u32 was = offered, is = most;
    if ((at + 2 - start) % 2) {
        was = (was & 0xff) << 8 | was >> 8;
        is = (is & 0xff) << 8 | is >> 8;
    }
    u32 sum = (get16(p + start + 16) ^ 0xffffu) + (was ^ 0xffff) + is;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(p + start + 16, sum ^ 0xffff);
}

/* ---- scratch of one caller ------------------------------------------------------------------ */

typedef struct record {             /* something for Python; octets lie in the arena */
    u64 tag;                        /* of the pair, where there is one */
    u32 kind, at, size, index;      /* index: which datagram of the batch */
    u8 host_size, info_size, host[16], info[20]; /* where it came from; which address was called */
    u16 port;
} record;

typedef struct vnet { u8 flags, gso; u16 header, segment, start, offset; } vnet;

typedef struct work {
    u32 count, used, lost;          /* records, octets in the arena, records that had no room */
    u32 reads, packets;             /* of the last call: system calls, packets that went through */
    u64 full, refused, too_long, not_sent, trains_refused, tun_full, not_written, read_errors;
    int tun, udp4, udp6;            /* -1 where there is none */
    int blocked;                    /* the full socket that the train waits for, or -1 */
    bool direct;                    /* system calls, not records, carry packets away */
    bool frames;                    /* TUN packets carry a virtio header */
    bool joins_udp;                 /* and may be UDP super-packets (Linux 6.2) */
    bool trains;                    /* UDP takes trains (UDP_SEGMENT) */
    record records[RECORDS];
    u8 arena[ARENA];
    /* where the datagram at hand came from */
    record from;
    u16 local_port;
    int bare;                       /* the raw socket for ESP without UDP */
    int beside4, beside6;           /* of the port that carries ESP only */
    u16 beside;
    /* train: sealed datagrams of one peer */
    peer to;
    u64 train_tag;
    u32 octets, datagrams, segment;
    bool closed;
    u32 refusals;                   /* trains in a row */
    /* datagrams of the train whose 3DES is done together; all of one pair */
    pair *waiting_for;
    u32 waiting;
    u8 *unsealed[TRAIN];
    u32 blocks[TRAIN];
    u8 train[TRAIN_OCTETS + LARGEST + AROUND];
    /* frame read from the TUN */
    u8 frame[FRAME + 64];
    /* received datagrams */
    u32 basket_used;
    u8 basket[BASKET];
    /* joined segments: headers here, payloads in the basket */
    u64 run_tag;
    u32 run_length, run_header, run_l4, run_segment, run_pieces, run_next;
    bool run_closed, run_udp;
    u8 run_head[VNET + 128];
    struct iovec run[PIECES + 1];
} work;

/* `frames`: 0 bare packets, 1 with virtio headers, 2 also UDP super-packets. */
API work *batch_work(int frames)
{
    work *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->frames = frames;
    w->joins_udp = frames > 1;
    w->tun = w->udp4 = w->udp6 = w->bare = w->blocked = -1;
    return w;
}

API void batch_work_free(work *w) { explicit_bzero(w, sizeof *w); free(w); }

API void batch_direct(work *w, int tun, int udp4, int udp6, int bare, int frames, int trains)
{
    w->direct = true;
    w->frames = frames;
    w->joins_udp = frames > 1;
    w->tun = tun;
    w->udp4 = udp4;
    w->udp6 = udp6;
    w->bare = bare;
    w->trains = trains;
}

/* A port beside the NAT-T port, with its sockets (-1 where there is none). */
API void batch_beside(work *w, u32 port, int udp4, int udp6)
{
    w->beside = (u16)port;
    w->beside4 = udp4;
    w->beside6 = udp6;
}

static bool roomy(const work *w) { return RECORDS - w->count > SEGMENTS + 2 && ARENA - w->used > ROOM; }

static u8 *note(work *w, enum kind kind, u64 tag, const u8 *octets, u32 size)
{
    if (w->count >= RECORDS || size > ARENA - w->used) { w->lost++; return NULL; }
    record *r = &w->records[w->count++];
    *r = w->from;
    r->kind = kind;
    r->tag = tag;
    r->at = w->used;
    r->size = size;
    u8 *place = w->arena + w->used;
    if (octets) memcpy(place, octets, size);
    w->used += size;
    return place;
}

static void begin(work *w) { w->count = w->used = w->reads = w->packets = 0; memset(&w->from, 0, sizeof w->from); }

/* ---- to the TUN ----------------------------------------------------------------------------- */

static void write_frame(work *w, u64 tag, const struct iovec *parts, u32 count, u32 size)
{
    w->packets++;
    if (!w->direct) {
        u8 *place = note(w, K_INSIDE, tag, NULL, size);
        for (u32 i = 0; place && i < count; place += parts[i].iov_len, i++)
            memcpy(place, parts[i].iov_base, parts[i].iov_len);
    } else if (w->tun >= 0 && writev(w->tun, parts, (int)count) < 0) {
        if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) w->tun_full++;
        else w->not_written++;
    }
}

static void run_flush(work *w)      /* one TUN write for what was joined */
{
    if (!w->run_pieces) return;
    u8 *ip = w->run_head + VNET, *t = ip + w->run_l4;
    bool six = ip[0] >> 4 == 6, udp = w->run_udp;
    vnet h = {0, 0, 0, 0, 0, 0};
    if (w->run_pieces > 1) {
        u32 size = w->run_length - w->run_l4, offset = udp ? 6 : 16;
        if (six) put16(ip + 4, w->run_length - 40);
        else { put16(ip + 2, w->run_length); sum_ipv4(ip, w->run_l4); }
        if (udp) put16(t + 4, size);
        u16 c = fold(pseudo(ip, six, udp ? UDP : TCP, size));
        memcpy(t + offset, &c, 2);
        h = (vnet){NEEDS_CSUM, udp ? GSO_UDP : six ? GSO_TCP6 : GSO_TCP4, (u16)w->run_header,
                   (u16)w->run_segment, (u16)w->run_l4, (u16)offset};
    }
    memcpy(w->run_head, &h, VNET);
    w->run[0] = (struct iovec){w->run_head, VNET + w->run_header};
    write_frame(w, w->run_tag, w->run, w->run_pieces + 1, VNET + w->run_length);
    w->run_pieces = 0;
}

/* Whether `p`, a segment of `length` with headers up to `header`, goes on where the run ends. */
static bool continues(const work *w, const u8 *p, u32 length, u32 l4, u32 header, bool udp)
{
    const u8 *ip = w->run_head + VNET, *tcp = ip + l4, *t = p + l4;
    u32 payload = length - header;
    if (!w->run_pieces || w->run_closed || w->run_udp != udp || w->run_l4 != l4 ||
        w->run_header != header || (!udp && w->run_next != get32(t + 4)) ||
        payload > w->run_segment || w->run_pieces >= (udp ? TRAIN : PIECES) ||
        w->run_length + payload > JOINED)
        return false;
    if (ip[0] >> 4 == 6) {
        if (memcmp(ip, p, 4) || memcmp(ip + 6, p + 6, 34)) return false;
    } else {
        /* One identification for all or one more each: what cutting it again would give. */
        u16 id = get16(p + 4), steps = (u16)(id - get16(ip + 4));
        if (memcmp(ip, p, 2) || memcmp(ip + 6, p + 6, 4) || memcmp(ip + 12, p + 12, 8) ||
            (steps != w->run_pieces && !(p[6] & 0x40)))
            return false;
    }
    if (udp) return !memcmp(tcp, t, 4);
    return !memcmp(tcp, t, 4) && !memcmp(tcp + 8, t + 8, 5) && !memcmp(tcp + 14, t + 14, 2) &&
           !memcmp(tcp + 18, t + 18, header - l4 - 18);
}

/* A whole inner packet lying in the basket. Joined only if cutting it again gives the same. */
static void deliver(work *w, u64 tag, u8 *p, u32 n)
{
    static const u8 no_header[VNET];
    if (!w->frames) {
        struct iovec all = {p, n};
        write_frame(w, tag, &all, 1, n);
        return;
    }
    bool six = p[0] >> 4 == 6, udp = (six ? p[6] : p[9]) == UDP;
    u32 l4 = six ? 40 : 20, least = l4 + (udp ? 8 : 20), header = 0, protocol = udp ? UDP : TCP;
    u8 *t = p + l4;
    if ((six ? p[6] : p[9]) == protocol && (!udp || w->joins_udp) && n >= least &&
        (six || (p[0] == 0x45 && !(get16(p + 6) & 0xbfff))))
        header = udp ? least : l4 + (t[12] >> 4) * 4u;
    bool joins = header >= least && n > header &&
                 (udp ? get16(t + 4) == n - l4 && get16(t + 6) : (t[13] & ~PSH) == ACK) &&
                 fold(sum_of(t, n - l4, pseudo(p, six, protocol, n - l4))) == 0xffff;
    u32 payload = n - header;
    u8 push = joins && !udp ? t[13] & PSH : 0;
    if (joins && continues(w, p, n, l4, header, udp)) {
        w->run[++w->run_pieces] = (struct iovec){p + header, payload};
        if (push) w->run_head[VNET + l4 + 13] |= push;
        w->run_length += payload;
        w->run_next += payload;
        w->run_closed = payload < w->run_segment || push;
        return;
    }
    run_flush(w);
    if (!joins) {
        struct iovec parts[] = {{(void *)no_header, VNET}, {p, n}};
        write_frame(w, tag, parts, 2, VNET + n);
        return;
    }
    memcpy(w->run_head + VNET, p, header);
    w->run[w->run_pieces = 1] = (struct iovec){p + header, payload};
    w->run_tag = tag;
    w->run_length = n;
    w->run_header = header;
    w->run_l4 = l4;
    w->run_segment = payload;
    w->run_next = get32(t + 4) + payload;
    w->run_closed = push;
    w->run_udp = udp;
}

/* ---- inbound -------------------------------------------------------------------------------- */

static bool fresh(const pair *p, u32 q)
{
    if (q > p->highest) return true;
    return p->highest - q < WINDOW && !(p->seen[q / 64 % RING] >> q % 64 & 1);
}

static void advance(pair *p, u32 q)
{
    if (q > p->highest) {
        u32 from = p->highest / 64, to = q / 64;
        if (to - from > RING) from = to - RING;
        while (from < to) p->seen[++from % RING] = 0;
        p->highest = q;
    }
    p->seen[q / 64 % RING] |= (u64)1 << q % 64;
}

/* Check and decrypt in place: the clear text with its trailer begins at HEADER + iv. */
static bool authentic(pair *p, u8 *d, u32 n)
{
    u8 *body = d + HEADER + p->iv, tag[64];
    u32 size = n - HEADER - p->iv - p->icv;
    void *c = p->in.cipher;
    int done;
    if (p->mode == M_GCM) {
        u8 nonce[12];
        memcpy(nonce, p->in.salt, 4);
        memcpy(nonce + 4, d + HEADER, 8);
        return lib.cipher_init(c, NULL, NULL, NULL, nonce, -1) == 1 &&
               lib.cipher_update(c, NULL, &done, d, HEADER) == 1 &&
               lib.cipher_update(c, body, &done, body, (int)size) == 1 &&
               lib.cipher_control(c, 0x11 /* set tag */, 16, body + size) == 1 &&
               lib.cipher_final(c, tag, &done) == 1;
    }
    if (!mac_of(&p->in.icv, d, n - p->icv, tag)) return false;
    u8 differs = 0;
    for (u32 i = 0; i < p->icv; i++) differs |= tag[i] ^ body[size + i];
    if (differs) return false;
    if (!c) return true;
    if (p->in.des && size / 8 >= DES_WORTH) {
        des3_decrypt(p->in.des, d + HEADER, size / 8);
        return true;
    }
    /* What the IV decrypts to depends on the packet before and is not read. */
    return lib.cipher_update(c, d + HEADER, &done, d + HEADER, (int)(p->iv + size)) == 1;
}

/* Length of the inner packet at `b`, or 0 and why there is none. */
static u32 unpadded(const u8 *b, u32 size, enum reason *why)
{
    u32 padding = b[size - 2], next = b[size - 1];
    *why = R_DUMMY;
    if (next == 59) return 0;       /* no next header: traffic-flow padding */
    *why = R_PADDING;
    if (padding + 2 > size) return 0;
    u32 end = size - 2 - padding;
    for (u32 i = 0; i < padding; i++)
        if (b[end + i] != i + 1) return 0;
    *why = R_NEXT_HEADER;
    if (!end || !((next == 4 && b[0] >> 4 == 4) || (next == 41 && b[0] >> 4 == 6))) return 0;
    return end;
}

static bool admitted(pair *p, const u8 *inner, enum reason *why)
{
    u32 octets = inner[0] >> 4 == 4 ? 4 : 16;
    const u8 *ends = inner + (octets == 4 ? 12 : 8);
    if (p->admitted_size == 2 * octets && !memcmp(p->admitted, ends, 2 * octets)) return true;
    *why = R_NOT_LEASED;
    if (!held(ends, octets, p->remote, p->remotes)) return false;
    *why = R_OUT_OF_SCOPE;
    if (!held(ends + octets, octets, p->local, p->locals)) return false;
    memcpy(p->admitted, ends, 2 * octets);
    p->admitted_size = 2 * octets;
    return true;
}

/* An authentic packet newer than all before: does the peer have another address now (or called
 * another one of ours)? Python looks up what exactly; told once more when it came back. */
static void notice_move(work *w, pair *p)
{
    const peer *to = &p->of->to;
    const record *r = &w->from;
    bool strayed = !w->direct || r->port != to->port || w->local_port != to->local_port ||
                   r->host_size != to->host_size || memcmp(r->host, to->host, to->host_size) ||
                   r->info_size != to->answer_size ||
                   (r->info_size == 12 && memcmp(r->info + 4, to->answer + 4, 4)) ||
                   (r->info_size == 20 && memcmp(r->info, to->answer, 16));
    record *last = w->count ? &w->records[w->count - 1] : NULL;
    if (last && last->kind == K_NEWEST && last->tag == p->tag) w->count--; /* this one is newer */
    if (strayed || p->strayed) note(w, K_NEWEST, p->tag, NULL, 0);
    p->strayed = strayed;
}

/* Each half tells once that the pair wants a successor, and once that it must go. */
static void wears(work *w, pair *p, struct wear *half, bool worn)
{
    if (half->octets >= p->hard) {
        if (!half->spent) half->spent = half->worn = note(w, K_SPENT, p->tag, NULL, 0) != NULL;
    } else if (!half->worn && (worn || half->octets >= p->soft)) {
        half->worn = note(w, K_WORN, p->tag, NULL, 0) != NULL;
    }
}

static void open_one(work *w, pair *p, u8 *d, u32 n, double now)
{
    traffic *count = &p->of->count;
    u32 least = HEADER + p->iv + p->align + p->icv;
    if (n < least || (n - least) % p->align) { count->dropped_in[R_SHORT]++; return; }
    u32 sequence = get32(d + 4);
    if (!fresh(p, sequence)) { count->dropped_in[R_REPLAYED]++; return; }
    if (!authentic(p, d, n)) { count->dropped_in[R_NOT_AUTHENTIC]++; return; }
    bool newest = sequence > p->highest;
    advance(p, sequence);
    count->last_inbound = now;
    if (newest) notice_move(w, p);
    u8 *inner = d + HEADER + p->iv;
    p->opened.octets += n - HEADER - p->iv - p->icv;
    wears(w, p, &p->opened, false);
    enum reason why;
    u32 size = unpadded(inner, n - HEADER - p->iv - p->icv, &why);
    if (!size) { count->dropped_in[why]++; return; }
    if (!(size = whole(inner, size))) { count->dropped_in[R_NOT_IP]++; return; }
    if (!admitted(p, inner, &why)) { count->dropped_in[why]++; return; }
    count->packets_in++;
    count->octets_in += size;
    clamp(inner, size, p->inner_mtu);
    deliver(w, p->tag, inner, size);
}

/* One datagram in the basket; it stays there until the run it may have joined is written. */
static void datagram(engine *e, work *w, u8 *d, u32 n, double now)
{
    pair *p = n >= 4 ? pair_of_spi(e, d) : NULL;
    if (p) open_one(w, p, d, n, now);
    else if (n == 1 && d[0] == 0xff && w->local_port) return; /* keepalive (RFC 3948 §2.3) */
    else if (n < HEADER) e->refused[R_SHORT]++;
    else if (!get32(d) && w->local_port) note(w, K_IKE, 0, d + 4, n - 4);
    else { e->refused[R_UNKNOWN_SPI]++; note(w, K_UNKNOWN, 0, NULL, 0); }
}

static u8 *basket_room(work *w)     /* LARGEST octets, after what still waits in a run */
{
    if (BASKET - w->basket_used < LARGEST) { run_flush(w); w->basket_used = 0; }
    return w->basket + w->basket_used;
}

/* A batch in memory. How many datagrams were taken; call again for the rest. */
API u32 batch_inward(engine *e, work *w, const u8 *octets, const u32 *sizes, u32 count,
                     u32 local_port, double now)
{
    u32 i = 0;
    pthread_mutex_lock(&e->inbound);
    begin(w);
    w->local_port = (u16)local_port;
    for (; i < count && roomy(w); octets += sizes[i], i++) {
        u8 *d = basket_room(w);
        u32 n = sizes[i] < LARGEST ? sizes[i] : LARGEST;
        memcpy(d, octets, n);
        w->basket_used += n;
        w->from.index = i;
        datagram(e, w, d, n, now);
    }
    run_flush(w);
    w->basket_used = 0;
    pthread_mutex_unlock(&e->inbound);
    return i;
}

static void source(work *w, const struct sockaddr_storage *name)
{
    record *r = &w->from;
    memset(r, 0, sizeof *r);
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)name;
        r->host_size = 4;
        memcpy(r->host, &four->sin_addr, 4);
        r->port = ntohs(four->sin_port);
    } else {
        const struct sockaddr_in6 *six = (const void *)name;
        r->host_size = 16;
        memcpy(r->host, &six->sin6_addr, 16);
        r->port = ntohs(six->sin6_port);
    }
}

/* From a socket to the TUN: at most `budget` reads. Never waits. */
API void batch_pump_in(engine *e, work *w, int udp, u32 local_port, u32 budget, double now)
{
    u32 moved = 0;
    pthread_mutex_lock(&e->inbound);
    begin(w);
    w->local_port = (u16)local_port;
    while (w->reads < budget && moved < SLICE && roomy(w)) {
        union { char octets[128]; struct cmsghdr aligned; } control;
        struct sockaddr_storage name;
        u8 *d = basket_room(w);
        struct iovec all = {d, LARGEST};
        struct msghdr m = {&name, sizeof name, &all, 1, control.octets, sizeof control, 0};
        ssize_t got = recvmsg(udp, &m, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EBADF)) break;
        w->reads++;
        if (got < 0) { w->read_errors++; continue; }
        source(w, &name);
        u32 size = (u32)got, step = size;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            int segment;
            if (c->cmsg_level == LEVEL_UDP && c->cmsg_type == OPTION_GRO) {
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0) step = (u32)segment;
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                memcpy(w->from.info, CMSG_DATA(c), w->from.info_size = 12);
            else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                memcpy(w->from.info, CMSG_DATA(c), w->from.info_size = 20);
        }
        w->basket_used += size;
        moved += size;
        for (u32 at = 0; at < size; at += step)
            datagram(e, w, d + at, size - at < step ? size - at : step, now);
    }
    run_flush(w);
    w->basket_used = 0;
    pthread_mutex_unlock(&e->inbound);
}

/* ---- to the network ------------------------------------------------------------------------- */

/* The socket of the peer's IP version; the raw one for ESP without UDP, which has no ports. */
static int sender(const work *w)
{
    if (!w->to.local_port) return w->bare;
    if (w->to.local_port == w->beside) return w->to.host_size == 4 ? w->beside4 : w->beside6;
    return w->to.host_size == 4 ? w->udp4 : w->udp6;
}

/* True unless the socket is full. Errors are counted: what the network does not take is lost. */
static bool send_one(work *w, const u8 *octets, u32 size, u32 segment)
{
    union { char octets[CMSG_SPACE(20) + CMSG_SPACE(2)]; struct cmsghdr aligned; } control;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(w->to.port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(w->to.port)};
    struct iovec all = {(void *)octets, size};
    struct msghdr m = {&six, sizeof six, &all, 1, NULL, 0, 0};
    int udp = sender(w);
    memcpy(&six.sin6_addr, w->to.host, 16);
    memcpy(&four.sin_addr, w->to.host, 4);
    if (w->to.host_size == 4) { m.msg_name = &four; m.msg_namelen = sizeof four; }
    for (;;) {
        memset(&control, 0, sizeof control);
        m.msg_control = control.octets;
        m.msg_controllen = sizeof control;
        size_t used = 0;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (w->to.answer_size) {
            c->cmsg_level = w->to.answer_size == 12 ? IPPROTO_IP : IPPROTO_IPV6;
            c->cmsg_type = w->to.answer_size == 12 ? IP_PKTINFO : IPV6_PKTINFO;
            c->cmsg_len = CMSG_LEN(w->to.answer_size);
            memcpy(CMSG_DATA(c), w->to.answer, w->to.answer_size);
            used += CMSG_SPACE(w->to.answer_size);
            c = CMSG_NXTHDR(&m, c);
        }
        if (segment) {
            u16 s = (u16)segment;
            c->cmsg_level = LEVEL_UDP;
            c->cmsg_type = OPTION_SEGMENT;
            c->cmsg_len = CMSG_LEN(2);
            memcpy(CMSG_DATA(c), &s, 2);
            used += CMSG_SPACE(2);
        }
        m.msg_controllen = used;
        if (sendmsg(udp, &m, MSG_DONTWAIT) >= 0) return true;
        if (errno == EINTR) continue;
        if (!w->to.answer_size ||
            (errno != EADDRNOTAVAIL && errno != ENETUNREACH && errno != EINVAL))
            return errno == 0;
        w->to.answer_size = 0;      /* that address has left this machine: send from any */
    }
}

static void count_error(work *w)
{
    switch (errno) {
    case ENOBUFS: case ENOMEM: w->full++; break;
    case ECONNREFUSED: w->refused++; break;
    case EMSGSIZE: w->too_long++; break;
    default: w->not_sent++;
    }
}

static bool blocked(work *w)
{
    w->blocked = sender(w);
    return false;
}

/* Encrypt (3DES) and authenticate what waits in the train. */
static void seal_waiting(work *w)
{
    pair *p = w->waiting_for;
    u32 count = w->waiting;
    int done;
    w->waiting = 0;
    if (count >= DES_WORTH) des3_encrypt(p->out.des, p->chain, w->unsealed, w->blocks, count);
    for (u32 i = 0; i < count; i++) {
        u8 *iv = w->unsealed[i], tag[64];
        u32 size = w->blocks[i] * 8;
        bool good = count >= DES_WORTH ||
                    (lib.cipher_init(p->out.cipher, NULL, NULL, NULL, p->chain, -1) == 1 &&
                     lib.cipher_update(p->out.cipher, iv, &done, iv, (int)size) == 1);
        good = good && mac_of(&p->out.icv, iv - HEADER, HEADER + size, tag);
        /* libcrypto refuses nothing it took once; if ever, nothing clear goes out. */
        if (good) memcpy(iv + size, tag, p->icv);
        else memset(iv, 0, size + p->icv);
        if (!w->direct) note(w, K_SEALED, p->tag, iv - HEADER, HEADER + size + p->icv);
    }
}

/* False: the socket is full and the train waits for it. */
static bool train_flush(work *w)
{
    u32 at = 0;
    w->blocked = -1;
    seal_waiting(w);
    if (!w->datagrams) return true;
    if (!w->direct) goto gone;
    if (w->datagrams > 1 && w->trains && w->to.local_port) {
        if (send_one(w, w->train, w->octets, w->segment)) {
            w->refusals = 0;
            goto gone;
        }
        if (errno == EAGAIN) return blocked(w);
        /* A full queue says nothing about trains. EIO: the device cannot checksum them; EINVAL: a
         * kernel that wants none, or a path narrower than its segments, which is one peer's. */
        w->trains_refused++;
        if ((errno == EIO || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOPROTOOPT) &&
            ++w->refusals >= REFUSALS)
            w->trains = false;
    }
    for (; at < w->octets; at += w->segment) {
        u32 size = w->octets - at < w->segment ? w->octets - at : w->segment;
        if (send_one(w, w->train + at, size, 0)) continue;
        if (errno == EAGAIN) {
            memmove(w->train, w->train + at, w->octets - at);
            w->octets -= at;
            w->datagrams = (w->octets + w->segment - 1) / w->segment;
            return blocked(w);
        }
        count_error(w);
    }
gone:
    w->octets = w->datagrams = w->segment = 0;
    w->closed = false;
    return true;
}

/* Where the next datagram of `size` octets for that peer is made; NULL while the socket is full. */
static u8 *train_room(work *w, const pair *p, u32 size)
{
    if (w->datagrams &&
        (w->closed || size > w->segment || w->octets + size > TRAIN_OCTETS ||
         w->datagrams >= TRAIN || memcmp(&w->to, &p->of->to, sizeof w->to)) &&
        !train_flush(w))
        return NULL;
    if (!w->datagrams) w->to = p->of->to;
    return w->train + w->octets;
}

static void train_take(work *w, const pair *p, u32 size)
{
    w->packets++;
    if (!w->direct && !w->waiting) note(w, K_SEALED, p->tag, w->train + w->octets, size);
    if (!w->datagrams) w->segment = size;
    else if (size < w->segment) w->closed = true;
    w->octets += size;
    w->datagrams++;
}

/* ---- outbound ------------------------------------------------------------------------------- */

static u32 padded(const pair *p, u32 n) { return (n + 2 + p->align - 1) / p->align * p->align; }

/* The inner packet of n octets lies at o + HEADER + iv; the rest of the datagram goes around it. */
static bool seal(work *w, pair *p, u8 *o, u32 n)
{
    u8 *body = o + HEADER + p->iv, next = body[0] >> 4 == 6 ? 41 : 4;
    u32 size = padded(p, n), padding = size - n - 2;
    void *c = p->out.cipher;
    int done;
    if (w->waiting && w->waiting_for != p) seal_waiting(w); /* in order, whosever they are */
    for (u32 i = 0; i < padding; i++) body[n + i] = (u8)(i + 1);
    body[size - 2] = (u8)padding;
    body[size - 1] = next;
    memcpy(o, p->spi_out, 4);
    put32(o + 4, ++p->sequence);
    /* The IV, or what one is made of: the sequence number, so no nonce comes twice (RFC 4106). */
    if (p->iv) {
        memset(o + HEADER, 0, p->iv - 4);
        put32(o + HEADER + p->iv - 4, p->sequence);
    }
    p->sealed.octets += size;
    if (p->mode == M_GCM) {
        u8 nonce[12];
        memcpy(nonce, p->out.salt, 4);
        memcpy(nonce + 4, o + HEADER, 8);
        return lib.cipher_init(c, NULL, NULL, NULL, nonce, -1) == 1 &&
               lib.cipher_update(c, NULL, &done, o, HEADER) == 1 &&
               lib.cipher_update(c, body, &done, body, (int)size) == 1 &&
               lib.cipher_final(c, body + size, &done) == 1 &&
               lib.cipher_control(c, 0x10 /* get tag */, 16, body + size) == 1;
    }
    if (p->out.des) {
        w->waiting_for = p;
        w->unsealed[w->waiting] = o + HEADER;
        w->blocks[w->waiting++] = (p->iv + size) / 8;
        return true;
    }
    /* One CBC stream per SA: the counter comes out as an IV nobody could foresee (decision 20). */
    u8 tag[64];
    if ((c && lib.cipher_update(c, o + HEADER, &done, o + HEADER, (int)(p->iv + size)) != 1) ||
        !mac_of(&p->out.icv, o, HEADER + p->iv + size, tag))
        return false;
    memcpy(body + size, tag, p->icv);
    return true;
}

/* Room for an inner packet of n octets of this pair; NULL: dropped and counted, or blocked. */
static u8 *inner_room(work *w, pair *p, u32 n)
{
    if (p->sequence >= p->last || p->sealed.octets >= p->hard) { p->of->count.dropped_out[R_EXHAUSTED]++; return NULL; }
    u8 *o = train_room(w, p, HEADER + p->iv + padded(p, n) + p->icv);
    if (!o) { w->full++; return NULL; }
    return o + HEADER + p->iv;
}

static void seal_made(work *w, pair *p, u32 n)
{
    u8 *o = w->train + w->octets;
    if (!seal(w, p, o, n)) { w->not_sent++; return; }
    p->of->count.packets_out++;
    p->of->count.octets_out += n;
    train_take(w, p, HEADER + p->iv + padded(p, n) + p->icv);
    wears(w, p, &p->sealed, p->sequence >= p->worn_at || p->sealed.octets >= p->volume);
}

typedef struct flow { u8 ends[32]; u32 size; pair *to; bool looped; } flow;

/* The pair for this packet; NULL: refused and counted. */
static pair *carrier(engine *e, flow *f, const u8 *p, u32 n)
{
    u32 octets = p[0] >> 4 == 4 ? 4 : 16;
    const u8 *ends = p + (octets == 4 ? 12 : 8);
    if (f->size != 2 * octets || memcmp(f->ends, ends, f->size)) {
        f->size = 2 * octets;
        memcpy(f->ends, ends, f->size);
        f->to = pair_for(e, ends, ends + octets, octets);
        f->looped = f->to && f->to->of->to.host_size == octets &&
                    !memcmp(f->to->of->to.host, ends + octets, octets);
    }
    if (!f->to) { e->refused[R_NO_SA]++; return NULL; }
    if (f->looped) {                /* a datagram of the tunnel itself would never end */
        const peer *to = &f->to->of->to;
        u32 l4 = octets == 4 ? (p[0] & 15u) * 4 : 40;
        u8 protocol = octets == 4 ? p[9] : p[6];
        if (!to->local_port ? protocol == ESP : protocol == UDP && n >= l4 + 4 &&
            get16(p + l4) == to->local_port && get16(p + l4 + 2) == to->port) {
            f->to->of->count.dropped_out[R_LOOP]++;
            return NULL;
        }
    }
    return f->to;
}

static void complete_sum(u8 *p, u32 n, const vnet *h)
{
    if (h->flags & NEEDS_CSUM && h->start <= n && (u32)h->start + h->offset + 2 <= n)
        put_sum(p + h->start + h->offset, sum_of(p + h->start, n - h->start, 0), true);
}

static void plain_packet(engine *e, work *w, flow *f, const u8 *p, u32 n, const vnet *h)
{
    u32 size = whole(p, n);
    if (!size) { e->refused[R_NOT_IP]++; return; }
    pair *to = carrier(e, f, p, size);
    if (!to) return;
    if (size > to->inner_mtu) {     /* Python answers with ICMP, or cuts it */
        seal_waiting(w);
        u8 *copy = note(w, K_BIG, to->tag, p, size);
        if (copy) complete_sum(copy, size, h);
        return;
    }
    u8 *inner = inner_room(w, to, size);
    if (!inner) return;
    memcpy(inner, p, size);
    complete_sum(inner, size, h);
    clamp(inner, size, to->inner_mtu);
    seal_made(w, to, size);
}

typedef struct super { const u8 *p; u32 n, l4, header, segment, count; bool six, udp; } super;

/* Segment `i` of a super-packet, complete with lengths and checksums, at `to`. Its length. */
static u32 segment_of(const super *s, u32 i, u8 *to)
{
    u32 at = s->header + i * s->segment, size = s->n - at < s->segment ? s->n - at : s->segment;
    u32 total = s->header + size;
    u8 *t = to + s->l4;
    memcpy(to, s->p, s->header);
    memcpy(to + s->header, s->p + at, size);
    if (s->six) put16(to + 4, total - 40);
    else {
        put16(to + 2, total);
        put16(to + 4, get16(s->p + 4) + i);
        sum_ipv4(to, s->l4);
    }
    u8 *sum = t + (s->udp ? 6 : 16);
    if (s->udp) put16(t + 4, total - s->l4);
    else {
        put32(t + 4, get32(t + 4) + i * s->segment);
        if (i + 1 < s->count) t[13] &= (u8)~(FIN | PSH);
        if (i) t[13] &= (u8)~CWR;   /* once per reduction (RFC 3168 §6.1.2) */
    }
    sum[0] = sum[1] = 0;
    put_sum(sum, sum_of(t, total - s->l4, pseudo(to, s->six, s->udp ? UDP : TCP, total - s->l4)),
            s->udp);
    return total;
}

static bool super_of(super *s, const u8 *p, u32 n, const vnet *h)
{
    u32 kind = h->gso & ~GSO_ECN;
    *s = (super){.p = p, .n = whole(p, n), .six = p[0] >> 4 == 6, .udp = kind == GSO_UDP,
                 .segment = h->segment};
    if (!s->n || (kind != GSO_UDP && kind != (s->six ? GSO_TCP6 : GSO_TCP4))) return false;
    s->l4 = s->six ? h->start : (p[0] & 15u) * 4; /* IPv6: behind extension headers, if any */
    if (s->l4 < (s->six ? 40 : 20) || s->l4 + (s->udp ? 8 : 20) > s->n) return false;
    s->header = s->l4 + (s->udp ? 8 : (p[s->l4 + 12] >> 4) * 4u);
    if (s->header < s->l4 + (s->udp ? 8 : 20) || s->header >= s->n || !s->segment) return false;
    s->count = (s->n - s->header + s->segment - 1) / s->segment;
    return s->count <= SEGMENTS;
}

static void super_packet(engine *e, work *w, flow *f, const u8 *p, u32 n, const vnet *h)
{
    super s;
    if (!n || !super_of(&s, p, n, h)) { e->refused[R_NOT_IP]++; return; }
    pair *to = carrier(e, f, p, s.n);
    if (!to) return;
    u32 largest = s.count > 1 ? s.header + s.segment : s.n;
    for (u32 i = 0; i < s.count; i++) {
        u32 size = i + 1 < s.count ? largest : s.n - i * s.segment;
        if (largest > to->inner_mtu) {
            seal_waiting(w);
            u8 *copy = note(w, K_BIG, to->tag, NULL, size);
            if (copy) segment_of(&s, i, copy);
            continue;
        }
        u8 *inner = inner_room(w, to, size);
        if (inner) seal_made(w, to, segment_of(&s, i, inner));
    }
}

static void frame(engine *e, work *w, flow *f, const u8 *p, u32 n)
{
    vnet h = {0, 0, 0, 0, 0, 0};
    if (w->frames) {
        if (n < VNET) { e->refused[R_NOT_IP]++; return; }
        memcpy(&h, p, VNET);
        p += VNET;
        n -= VNET;
    }
    if (h.gso & ~GSO_ECN) super_packet(e, w, f, p, n, &h);
    else plain_packet(e, w, f, p, n, &h);
}

static bool oversize(const work *w)  /* what follows must not overtake it: Python comes first */
{
    return w->count && w->records[w->count - 1].kind == K_BIG;
}

/* A batch in memory. How many packets were taken; call again for the rest. */
API u32 batch_outward(engine *e, work *w, const u8 *octets, const u32 *sizes, u32 count)
{
    u32 i = 0;
    flow f = {.size = 0};
    pthread_mutex_lock(&e->outbound);
    begin(w);
    for (; i < count && roomy(w) && !oversize(w); octets += sizes[i], i++)
        frame(e, w, &f, octets, sizes[i] < FRAME ? sizes[i] : FRAME);
    train_flush(w);
    pthread_mutex_unlock(&e->outbound);
    return i;
}

/* From the TUN to the network: at most `budget` reads. 0, or the error that ended it. Never waits:
 * with `blocked` set the socket is full; call again when it is writable, until then read nothing. */
API int batch_pump_out(engine *e, work *w, u32 budget)
{
    int problem = 0;
    u32 moved = 0;
    flow f = {.size = 0};
    pthread_mutex_lock(&e->outbound);
    begin(w);
    bool free_way = train_flush(w);
    while (free_way && w->reads < budget && moved < SLICE && roomy(w) && !oversize(w) && w->blocked < 0) {
        ssize_t got = read(w->tun, w->frame, FRAME);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) { problem = got < 0 && errno != EAGAIN ? errno : 0; break; }
        w->reads++;
        moved += (u32)got;
        frame(e, w, &f, w->frame, (u32)got);
    }
    if (free_way && w->blocked < 0) train_flush(w);
    seal_waiting(w);                /* a blocked train too: its pair may be gone by the next call */
    pthread_mutex_unlock(&e->outbound);
    return problem;
}

/* Seal pieces that Python made of packets for this pair: they fit. */
API void batch_seal(engine *e, work *w, pair *p, const u8 *octets, const u32 *sizes, u32 count)
{
    pthread_mutex_lock(&e->outbound);
    begin(w);
    for (u32 i = 0; i < count && roomy(w); octets += sizes[i], i++) {
        u8 *inner = sizes[i] && sizes[i] <= LARGEST ? inner_room(w, p, sizes[i]) : NULL;
        if (!inner) continue;
        memcpy(inner, octets, sizes[i]);
        seal_made(w, p, sizes[i]);
    }
    train_flush(w);
    pthread_mutex_unlock(&e->outbound);
}

API const record *batch_records(const work *w) { return w->records; }
API const u8 *batch_arena(const work *w) { return w->arena; }
