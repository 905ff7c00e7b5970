"""Tunnels set up per second by a gateway with one worker and with two (`bench.scaling` runs it).

All clients are one process (`soak.crowd`). In one of the two cases key exchange costs
the gateway some ten milliseconds and the clients nothing, so that the gateway has the processors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import pytest

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
    profile,
)
from culvert.crypto.dh import KeyPair
from culvert.ike import aggressive, quick
from culvert.rng import Random
from culvert.tables.algorithms import GROUPS
from interop.ours import until
from soak.crowd import Crowd

AT_ONCE = 64
"""Calls under way at a time: every worker has some to answer."""
LEAST_SHARE = 0.75
"""Of the tunnels that one worker sets up in a second of processor time: questions to the ledger and
words between workers cost the rest."""


@dataclass(frozen=True)
class Asked:
    """What clients ask for when the control path is measured; ``light``: they do not pay for the
    key exchange themselves."""

    name: str
    phase1: str
    phase2: str
    pfs: str
    tunnels: int
    light: bool


SETUPS = (
    Asked("modp6144 twice", "aes256-sha2_256-modp6144", "aes256-sha2_256", "modp6144", 128, True),
    Asked("modp2048", "aes256-sha2_256-modp2048", "aes256-sha2_256", "", 300, False),
)


@dataclass(frozen=True)
class SetUp:
    """``tunnels`` in so many ``seconds``. ``cpu``: processor seconds of each process of the
    gateway, the busiest first; ``own``: of the clients; ``others``: of whatever else there was."""

    tunnels: int
    seconds: float
    cpu: tuple[float, ...]
    own: float
    others: float

    @property
    def rate(self) -> float:
        return self.tunnels / self.seconds

    @property
    def of_processor(self) -> float:
        return self.tunnels / sum(self.cpu)

    def __str__(self) -> str:
        used = " + ".join(f"{one / self.seconds:.0%}" for one in self.cpu if one >= IDLE)
        return (
            f"{self.rate:.0f} tunnels/s, gateway {used} of a processor, "
            f"{1e3 / self.of_processor:.1f} ms each; clients {self.own / self.seconds:.0%}, others "
            f"{self.others / self.seconds:.0%}"
        )


def cheap_pair(group: int, rng: Random) -> KeyPair:
    """Of a client that need not hide anything: raising to it costs nothing, and answers cost the
    gateway what they always do."""
    (row,) = [row for row in GROUPS if row.number == group]
    return KeyPair(group, (4).to_bytes(row.octets, "big"), b"\x02")


def set_up(lab: Road, gateway: Gateway, asked: Asked) -> SetUp:
    """Everybody calls; then everybody goes."""
    workers = gateway.workers
    wanted = profile(workers, asked.phase1, asked.phase2, asked.pfs)
    crowd = lab.inside(
        LOAD,
        lambda: Crowd(
            host(workers), asked.tunnels, wanted, network=callers(workers), at_once=AT_ONCE
        ),
    )
    pids = family(gateway.running.pid)
    with pytest.MonkeyPatch.context() as patched:
        if asked.light:
            for module in (aggressive, quick):
                patched.setattr(module, "key_pair", cheap_pair)
        before, busy_before = [spent([pid]) for pid in pids], busy()
        began, own = time.monotonic(), time.process_time()
        crowd.connect()
        seconds, own = time.monotonic() - began, time.process_time() - own
        cpu = [spent([pid]) - then for pid, then in zip(pids, before, strict=True)]
        others = max(busy() - busy_before - sum(cpu) - own, 0.0)
    crowd.disconnect()
    until("all are gone", lambda: not gateway.sessions, seconds=60)
    return SetUp(asked.tunnels, seconds, tuple(sorted(cpu, reverse=True)), own, others)


def set_ups(lab: Road, asked: Asked, pairs: int) -> Iterator[tuple[SetUp, SetUp]]:
    """One worker, two workers; again and again."""
    general = {"phase1": [asked.phase1], "phase2": [asked.phase2]}
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(
                Gateway(lab, where=place(workers), general=general, workers=workers)
            )
            for workers in WORKERS
        )
        for _ in range(pairs):
            yield set_up(lab, one, asked), set_up(lab, two, asked)


def result(asked: Asked, found: Sequence[tuple[SetUp, SetUp]]) -> Result:
    """Two workers cost hardly more than one; the clients and the monitor need processors, too, so
    the rate by the clock says less."""
    pairs = [(one.of_processor, two.of_processor) for one, two in found]
    figure = f"set-ups in a second of the gateway's processor time, {asked.name}"
    return beside_one(f"{figure}, two workers beside one", "1/s", pairs, LEAST_SHARE)


def shares(asked: Asked, found: Sequence[tuple[SetUp, SetUp]]) -> list[Share]:
    """What the processors did meanwhile."""
    return [
        Share(
            f"set-ups, {asked.name}",
            workers,
            round(median(one.rate for one in column)),
            "1/s",
            round(median(one.of_processor for one in column)),
            of_each([one.cpu for one in column], [one.seconds for one in column]),
            round(median(one.own / one.seconds for one in column), 3),
            round(median(one.others / one.seconds for one in column), 3),
            0,
        )
        for workers, column in zip(WORKERS, zip(*found, strict=True), strict=True)
    ]
