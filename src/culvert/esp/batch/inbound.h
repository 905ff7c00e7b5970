/* Inbound: datagrams are told apart, opened, checked and joined into super-packets for the TUN. */

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

/* Check and decrypt in place: the clear text with its trailer begins at HEADER + iv. `known`: what
 * its check value must be, if that was computed before. */
static bool authentic(pair *p, u8 *d, u32 n, const u8 *known)
{
    u8 *body = d + HEADER + p->iv, tag[64];
    u32 size = n - HEADER - p->iv - p->icv;
    void *c = p->in.cipher;
    int done;
    if (p->mode == M_GCM) {
        u8 nonce[12];
        memcpy(nonce, p->in.salt, 4);
        memcpy(nonce + 4, d + HEADER, 8);
        if (p->in.gcm) return gcm_open(p->in.gcm, nonce, d, body, size, body + size);
        return lib.cipher_init(c, NULL, NULL, NULL, nonce, -1) == 1 &&
               lib.cipher_update(c, NULL, &done, d, HEADER) == 1 &&
               lib.cipher_update(c, body, &done, body, (int)size) == 1 &&
               lib.cipher_control(c, 0x11 /* set tag */, 16, body + size) == 1 &&
               lib.cipher_final(c, tag, &done) == 1;
    }
    if (!known && !mac_of(&p->in.icv, d, n - p->icv, tag)) return false;
    if (!known) known = tag;
    u8 differs = 0;
    for (u32 i = 0; i < p->icv; i++) differs |= known[i] ^ body[size + i];
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

static void open_one(work *w, pair *p, u8 *d, u32 n, const u8 *known, double now)
{
    traffic *count = &p->of->count;
    u32 least = HEADER + p->iv + p->align + p->icv;
    if (n < least || (n - least) % p->align) { count->dropped_in[R_SHORT]++; return; }
    u32 sequence = get32(d + 4);
    if (!fresh(p, sequence)) { count->dropped_in[R_REPLAYED]++; return; }
    if (!authentic(p, d, n, known)) { count->dropped_in[R_NOT_AUTHENTIC]++; return; }
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
    if (w->mark && !unmarked(inner, w->mark)) { count->dropped_in[R_CONGESTED]++; return; }
    count->packets_in++;
    count->octets_in += size;
    clamp(inner, size, p->inner_mtu);
    deliver(w, p->tag, inner, size);
}

/* One datagram in the basket; it stays there until the run it may have joined is written. */
static void datagram(engine *e, work *w, u8 *d, u32 n, const u8 *known, double now)
{
    pair *p = n >= 4 ? pair_of_spi(e, d) : NULL;
    if (p) open_one(w, p, d, n, known, now);
    else if (n == 1 && d[0] == 0xff && w->local_port) return; /* keepalive (RFC 3948 §2.3) */
    else if (n < HEADER) e->refused[R_SHORT]++;
    else if (!get32(d) && w->local_port) note(w, K_IKE, 0, d + 4, n - 4);
    else { e->refused[R_UNKNOWN_SPI]++; note(w, K_UNKNOWN, 0, NULL, 0); }
}

/* The check values of the datagrams of one SPI at the head of this train, as many as go at once;
 * 0: each is computed by itself. */
static u32 known_ahead(const engine *e, const u8 *d, u32 size, u32 step, u8 tags[ABREAST][64])
{
    pair *p = step >= 4 && size >= WORTH * step ? pair_of_spi(e, d) : NULL;
    if (!p || p->mode != M_CBC || !p->in.icv.abreast || step < HEADER + p->iv + p->icv) return 0;
    const u8 *packets[ABREAST];
    u32 n = 0;
    for (; n < ABREAST && (n + 1) * step <= size && !memcmp(d + n * step, d, 4); n++)
        packets[n] = d + n * step;
    return n < WORTH ? 0 : macs_of(&p->in.icv, packets, n, step - p->icv, tags);
}

/* Datagrams of `step` octets each, the last perhaps shorter, one behind the other in the basket. */
static void train(engine *e, work *w, u8 *d, u32 size, u32 step, double now)
{
    u8 tags[ABREAST][64];
    u32 first = 0, known = 0, index = w->from.index;
    bool more = true;
    for (u32 i = 0, at = 0; at < size; at += step, i++) {
        w->from.index = index + i;
        if (more && i == first + known) {
            first = i;
            known = known_ahead(e, d + at, size - at, step, tags);
            more = known != 0;
        }
        datagram(e, w, d + at, size - at < step ? size - at : step,
                 i < first + known ? tags[i - first] : NULL, now);
    }
}

static u8 *basket_room(work *w)     /* LARGEST octets, after what still waits in a run */
{
    if (BASKET - w->basket_used < LARGEST) { run_flush(w); w->basket_used = 0; }
    return w->basket + w->basket_used;
}

/* A batch in memory. How many datagrams were taken; call again for the rest. */
API u32 batch_inward(engine *e, work *w, const u8 *octets, const u32 *sizes, const u8 *marks,
                     u32 count, u32 local_port, double now)
{
    u32 i = 0;
    pthread_mutex_lock(&e->inbound);
    begin(w);
    w->local_port = (u16)local_port;
    while (i < count && roomy(w)) {
        u8 *d = basket_room(w);
        u32 n = sizes[i] < LARGEST ? sizes[i] : LARGEST, same = 1;
        while (n && same < TRAIN && i + same < count && sizes[i + same] == n &&
               marks[i + same] == marks[i] && (same + 1) * n <= LARGEST)
            same++;
        memcpy(d, octets, same * n);
        w->basket_used += same * n;
        w->from.index = i;
        w->mark = marks[i];
        if (n) train(e, w, d, same * n, n, now);
        else datagram(e, w, d, 0, NULL, now);
        for (; same; same--) octets += sizes[i++];
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
        struct msghdr m = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &all, .msg_iovlen = 1,
                           .msg_control = control.octets, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(udp, &m, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EBADF)) break;
        w->reads++;
        if (got < 0) { w->read_errors++; continue; }
        source(w, &name);
        u32 size = (u32)got, step = size;
        w->mark = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            int segment, class;
            if (c->cmsg_level == LEVEL_UDP && c->cmsg_type == OPTION_GRO) {
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0) step = (u32)segment;
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                memcpy(w->from.info, CMSG_DATA(c), w->from.info_size = 12);
            else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
                memcpy(&w->mark, CMSG_DATA(c), 1);
            else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
                memcpy(&class, CMSG_DATA(c), sizeof class);
                w->mark = (u8)class;
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                memcpy(w->from.info, CMSG_DATA(c), w->from.info_size = 20);
        }
        w->basket_used += size;
        moved += size;
        if (size) train(e, w, d, size, step, now);
        else datagram(e, w, d, 0, NULL, now);
    }
    run_flush(w);
    w->basket_used = 0;
    pthread_mutex_unlock(&e->inbound);
}
