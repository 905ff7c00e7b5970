"""What a process that is to be confined is born with, and what it can ask of the one that bore it.

A fresh interpreter, not a fork: a fork would hold a copy of every secret.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from culvert.driver.channel import Channel
from culvert.driver.message import MessageError
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import CertificateJudged, JudgeCertificate, Sign, Signed
from culvert.ike.wire.identity import Identity
from culvert.netio.tun import Tun

HANDED_DOWN = frozenset(
    (
        "CULVERT_ENGINE",
        "CULVERT_LIBCRYPTO",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "TZ",
    )
)
"""Variables of the environment that a worker sees: it is no place to find a secret in."""

FOR_THE_MONITOR = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Who stops a service sends these to all of its processes: a terminal, timeout(1), systemd. The
monitor alone heeds them; the others end when it tells them, or is gone."""

READY = 60.0
"""Seconds for a worker to come up: a slow machine takes two, an emulated one thirty."""

EMPTY = "empty"
"""Below the state directory: the root directory of a worker, with nothing in it."""

_Answer = TypeVar("_Answer")


def handed_down() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key in HANDED_DOWN}


@contextmanager
def signals_kept_off() -> Generator[None, None, None]:
    """A process started in here has `FOR_THE_MONITOR` blocked from its first instruction on, long
    before its interpreter could ask for that. Here they wait as long."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_MONITOR)
    try:
        yield
    finally:
        # Not the mask of before: that may be one of another start under way.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_MONITOR)


def leave_signals_to_the_monitor() -> None:
    """In a process that the monitor has started."""
    for number in FOR_THE_MONITOR:
        signal.signal(number, signal.SIG_IGN)


def empty_root(state: Path) -> str:
    """The root directory of confined processes, made if it is not there."""
    empty = state / EMPTY
    empty.mkdir(mode=0o555, parents=True, exist_ok=True)
    return str(empty.resolve())


def told(orders: object) -> int:
    """An open file in memory with ``orders``, for the one process that it is handed to. `Secret`
    refuses to be pickled, so that none can slip in."""
    descriptor = os.memfd_create("culvert-orders")
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        pickle.dump(orders, stream)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def heard(descriptor: int) -> object:
    """What `told` was given. In this direction only: a worker's word is never unpickled."""
    with os.fdopen(descriptor, "rb") as stream:
        return pickle.load(stream)  # noqa: S301


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What an end shows of itself; the key is a name, for the vault."""

    key: str
    payloads: tuple[bytes, ...]
    identity: Identity


@dataclass(frozen=True, slots=True)
class TunEnd:
    """A TUN device that somebody else has opened."""

    descriptor: int
    name: str
    virtio: bool
    offloads: tuple[str, ...]
    lanes: tuple[int, ...] = ()

    def opened(self) -> Tun:
        tun, *lanes = (
            Tun(one, self.name, virtio=self.virtio, offloads=self.offloads)
            for one in (self.descriptor, *self.lanes)
        )
        tun.lanes = tuple(lanes)
        return tun


class FarVault(NoSurroundings):
    """Orders to the vault, over the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def sign(self, order: Sign) -> Signed:
        return await self._ask(order, Signed)

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged:
        return await self._ask(order, CertificateJudged)

    async def _ask(self, order: object, wanted: type[_Answer]) -> _Answer:
        answer = (await self._channel.ask({"order": order})).get("answer")
        if not isinstance(answer, wanted):
            raise MessageError(f"{type(order).__name__} is answered with something else")
        return answer
