/* Outbound: what the TUN gives is cut, given its SA, sealed and put into trains. */

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
        if (p->out.gcm) {
            gcm_seal(p->out.gcm, nonce, o, body, size, body + size);
            return true;
        }
        return lib.cipher_init(c, NULL, NULL, NULL, nonce, -1) == 1 &&
               lib.cipher_update(c, NULL, &done, o, HEADER) == 1 &&
               lib.cipher_update(c, body, &done, body, (int)size) == 1 &&
               lib.cipher_final(c, body + size, &done) == 1 &&
               lib.cipher_control(c, 0x10 /* get tag */, 16, body + size) == 1;
    }
    /* The counter comes out as an IV nobody could foresee (decision 221). */
    w->waiting_for = p;
    w->unsealed[w->waiting] = o + HEADER;
    w->sizes[w->waiting++] = p->iv + size;
    return true;
}

/* Room for an inner packet of n octets of this pair, marked so; NULL: dropped and counted, or
 * blocked. */
static u8 *inner_room(const engine *e, work *w, pair *p, u32 n, u8 mark)
{
    if (p->sequence >= p->last || p->sealed.octets >= p->hard) { p->of->count.dropped_out[R_EXHAUSTED]++; return NULL; }
    u8 *o = train_room(w, p, HEADER + p->iv + padded(p, n) + p->icv, mark & e->copied);
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
    u8 *inner = inner_room(e, w, to, size, mark_of(p));
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
        u8 *inner = inner_room(e, w, to, size, mark_of(p));
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
        u8 *inner = sizes[i] > 1 && sizes[i] <= LARGEST ? inner_room(e, w, p, sizes[i], mark_of(octets))
                                                             : NULL;
        if (!inner) continue;
        memcpy(inner, octets, sizes[i]);
        seal_made(w, p, sizes[i]);
    }
    train_flush(w);
    pthread_mutex_unlock(&e->outbound);
}

API const record *batch_records(const work *w) { return w->records; }
API const u8 *batch_arena(const work *w) { return w->arena; }
