/* Coverage-guided fuzzing of batch.c under ASan and UBSan, with nothing but gcc.
 *
 *   batch_fuzz SECONDS DIRECTORY    replay every file of the directory, then try variations of them
 *
 * An input is a script: a first octet that chooses suite, TUN form and the rest of `asked`, then
 * operations `kind(1) length(2) octets`. What reaches a new edge of the code joins the directory;
 * what makes the sanitizers stop is left in DIRECTORY/../crash. Packets are sealed with the right
 * keys, so that the code behind the integrity check is reached. */
#include "../../src/culvert/esp/batch.c"
#include <dirent.h>
#include <stdio.h>
#include <time.h>

enum { LONGEST = 80000, MOST = 4096, EDGES = 1 << 16 };

static u8 edges[EDGES], known[EDGES];
static u8 input[LONGEST];
static u32 input_size;
static char crash_path[512];

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
    edges[(uintptr_t)__builtin_return_address(0) % EDGES] = 1;
}

void __asan_set_death_callback(void (*)(void));

static void keep_crash(void)
{
    FILE *f = fopen(crash_path, "wb");
    if (!f) return;
    fwrite(input, 1, input_size, f);
    fclose(f);
    fprintf(stderr, "the input is in %s\n", crash_path);
}

/* ---- one tunnel, both ends ------------------------------------------------------------------ */

static const struct { const char *cipher; u32 key, iv, align, icv, mac; int hash; } suites[] = {
    {"aes-128-gcm", 16, 8, 4, 16, 0, -1},
    {"aes-256-cbc", 32, 16, 16, 16, 32, 2},
    {"des-ede3-cbc", 24, 8, 8, 12, 16, 0},
    {"aes-128-cbc", 16, 16, 16, 32, 64, 4},
};

static prefix any(u32 octets) { prefix p = {(u8)octets, 0, {0}, {0}}; return p; }

/* The first octet of a script. */
enum asked { SUITE = 3, FRAMES = 4, IN_UDP = 8, SHORT_LIVES = 16, PIECES_SEALED = 32, HANDED_OVER = 64,
             NARROW = 128 };

static pair *end_of(engine *e, session *s, u32 suite, u32 in, u32 out, bool short_lives)
{
    static const u8 key[64] = "a key that both ends know", zeros[16];
    prefix all[2] = {any(4), any(16)};
    order o = {.tag = in, .cipher = suites[suite].cipher, .key_in = key, .key_out = key,
               .salt_in = key, .salt_out = key, .mac_in = key, .mac_out = key,
               .chain = suites[suite].hash < 0 ? NULL : zeros, .local = all, .remote = all,
               .spi_in = in, .spi_out = out, .inner_mtu = 1400, .last = 5000, .worn_at = 4000,
               .key_size = suites[suite].key, .mac_size = suites[suite].mac, .iv = suites[suite].iv,
               .align = suites[suite].align, .icv = suites[suite].icv, .locals = 2, .remotes = 2,
               .hash = suites[suite].hash, .volume = UINT64_MAX,
               .soft = short_lives ? 2000 : UINT64_MAX, .hard = short_lives ? 6000 : UINT64_MAX};
    pair *p = batch_install(e, s, &o);
    if (!p || batch_activate(e, p)) abort();
    return p;
}

static u64 came_in, went_out;       /* packets: none, and all of this would be about refusals */

static void check_records(const work *w)
{
    for (u32 i = 0; i < w->count; i++) {
        if ((u64)w->records[i].at + w->records[i].size > ARENA) abort();
        came_in += w->records[i].kind == K_INSIDE;
        went_out += w->records[i].kind == K_SEALED;
    }
}

