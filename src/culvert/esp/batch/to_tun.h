/* To the TUN: frames, and TCP segments and UDP datagrams joined into one. */

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
