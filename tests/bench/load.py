"""A load that costs next to nothing while it is measured: sessions of real clients in one process
(`soak.crowd`), and ESP that was sealed before, sent a train of datagrams per system call.

What the gateway has opened is read from its TUNs' counters in /proc, and no more is under way to
a worker than its sockets hold: it never waits, and what is lost is lost by the gateway.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from culvert.effects import InstallSa
from culvert.inet.lane import LANES
from culvert.netio.udp import MAX_TRAIN_OCTETS, UDP_SEGMENT
from culvert.rng import SystemRandom
from datapath.engines import make
from datapath.orders import udp
from soak.crowd import NATT_PORT, Crowd

PAYLOAD = 1372
"""Octets of UDP: packets of 1,400."""
OVERHEAD = 28
PACKET = OVERHEAD + PAYLOAD
UNDER_WAY = 1_500_000
"""Octets to one worker at a time: less than a socket holds, and 5 ms of the fastest one's work."""
BETWEEN = 0.0005  # seconds from one look at the counters to the next
PATIENCE = 20.0
SETTLING = 0.2
SEALERS = 2
SOL_UDP = 17


class LoadError(Exception):
    """The load did not do what the figure is about."""


@dataclass(frozen=True)
class Train:
    """Datagrams of one session, in order. ``packets``: how many."""

    session: int
    octets: bytes
    packets: int


@dataclass(frozen=True)
class Blast:
    """``each``: packets out of each worker's TUN in so many ``seconds``, of those ``sent``;
    ``own``: processor seconds of the load itself."""

    each: tuple[int, ...]
    seconds: float
    own: float
    sent: int

    @property
    def packets(self) -> int:
        return sum(self.each)

    @property
    def rate(self) -> float:
        """Gbit/s of the packets inside."""
        return self.packets * PACKET * 8 / self.seconds / 1e9


class Sealer:
    """ESP of the sessions of a crowd, each by an engine of its own."""

    def __init__(self, orders: Mapping[int, InstallSa], server: str, payload: bytes) -> None:
        self._engines = {number: make("kernel", SystemRandom()) for number in orders}
        self._packets: dict[int, bytes] = {}
        for number, order in orders.items():
            self._engines[number].install(order)
            self._engines[number].activate(order.session, order.pair)
            source = order.local[0].partition("/")[0]
            self._packets[number] = udp(source, server, payload)

    def train(self, number: int, packets: int = 0) -> Train:
        """The next datagrams of this session, as many as one system call takes."""
        packet = self._packets[number]
        count = packets or MAX_TRAIN_OCTETS // (len(packet) + 100)
        sealed = [
            datagram
            for burst in self._engines[number].from_tunnel([packet] * count, 0.0).bursts
            for datagram in burst.datagrams
        ]
        if len(sealed) != count or len({len(one) for one in sealed}) != 1:
            raise LoadError(f"{count} packets were sealed into {len(sealed)} datagrams")
        return Train(number, b"".join(sealed), count)

    def ahead(self, numbers: Sequence[int], octets: int) -> list[Train]:
        """Trains of these sessions in turn, ``octets`` of packets in all."""
        of_one = MAX_TRAIN_OCTETS // (PACKET + 100)
        rounds = 1 + octets // (of_one * PACKET * len(numbers))

        def several(number: int) -> list[Train]:
            return [self.train(number) for _ in range(rounds)]

        with ThreadPoolExecutor(SEALERS) as pool:  # sealing does not hold Python's lock
            made = list(pool.map(several, numbers))
        return [train for turn in zip(*made, strict=True) for train in turn]


def worker_of(order: InstallSa, workers: int) -> int:
    """Which worker the kernel gives this client's ESP (`culvert.netio.lanes`)."""
    return order.outbound.spi // LANES % workers


def split(trains: Train) -> int:
    """Octets of one datagram."""
    return len(trains.octets) // trains.packets


def opened(pid: int, tuns: Sequence[str]) -> list[int]:
    """Octets of UDP payload that came out of each TUN in the namespace of this process. Packets
    that were joined have one header among them, so the counts of both are needed."""
    found: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/net/dev").read_text("ascii").splitlines():
        name, _, counts = line.partition(":")
        if name.strip() in tuns:
            octets, packets = map(int, counts.split()[:2])
            found[name.strip()] = octets - OVERHEAD * packets
    if len(found) != len(tuns):
        raise LoadError(f"no interface of: {', '.join(tuns)}")
    return [found[name] for name in tuns]


def blast(
    crowd: Crowd, gateway: str, supplies: Sequence[list[Train]], pid: int, tuns: Sequence[str]
) -> Blast:
    """Each worker's supply, until the first one's is used up. ``pid``: a process of the gateway."""
    waiting = [list(reversed(supply)) for supply in supplies]
    size = split(waiting[0][-1])
    for one in crowd.sockets:
        one.setsockopt(SOL_UDP, UDP_SEGMENT, size)
        one.setblocking(True)
    to = (gateway, NATT_PORT)
    sent = [0] * len(waiting)
    before = opened(pid, tuns)
    began, own = time.monotonic(), time.process_time()
    while True:
        done = [now - then for now, then in zip(opened(pid, tuns), before, strict=True)]
        if not all(waiting):
            break
        for worker, supply in enumerate(waiting):
            while supply and sent[worker] - done[worker] < UNDER_WAY:
                train = supply.pop()
                crowd.sockets[train.session].sendto(train.octets, to)
                sent[worker] += train.packets * PAYLOAD
        if time.monotonic() > began + PATIENCE:
            raise LoadError(f"of {sent} octets sent {done} came out of the TUNs: too much was lost")
        time.sleep(BETWEEN)
    seconds, own = time.monotonic() - began, time.process_time() - own
    each = tuple([octets // PAYLOAD for octets in done])
    return Blast(each, seconds, own, sum(sent) // PAYLOAD)


def settled(pid: int, tuns: Sequence[str]) -> list[int]:
    """What has come out of the TUNs once no more does."""
    last: list[int] = []
    while (now := opened(pid, tuns)) != last:
        last = now
        time.sleep(SETTLING)
    return last