/* Octets that look like a TCP or UDP packet between two hosts of the tunnel. */
static void dress(u8 *p, u32 n, u8 how)
{
    bool six = how & 1;
    if (n < (six ? 60u : 40u)) return;
    p[0] = six ? 0x60 : 0x45;
    if (six) { put16(p + 4, n - 40); p[6] = how & 2 ? UDP : TCP; memset(p + 8, 9, 32); }
    else { put16(p + 2, n); p[6] &= 0x40; p[7] = 0; p[9] = how & 2 ? UDP : TCP; memset(p + 12, 9, 8); }
    if (how & 2) return;
    u8 *t = p + (six ? 40 : 20);
    memset(t, 7, 4);
    if (how & 4) { t[12] = 0x50; t[13] = ACK; memset(t + 14, 0, 2); memset(t + 8, 0, 4); }
    if (how & 8) {
        u32 l4 = n - (u32)(t - p);
        t[16] = t[17] = 0;
        put_sum(t + 16, sum_of(t, l4, pseudo(p, six, TCP, l4)), false);
    }
}

static void run(const u8 *script, u32 size)
{
    static u8 packet[LARGEST + AROUND + 64];
    if (!size) return;
    u32 suite = script[0] & SUITE, frames = script[0] & FRAMES ? 1 : 0, asked = script[0];
    engine *here = batch_engine(255), *there = batch_engine(255);
    session *s = batch_session(), *t = batch_session();
    peer to = {.host_size = 4, .port = 4500, .local_port = asked & IN_UDP ? 4500 : 0};
    static work *works[2];          /* large, so made once; a call leaves nothing behind in one */
    if (!works[frames]) works[frames] = batch_work(frames ? 2 : 0);
    work *w = works[frames];
    w->basket_used = 0;
    pair *p = end_of(here, s, suite, 0x1000, 0x2000, asked & SHORT_LIVES);
    pair *q = end_of(there, t, suite, 0x2000, 0x1000, false);
    batch_move(here, s, &to);
    for (u32 at = 1; at + 3 <= size;) {
        u32 kind = script[at] % 6, how = script[at] / 6, n = get16(script + at + 1);
        at += 3;
        if (n > size - at) n = size - at;
        memcpy(packet + 64, script + at, n);
        at += n;
        if (kind == 3) dress(packet + 64 + VNET, n > VNET ? n - VNET : 0, (u8)how);
        if (kind == 5) dress(packet + 64, n, (u8)how);
        if (kind == 2 || kind == 3) {
            u8 *copy = malloc(n + 1); /* to its exact size, so that one octet too far is seen */
            memcpy(copy, packet + 64, n);
            if (kind == 2 && asked & PIECES_SEALED) batch_seal(here, w, p, copy, &n, 1);
            else batch_outward(here, w, copy, &n, 1);
            free(copy);
        } else {
            u32 length = n;
            u8 *from = packet + 64;
            if (kind >= 4 && n) {   /* sealed by the other end */
                from = packet + 64 - HEADER - q->iv;
                if (q->sequence >= 5000 || !seal(w, q, from, n)) break;
                seal_waiting(w);
                length = HEADER + q->iv + padded(q, n) + q->icv;
            } else if (kind == 1 && n > 4) put32(from, 0x1000);
            batch_inward(here, w, from, &length, (const u8 *)&how, 1, to.local_port, 1.0);
        }
        check_records(w);
        if (asked & NARROW) batch_fit(here, p, 576 + how);
        if (asked & HANDED_OVER) {  /* to a process that goes on from here */
            progress left;
            traffic counted;
            batch_progress(here, p, &left);
            batch_traffic(here, s, &counted);
            batch_remove(here, p);
            p = end_of(here, s, suite, 0x1000, 0x2000, asked & SHORT_LIVES);
            batch_go_on(here, p, &left);
            batch_recount(here, s, &counted);
        }
    }
    batch_remove(here, p);
    batch_remove(there, q);
    batch_session_free(here, s);
    batch_session_free(there, t);
    batch_engine_free(here);
    batch_engine_free(there);
    if (w->run_pieces || w->datagrams || w->lost) abort();
}

/* ---- a small fuzzer ------------------------------------------------------------------------- */

static u64 dice_state = 88172645463325252ull;
static u32 dice(u32 limit)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (u32)(dice_state >> 33) % limit;
}

