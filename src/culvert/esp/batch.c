/* The compiled engine of the data path: ESP (RFC 4303) in UDP (RFC 3948), one call per batch.
 *
 *   datagrams -> SPI -> SA -> replay, ICV, decrypt, padding -> selectors -> MSS -> join -> TUN
 *   TUN -> split super-packets -> selectors -> SA -> MSS -> pad, encrypt, ICV -> trains -> UDP
 *
 * A plain shared object for ctypes: no Python.h, no OpenSSL header; libcrypto is found with dlopen.
 * What it does must equal culvert.datapath.python_engine octet for octet; the tests compare them.
 * It knows no IKE, no ICMP and no fragments: such packets go back to Python as records.
 *
 * Memory: every octet from outside lies in a buffer of `struct work` and is reached through a
 * length that was checked against that buffer; nothing is allocated per packet. A `work` belongs
 * to one caller at a time. Tables are changed under both locks, used under one of them.
 *
 * One translation unit, so that every call on the path of a packet can be inlined: the parts below
 * are read in this order, each uses only those before it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "des.h"

#include "batch/numbers.h"
#include "batch/aes.h"
#include "batch/libcrypto.h"
#include "batch/gcm.h"
#include "batch/lanes.h"
#include "batch/hmac.h"
#include "batch/tables.h"
#include "batch/checksums.h"
#include "batch/packets.h"
#include "batch/scratch.h"
#include "batch/to_tun.h"
#include "batch/inbound.h"
#include "batch/to_network.h"
#include "batch/outbound.h"

/* Of which sources this was made, told by setup.py; made by hand it does not say. */
#ifndef BATCH_SOURCES
#define BATCH_SOURCES ""
#endif
API const char *batch_sources(void) { return BATCH_SOURCES; }
