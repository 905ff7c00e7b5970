/* Internet checksums (RFC 1071), sums in network byte order as they lie in memory. */

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
