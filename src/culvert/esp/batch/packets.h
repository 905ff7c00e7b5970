/* Inner IPv4 and IPv6 packets: their length, their ends, the MSS of a SYN. */

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

/* DSCP and ECN of a whole packet, in one octet (culvert.inet.marks). */
static u8 mark_of(const u8 *p)
{
    return p[0] >> 4 == 4 ? p[1] : (u8)(p[0] << 4 | p[1] >> 4);
}

/* The ECN of a whole packet behind the tunnel (RFC 6040 §4.2, figure 4). False: drop it. */
static bool unmarked(u8 *p, u8 outer)
{
    u8 mark = outer & ECN, inner = mark_of(p) & ECN;
    if (mark == CONGESTED) {
        if (inner == NOT_CAPABLE) return false;
    } else if (mark != ECT_1 || inner != ECT_0) return true;
    if (mark == inner) return true;
    if (p[0] >> 4 == 6) {
        p[1] = (u8)((p[1] & 0xcf) | mark << 4);
        return true;
    }
    u32 was = get16(p);
    p[1] = (u8)((p[1] & 0xfc) | mark);
    u32 sum = (get16(p + 10) ^ 0xffffu) + (was ^ 0xffff) + get16(p); /* as in clamp */
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(p + 10, sum ^ 0xffff);
    return true;
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
