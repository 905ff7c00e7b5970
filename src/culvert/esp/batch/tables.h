/* Sessions, pairs of SAs, and the tables that find them: by SPI, by selector. */

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

/* des, gcm, aes: our own code for 3DES, for GCM, for sealing with AES-CBC, where it can serve. */
typedef struct half { void *cipher; mac icv; u8 salt[4]; des3 *des; gcm *gcm; aes *aes; } half;

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
    u8 chain[16];                   /* every packet's CBC begins with it */
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
    u8 copied;                      /* bits of DSCP and ECN that datagrams have of their packets */
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

API engine *batch_engine(u32 copied)
{
    engine *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->sad_size = e->spd_size = 64;
    e->sad = calloc(e->sad_size, sizeof *e->sad);
    e->spd = calloc(e->spd_size, sizeof *e->spd);
    if (!e->sad || !e->spd) { free(e->sad); free(e->spd); free(e); return NULL; }
    e->copied = (u8)copied;
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
        gcm_free(halves[i]->gcm);
        aes_free(halves[i]->aes);
    }
    free(p->local);
    free(p->remote);
    explicit_bzero(p, sizeof *p);
    free(p);
}

static bool half_key(half *h, const order *o, const u8 *key, const u8 *salt, const u8 *icv_key,
                     const u8 *chain, int enc)
{
    if (o->hash < 0) memcpy(h->salt, salt, 4);
    else if (o->hash >= HASHES || !mac_key(&h->icv, hashes + o->hash, icv_key, o->mac_size))
        return false;
    if (!strcmp(o->cipher, "null")) return o->hash >= 0; /* RFC 2410: an ICV and no cipher */
    if (o->hash < 0 && own_wide()) return (h->gcm = gcm_new(key, o->key_size));
    if (o->iv == 16 && enc && own_aes()) return (h->aes = aes_new(key, o->key_size));
    if (!strcmp(o->cipher, "des-ede3-cbc") && !(h->des = des3_new(key, enc))) return false;
    const void *cipher = lib.cipher_by_name(o->cipher);
    h->cipher = lib.cipher_new();
    return cipher && h->cipher && lib.cipher_init(h->cipher, cipher, NULL, key, chain, enc) == 1 &&
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
    if (o->chain && o->iv <= sizeof p->chain) memcpy(p->chain, o->chain, o->iv);
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
