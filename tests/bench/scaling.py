"""One worker against two, under a load that leaves them the processors (root).

    PYTHONPATH=src:tests python -m bench.scaling [--pairs 5] [--octets 160] [--only WORDS]

A lab of its own is built and removed: one namespace calls, and each of two others holds a gateway,
with one worker and with two. Both have 64 sessions (`bench.load`) and are measured in turn
(A B A B). What comes out of a TUN is dropped before routing; nobody receives it. The suite costs
the gateway many times what sending costs the load. Real clients on the same processors:
`bench.workers`.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

import pytest

from bench import calls
from bench.load import PAYLOAD, Blast, Sealer, blast, opened, settled, worker_of
from bench.processes import busy, family, spent
from bench.report import Result, Share
from bench.road import (
    IDLE,
    LOAD,
    WORKERS,
    Gateway,
    Road,
    beside_one,
    callers,
    host,
    of_each,
    place,
    prefer,
    profile,
)
from culvert.driver.engine import ENGINE_VARIABLE
from culvert.lab import namespace, topology
from soak.crowd import Crowd

PREFIX = "benchl"
SESSIONS = 64
MILLION = 1_000_000
PAIRS, OCTETS = 5, 160
"""Million octets of packets for each worker and round: a second of its work, or more."""
MOST_LOST = 0.001
MOST_CALLS = 3
"""Pairs of rounds of set-ups."""


@dataclass(frozen=True)
class Case:
    """``engine`` of the gateway; ``suite`` of ESP."""

    name: str
    engine: str
    suite: str


CASES = (
    Case("3DES", "kernel", "3des-sha1"),
    Case("pure Python, AES-128-GCM", "python", "aes128gcm16"),
)


@dataclass
class Loaded:
    """A gateway and its crowd. ``shares``: the sessions of each worker."""

    gateway: Gateway
    crowd: Crowd
    sealer: Sealer
    pids: tuple[int, ...]
    shares: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def workers(self) -> int:
        return self.gateway.workers


@dataclass(frozen=True)
class Round:
    """``cpu``: processor seconds of each process of the gateway, the busiest first; ``others``: of
    whatever else this machine did meanwhile. ``lost``: packets that never came out of a TUN."""

    blast: Blast
    cpu: tuple[float, ...]
    others: float
    lost: int

    def __str__(self) -> str:
        found = self.blast
        used = " + ".join(f"{one / found.seconds:.0%}" for one in self.cpu if one >= IDLE)
        return (
            f"{found.rate:.2f} Gbit/s of {found.packets} packets, {self.per_second:.2f} Gbit a "
            f"processor second; gateway {used}, load {found.own / found.seconds:.0%}, others "
            f"{self.others / found.seconds:.0%} of a processor; {self.lost} lost; by worker "
            + " ".join(map(str, found.each))
        )

    @property
    def per_second(self) -> float:
        """Gbit for a second of the gateway's processor time."""
        return self.blast.rate * self.blast.seconds / sum(self.cpu)


