/* Internet checksums (RFC 1071), sums in network byte order as they lie in memory. */

/* As many additions at once as the processor has lanes. Wider vectors than it has would be kept in
 * memory, so there are two of these; n is a multiple of CHUNK for both. */
typedef u64 pair_of_words __attribute__((vector_size(16)));
typedef u64 eight_words __attribute__((vector_size(64)));
enum { CHUNK = sizeof(eight_words) };
#define HALF 0xffffffffu

static u64 plain_chunks(const u8 *p, u32 n)
{
    pair_of_words a = {0}, b = {0}, c = {0}, d = {0}, v, w;
    for (; n; p += 32, n -= 32) {
        memcpy(&v, p, 16);
        memcpy(&w, p + 16, 16);
        a += v & HALF;
        b += v >> 32;
        c += w & HALF;
        d += w >> 32;
    }
    a += b + c + d;
    return a[0] + a[1];
}

WIDE static u64 wide_chunks(const u8 *p, u32 n)
{
    eight_words a = {0}, b = {0}, v;
    u64 sum = 0;
    for (; n; p += CHUNK, n -= CHUNK) {
        memcpy(&v, p, CHUNK);
        a += v & HALF;
        b += v >> 32;
    }
    a += b;
    for (u32 i = 0; i < CHUNK / 8; i++) sum += a[i];
    return sum;
}

static u64 sum_of(const u8 *p, u32 n, u64 sum)
{
    u32 most = n - n % CHUNK;
    if (most) sum += own_wide() ? wide_chunks(p, most) : plain_chunks(p, most);
    for (p += most, n -= most; n >= 4; p += 4, n -= 4) {
        u32 w;
        memcpy(&w, p, 4);
        sum += w;
    }
    if (n >= 2) {
        u16 w;
        memcpy(&w, p, 2);
        sum += w;
        p += 2;
    }
    if (n % 2) {
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
