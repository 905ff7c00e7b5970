/* Types, limits and the kernel's constants of the compiled engine. */

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
    VERSION = 7,              /* of the interface below; Python refuses another one */
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
    ABREAST = 16,             /* packets whose HMAC is computed side by side */
    WORTH = 3,                /* as many take longer one after another */
    LANES = 8,                /* packets whose AES-CBC is encrypted side by side */
};

enum reason { R_SHORT, R_REPLAYED, R_NOT_AUTHENTIC, R_PADDING, R_NEXT_HEADER, R_DUMMY, R_NOT_IP,
              R_NOT_LEASED, R_OUT_OF_SCOPE, R_NO_SA, R_TOO_BIG, R_LOOP, R_EXHAUSTED,
              R_UNKNOWN_SPI, R_CONGESTED, REASONS };
enum kind { K_INSIDE, K_SEALED, K_IKE, K_UNKNOWN, K_NEWEST, K_WORN, K_BIG, K_SPENT };
enum mode { M_GCM, M_CBC };
enum { PLAIN_HASHES = 1, OWN_AES = 2, OWN_WIDE = 4 }; /* what may be used besides libcrypto's EVP */
enum { NOT_CAPABLE = 0, ECT_1 = 1, ECT_0 = 2, CONGESTED = 3, ECN = 3 }; /* RFC 3168 §5 */

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u32 get32(const u8 *p) { u32 v; memcpy(&v, p, 4); return ntohl(v); }
static void put16(u8 *p, u32 v) { p[0] = (u8)(v >> 8); p[1] = (u8)v; }
static void put32(u8 *p, u32 v) { v = htonl(v); memcpy(p, &v, 4); }