@contextmanager
def loaded(lab: Road, workers: int, case: Case) -> Iterator[Loaded]:
    """A gateway with its sessions, all of which carry a packet that arrives as it was sent."""
    general = {"phase2": [case.suite]}
    gateway = Gateway(lab, where=place(workers), general=general, workers=workers)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(ENGINE_VARIABLE, case.engine)
        gateway.start()
    try:
        crowd = lab.inside(LOAD, lambda: called(workers, SESSIONS, case.suite))
        payload = bytes(range(256)) * (PAYLOAD // 256) + bytes(PAYLOAD % 256)
        found = Loaded(
            gateway,
            crowd,
            Sealer(crowd.orders, topology.SERVER, payload),
            family(gateway.running.pid),
            [
                [number for number, order in crowd.orders.items() if worker_of(order, workers) == w]
                for w in range(workers)
            ],
        )
        check_payload(lab, found, payload)
        with nobody_behind(lab, gateway):
            yield found
        crowd.disconnect()
    finally:
        gateway.stop()


def called(workers: int, count: int, suite: str) -> Crowd:
    asked = profile(workers, "aes128-sha2_256-modp2048", suite)
    crowd = Crowd(host(workers), count, asked, network=callers(workers))
    crowd.connect()
    return crowd


def check_payload(lab: Road, on: Loaded, payload: bytes) -> None:
    """A packet through every tunnel, compared with the original."""

    def receiver() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((topology.SERVER, 53))
        made.settimeout(10.0)
        return made

    with lab.inside(on.gateway.where, receiver) as sink:
        for number, order in on.crowd.orders.items():
            datagram = on.sealer.train(number, 1).octets
            on.crowd.sockets[number].sendto(datagram, (host(on.workers), 4500))
            octets, (source, _) = sink.recvfrom(65535)
            if octets != payload or source != order.local[0].partition("/")[0]:
                raise SystemExit(f"session {number}: the payload arrived different")


@contextmanager
def nobody_behind(lab: Road, gateway: Gateway) -> Iterator[None]:
    """What comes out of a TUN goes no further."""
    rules = (
        "table ip bench { chain in { type filter hook prerouting priority raw; "
        'iifname "culvert*" counter drop; }; }'
    )
    nft = namespace.tool("nft")
    lab.run(gateway.where, [nft, "-f", "-"], given=rules)
    try:
        yield
    finally:
        lab.run(gateway.where, [nft, "delete", "table", "ip", "bench"])


def measured(on: Loaded, octets: int) -> Round:
    """``octets`` for each worker."""
    supplies = [on.sealer.ahead(numbers, octets) for numbers in on.shares]
    pid = on.pids[0]
    at_first = opened(pid, on.gateway.tuns)
    before, busy_before = [spent([one]) for one in on.pids], busy()
    found = blast(on.crowd, host(on.workers), supplies, pid, on.gateway.tuns)
    cpu = [spent([one]) - then for one, then in zip(on.pids, before, strict=True)]
    others = busy() - busy_before - sum(cpu) - found.own
    lost = found.sent - (sum(settled(pid, on.gateway.tuns)) - sum(at_first)) // PAYLOAD
    return Round(found, tuple(sorted(cpu, reverse=True)), max(others, 0.0), lost)


def rounds(
    lab: Road, case: Case, pairs: int = PAIRS, octets: int = OCTETS
) -> Iterator[tuple[Round, Round]]:
    """One worker, two workers; again and again."""
    with ExitStack() as stack:
        one, two = (stack.enter_context(loaded(lab, workers, case)) for workers in WORKERS)
        if min(map(len, two.shares)) < SESSIONS // 4:
            raise SystemExit(f"the sessions are not spread: {[len(each) for each in two.shares]}")
        for _ in range(pairs):
            yield measured(one, octets * MILLION), measured(two, octets * MILLION)


def result(case: Case, found: Sequence[tuple[Round, Round]]) -> Result:
    for pair in found:
        for each in pair:
            if each.lost > MOST_LOST * each.blast.packets:
                raise SystemExit(f"{case.name}: packets were lost: {each}")
    return beside_one(
        f"{SESSIONS} sessions, {case.name}, two workers beside one",
        "Gbit/s",
        [(one.blast.rate, two.blast.rate) for one, two in found],
    )


def shares(case: Case, found: Sequence[tuple[Round, Round]]) -> list[Share]:
    """What the processors did meanwhile."""
    return [
        Share(
            f"{SESSIONS} sessions, {case.name}",
            workers,
            round(median(one.blast.rate for one in column), 2),
            "Gbit/s",
            round(median(one.per_second for one in column), 2),
            of_each([one.cpu for one in column], [one.blast.seconds for one in column]),
            round(median(one.blast.own / one.blast.seconds for one in column), 3),
            round(median(one.others / one.blast.seconds for one in column), 3),
            sum(one.lost for one in column),
        )
        for workers, column in zip(WORKERS, zip(*found, strict=True), strict=True)
    ]


def results(
    pairs: int = PAIRS, octets: int = OCTETS, only: str = ""
) -> tuple[list[Result], list[Share]]:
    """All figures, which are printed as they come; and what the processors did."""
    made: list[Result] = []
    told: list[Share] = []
    prefer(os.getpid())
    with Road(PREFIX) as lab:
        for case in [one for one in CASES if only in one.name]:
            found: list[tuple[Round, Round]] = []
            for one, two in rounds(lab, case, pairs, octets):
                print(f"{case.name}: one worker  {one}\n{case.name}: two workers {two}", flush=True)
                found.append((one, two))
            made.append(result(case, found))
            told += shares(case, found)
        for asked in [one for one in calls.SETUPS if only in one.name]:
            seen: list[tuple[calls.SetUp, calls.SetUp]] = []
            for one, two in calls.set_ups(lab, asked, min(pairs, MOST_CALLS)):
                print(f"{asked.name}: one worker  {one}", flush=True)
                print(f"{asked.name}: two workers {two}", flush=True)
                seen.append((one, two))
            made.append(calls.result(asked, seen))
            told += calls.shares(asked, seen)
    return made, told


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--pairs", type=int, default=PAIRS)
    words.add_argument("--octets", type=int, default=OCTETS, help="millions of each worker")
    words.add_argument("--only", default="", help="figures whose name holds this word")
    given = words.parse_args()
    found, _ = results(given.pairs, given.octets, given.only)
    for one in found:
        print(
            f"{one.figure}: {one.value:g} {one.unit}, {one.peer} {one.peer_value:g}: "
            f"{one.ratio:g} x, {one.lower_quartile:g} in the worse quartile"
        )


if __name__ == "__main__":
    main()
