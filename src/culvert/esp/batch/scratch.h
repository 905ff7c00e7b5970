/* Scratch of one caller: records for Python, buffers, what is under way. */

typedef struct record {             /* something for Python; octets lie in the arena */
    u64 tag;                        /* of the pair, where there is one */
    u32 kind, at, size, index;      /* index: which datagram of the batch; of a sealed one its mark */
    u8 host_size, info_size, host[16], info[20]; /* where it came from; which address was called */
    u16 port;
} record;

typedef struct vnet { u8 flags, gso; u16 header, segment, start, offset; } vnet;

typedef struct work {
    u32 count, used, lost;          /* records, octets in the arena, records that had no room */
    u32 reads, packets;             /* of the last call: system calls, packets that went through */
    u64 full, refused, too_long, not_sent, trains_refused, tun_full, not_written, read_errors;
    int tun, udp4, udp6;            /* -1 where there is none */
    int blocked;                    /* the full socket that the train waits for, or -1 */
    bool direct;                    /* system calls, not records, carry packets away */
    bool frames;                    /* TUN packets carry a virtio header */
    bool joins_udp;                 /* and may be UDP super-packets (Linux 6.2) */
    bool trains;                    /* UDP takes trains (UDP_SEGMENT) */
    record records[RECORDS];
    u8 arena[ARENA];
    /* where the datagram at hand came from */
    record from;
    u16 local_port;
    u8 mark;                        /* its DSCP and ECN */
    int bare;                       /* the raw socket for ESP without UDP */
    int beside4, beside6;           /* of the port that carries ESP only */
    u16 beside;
    /* train: sealed datagrams of one peer */
    peer to;
    u8 train_mark;                  /* DSCP and ECN of all of it */
    u32 octets, datagrams, segment;
    bool closed;
    u32 refusals;                   /* trains in a row */
    /* datagrams of the train that are sealed together, all of one pair: from their IV on */
    pair *waiting_for;
    u32 waiting;
    u8 *unsealed[TRAIN];
    u32 sizes[TRAIN];
    u8 train[TRAIN_OCTETS + LARGEST + AROUND];
    /* frame read from the TUN */
    u8 frame[FRAME + 64];
    /* received datagrams */
    u32 basket_used;
    u8 basket[BASKET];
    /* joined segments: headers here, payloads in the basket */
    u64 run_tag;
    u32 run_length, run_header, run_l4, run_segment, run_pieces, run_next;
    bool run_closed, run_udp;
    u8 run_head[VNET + 128];
    struct iovec run[PIECES + 1];
} work;

/* `frames`: 0 bare packets, 1 with virtio headers, 2 also UDP super-packets. */
API work *batch_work(int frames)
{
    work *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->frames = frames;
    w->joins_udp = frames > 1;
    w->tun = w->udp4 = w->udp6 = w->bare = w->blocked = -1;
    return w;
}

API void batch_work_free(work *w) { explicit_bzero(w, sizeof *w); free(w); }

API void batch_direct(work *w, int tun, int udp4, int udp6, int bare, int frames, int trains)
{
    w->direct = true;
    w->frames = frames;
    w->joins_udp = frames > 1;
    w->tun = tun;
    w->udp4 = udp4;
    w->udp6 = udp6;
    w->bare = bare;
    w->trains = trains;
}

/* A port beside the NAT-T port, with its sockets (-1 where there is none). */
API void batch_beside(work *w, u32 port, int udp4, int udp6)
{
    w->beside = (u16)port;
    w->beside4 = udp4;
    w->beside6 = udp6;
}

/* Room for what one more super-packet or train may note; what waits in a train is noted too. */
static bool roomy(const work *w)
{
    u32 waiting = w->direct ? 0 : w->waiting, octets = w->direct ? 0 : w->octets;
    return RECORDS - w->count > SEGMENTS + 2 + waiting && ARENA - w->used > ROOM + octets;
}

static u8 *note(work *w, enum kind kind, u64 tag, const u8 *octets, u32 size)
{
    if (w->count >= RECORDS || size > ARENA - w->used) { w->lost++; return NULL; }
    record *r = &w->records[w->count++];
    *r = w->from;
    r->kind = kind;
    r->tag = tag;
    r->at = w->used;
    r->size = size;
    u8 *place = w->arena + w->used;
    if (octets) memcpy(place, octets, size);
    w->used += size;
    return place;
}

static void begin(work *w) { w->count = w->used = w->reads = w->packets = 0; memset(&w->from, 0, sizeof w->from); }
