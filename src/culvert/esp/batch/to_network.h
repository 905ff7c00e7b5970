/* To the network: trains of equal datagrams for one peer, one system call each also where the way
 * takes no trains. */

/* The socket of the peer's IP version; the raw one for ESP without UDP, which has no ports. */
static int sender(const work *w)
{
    if (!w->to.local_port) return w->bare;
    if (w->to.local_port == w->beside) return w->to.host_size == 4 ? w->beside4 : w->beside6;
    return w->to.host_size == 4 ? w->udp4 : w->udp6;
}

/* Where a message goes, from which of our addresses, as a train of `segment` octets each or not (0),
 * with which mark. */
typedef struct envelope {
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct msghdr head;
    _Alignas(struct cmsghdr) u8 control[CMSG_SPACE(20) + CMSG_SPACE(2) + CMSG_SPACE(4)];
} envelope;

static struct cmsghdr *tell(envelope *e, struct cmsghdr *c, int level, int type, const void *what,
                            u32 size)
{
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), what, size);
    e->head.msg_controllen += CMSG_SPACE(size);
    return (struct cmsghdr *)(void *)((u8 *)c + CMSG_SPACE(size));
}

static void address(const work *w, envelope *e, u32 segment)
{
    const peer *to = &w->to;
    bool four = to->host_size == 4, told = to->answer_size == 12;
    u16 size = (u16)segment;
    int mark = w->train_mark;
    memset(e, 0, sizeof *e);
    e->four.sin_family = AF_INET;
    e->six.sin6_family = AF_INET6;
    e->four.sin_port = e->six.sin6_port = htons(to->port);
    memcpy(&e->six.sin6_addr, to->host, 16);
    memcpy(&e->four.sin_addr, to->host, 4);
    e->head.msg_name = four ? (void *)&e->four : (void *)&e->six;
    e->head.msg_namelen = four ? sizeof e->four : sizeof e->six;
    e->head.msg_control = e->control;
    struct cmsghdr *c = (struct cmsghdr *)(void *)e->control;
    if (to->answer_size)
        c = tell(e, c, told ? IPPROTO_IP : IPPROTO_IPV6, told ? IP_PKTINFO : IPV6_PKTINFO, to->answer,
                 to->answer_size);
    if (segment) c = tell(e, c, LEVEL_UDP, OPTION_SEGMENT, &size, sizeof size);
    if (mark) tell(e, c, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TOS : IPV6_TCLASS, &mark, sizeof mark);
}

/* Datagrams of `segment` octets each, the last perhaps shorter, in one system call: as one train, or
 * each by itself. How many went; 0: errno says why the first did not. */
static u32 send_some(work *w, const u8 *octets, u32 size, u32 segment, bool joined)
{
    envelope e;
    struct mmsghdr all[TRAIN];
    struct iovec parts[TRAIN];
    u32 step = joined ? size : segment, count = (size + step - 1) / step;
    for (;;) {
        address(w, &e, joined ? segment : 0);
        for (u32 i = 0; i < count; i++) {
            u32 rest = size - i * step;
            parts[i] = (struct iovec){(void *)(octets + i * step), rest < step ? rest : step};
            all[i].msg_hdr = e.head;
            all[i].msg_hdr.msg_iov = parts + i;
            all[i].msg_hdr.msg_iovlen = 1;
        }
        int sent = sendmmsg(sender(w), all, count, MSG_DONTWAIT);
        if (sent > 0) return (u32)sent;
        if (errno == EINTR) continue;
        if (!w->to.answer_size || (joined && errno == EINVAL) || /* perhaps the train's fault */
            (errno != EADDRNOTAVAIL && errno != ENETUNREACH && errno != EINVAL))
            return 0;
        w->to.answer_size = 0;      /* that address has left this machine: send from any */
    }
}

/* Errors are counted: what the network does not take is lost. */
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

static void note_sealed(work *w, const pair *p, const u8 *octets, u32 size)
{
    if (note(w, K_SEALED, p->tag, octets, size)) w->records[w->count - 1].index = w->train_mark;
}

