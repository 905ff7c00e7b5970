"""Runs as a program inside a router of the lab: holds each packet for a moment, each another time.

    python shaky.py INTERFACE SECONDS

The kernel of a lab may have no netem, so the router sends what it forwards into this TUN device; it
comes out of there up to ``SECONDS`` later, and one packet overtakes another.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time
from itertools import count
from math import inf

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
LARGEST = 65_535


def opened(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def main() -> None:
    device, longest = opened(sys.argv[1]), float(sys.argv[2])
    held: list[tuple[float, int, bytes]] = []
    number = count()
    print("ready", flush=True)
    while True:
        wait = held[0][0] - time.monotonic() if held else inf
        ready, _, _ = select.select([device], [], [], None if wait == inf else max(wait, 0.0))
        now = time.monotonic()
        if ready:
            packet = os.read(device, LARGEST)
            heapq.heappush(held, (now + random.uniform(0.0, longest), next(number), packet))
        while held and held[0][0] <= now:
            os.write(device, heapq.heappop(held)[2])


if __name__ == "__main__":
    main()
