/* HMAC with both padded keys hashed once (RFC 2104). */

typedef struct mac {
    const hash *h;
    bool copies;                    /* the plain states serve, not EVP's */
    bool abreast;                   /* `lanes` serves, for many at a time */
    keyed lanes;
    plain inner, outer;
    void *evp_inner, *evp_outer, *evp_work;
} mac;

static void mac_free(mac *m)
{
    if (m->evp_inner) lib.digest_free(m->evp_inner);
    if (m->evp_outer) lib.digest_free(m->evp_outer);
    if (m->evp_work) lib.digest_free(m->evp_work);
    explicit_bzero(m, sizeof *m);
}

/* `in`, `out`: the key padded to a block, with the octets of RFC 2104 §2. */
static bool mac_padded(mac *m, const hash *h, const u8 *in, const u8 *out)
{
    m->h = h;
    m->copies = h->init;
    if ((m->abreast = own_wide() && h < hashes + KINDS)) keyed_by(&m->lanes, (u32)(h - hashes), in, out);
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

static bool mac_key(mac *m, const hash *h, const u8 *key, u32 size)
{
    u8 in[128], out[128];
    if (size > h->block) return false;
    for (u32 i = 0; i < h->block; i++) {
        u8 octet = i < size ? key[i] : 0;
        in[i] = octet ^ 0x36;
        out[i] = octet ^ 0x5c;
    }
    bool good = mac_padded(m, h, in, out);
    explicit_bzero(in, sizeof in);
    explicit_bzero(out, sizeof out);
    return good;
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

/* The tags of as many packets of one size as can be done at once: up to ABREAST. How many; 0: an
 * error. */
static u32 macs_of(mac *m, const u8 *const *packets, u32 count, u32 size, u8 tags[ABREAST][64])
{
    if (!m->abreast || count < WORTH) return mac_of(m, packets[0], size, tags[0]);
    if (count > ABREAST) count = ABREAST;
    tags_of(&m->lanes, (u32)(m->h - hashes), packets, count, size, tags);
    return count;
}