/* How many of these sizes are the same from `at` on, `most` at the most. */
static u32 alike(const u32 *sizes, u32 at, u32 count, u32 most)
{
    u32 n = 1;
    while (n < most && at + n < count && sizes[at + n] == sizes[at]) n++;
    return n;
}

/* Each packet begins anew, so that none waits for the one before. False: libcrypto refused one. */
static bool encrypt_waiting(const pair *p, u8 *const *packets, const u32 *sizes, u32 count)
{
    const half *out = &p->out;
    bool good = true;
    int done;
    if (out->des && count >= DES_WORTH) {
        u32 blocks[TRAIN];
        for (u32 i = 0; i < count; i++) blocks[i] = sizes[i] / 8;
        des3_encrypt(out->des, p->chain, packets, blocks, count);
    } else if (out->aes) {
        for (u32 i = 0, n; i < count; i += n) {
            n = alike(sizes, i, count, LANES);
            cbc_seal(out->aes, p->chain, packets + i, n, sizes[i] / 16);
        }
    } else if (out->cipher) {
        for (u32 i = 0; i < count && good; i++)
            good = lib.cipher_init(out->cipher, NULL, NULL, NULL, p->chain, -1) == 1 &&
                   lib.cipher_update(out->cipher, packets[i], &done, packets[i], (int)sizes[i]) == 1;
    }
    return good;
}

/* Encrypt and authenticate what waits in the train. */
static void seal_waiting(work *w)
{
    pair *p = w->waiting_for;
    u32 count = w->waiting;
    u8 tags[ABREAST][64];
    const u8 *whole[ABREAST];
    w->waiting = 0;
    if (!count) return;
    bool good = encrypt_waiting(p, w->unsealed, w->sizes, count);
    for (u32 at = 0, n; at < count; at += n) {
        u32 size = w->sizes[at];
        n = alike(w->sizes, at, count, ABREAST);
        for (u32 i = 0; i < n; i++) whole[i] = w->unsealed[at + i] - HEADER;
        u32 made = good ? macs_of(&p->out.icv, whole, n, HEADER + size, tags) : 0;
        if (made) n = made;
        for (u32 i = 0; i < n; i++) {
            u8 *iv = w->unsealed[at + i];
            /* libcrypto refuses nothing it took once; if ever, nothing clear goes out. */
            if (made) memcpy(iv + size, tags[i], p->icv);
            else { memset(iv, 0, size + p->icv); w->not_sent++; }
            if (!w->direct) note_sealed(w, p, iv - HEADER, HEADER + size + p->icv);
        }
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
        if (send_some(w, w->train, w->octets, w->segment, true)) {
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
    while (at < w->octets) {
        u32 sent = send_some(w, w->train + at, w->octets - at, w->segment, false);
        if (!sent && errno == EAGAIN) {
            memmove(w->train, w->train + at, w->octets - at);
            w->octets -= at;
            w->datagrams = (w->octets + w->segment - 1) / w->segment;
            return blocked(w);
        }
        if (!sent) count_error(w);
        at += (sent ? sent : 1) * w->segment;
    }
gone:
    w->octets = w->datagrams = w->segment = 0;
    w->closed = false;
    return true;
}

/* Where the next datagram of `size` octets for that peer is made; NULL while the socket is full. */
static u8 *train_room(work *w, const pair *p, u32 size, u8 mark)
{
    if (w->datagrams &&
        (w->closed || mark != w->train_mark || size > w->segment || w->octets + size > TRAIN_OCTETS ||
         w->datagrams >= TRAIN || memcmp(&w->to, &p->of->to, sizeof w->to)) &&
        !train_flush(w))
        return NULL;
    if (!w->datagrams) { w->to = p->of->to; w->train_mark = mark; }
    return w->train + w->octets;
}

static void train_take(work *w, const pair *p, u32 size)
{
    w->packets++;
    if (!w->direct && !w->waiting) note_sealed(w, p, w->train + w->octets, size);
    if (!w->datagrams) w->segment = size;
    else if (size < w->segment) w->closed = true;
    w->octets += size;
    w->datagrams++;
}