static struct { u8 *octets; u32 size; } corpus[MOST];
static u32 corpus_count;

static void vary(void)
{
    static const u8 telling[] = {0, 1, 0x7f, 0x80, 0xff, 0x45, 0x60, 0x06, 0x11, 4, 41, 59};
    for (u32 times = 1 + dice(6); times; times--) {
        u32 at = input_size ? dice(input_size) : 0, n = 1 + dice(64);
        switch (dice(6)) {
        case 0: if (input_size) input[at] ^= (u8)(1 << dice(8)); break;
        case 1: if (input_size) input[at] = telling[dice(sizeof telling)]; break;
        case 2: if (input_size) input[at] = (u8)dice(256); break;
        case 3:                     /* take out */
            if (n > input_size - at) n = input_size - at;
            memmove(input + at, input + at + n, input_size - at - n);
            input_size -= n;
            break;
        case 4:                     /* double */
            if (n > input_size - at) n = input_size - at;
            if (input_size + n > LONGEST) break;
            memmove(input + at + n, input + at, input_size - at);
            input_size += n;
            break;
        default: {                  /* cross over */
            u32 other = dice(corpus_count), from;
            if (!corpus[other].size) break;
            from = dice(corpus[other].size);
            n = corpus[other].size - from;
            if (n > LONGEST - at) n = LONGEST - at;
            memcpy(input + at, corpus[other].octets + from, n);
            if (at + n > input_size) input_size = at + n;
        }
        }
    }
}

static bool news(void)
{
    bool found = false;
    for (u32 i = 0; i < EDGES; i++)
        if (edges[i] && !known[i]) known[i] = found = true;
    return found;
}

static void adopt(void)
{
    if (corpus_count >= MOST) return;
    corpus[corpus_count].octets = malloc(input_size + 1);
    memcpy(corpus[corpus_count].octets, input, input_size);
    corpus[corpus_count++].size = input_size;
}

int main(int count, char **words)
{
    if (count != 3) { fprintf(stderr, "usage: batch_fuzz SECONDS DIRECTORY\n"); return 2; }
    const char *libraries[] = {"libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1"};
    u32 l = 0;
    while (l < 3 && batch_library(libraries[l], PLAIN_HASHES | OWN_AES | OWN_WIDE)) l++;
    if (l == 3) { fprintf(stderr, "no libcrypto\n"); return 2; }
    snprintf(crash_path, sizeof crash_path, "%s/../crash", words[2]);
    __asan_set_death_callback(keep_crash);
    DIR *directory = opendir(words[2]);
    if (!directory) { perror(words[2]); return 2; }
    for (struct dirent *one; (one = readdir(directory));) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", words[2], one->d_name);
        FILE *f = one->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f) continue;
        input_size = (u32)fread(input, 1, LONGEST, f);
        fclose(f);
        run(input, input_size);
        news();
        adopt();
    }
    closedir(directory);
    u32 replayed = corpus_count;
    if (!corpus_count) adopt();
    u64 runs = 0;
    for (time_t end = time(NULL) + atoi(words[1]); time(NULL) < end; runs++) {
        u32 one = dice(corpus_count);
        memcpy(input, corpus[one].octets, input_size = corpus[one].size);
        vary();
        memset(edges, 0, sizeof edges);
        run(input, input_size);
        if (!news()) continue;
        adopt();
        char path[1024];
        snprintf(path, sizeof path, "%s/%08x", words[2], dice(1u << 31));
        FILE *f = fopen(path, "wb");
        if (f) { fwrite(input, 1, input_size, f); fclose(f); }
    }
    u32 reached = 0;
    for (u32 i = 0; i < EDGES; i++) reached += known[i];
    printf("%u inputs replayed, %llu tried, %u kept, %u edges; packets: %llu in, %llu out\n", replayed,
           (unsigned long long)runs, corpus_count - replayed, reached,
           (unsigned long long)came_in, (unsigned long long)went_out);
    return 0;
}
