"""What the parts of an IKE SA need of it: the phase it is in, and the few things only it may do."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from culvert.ike.channel import Channel
from culvert.ike.natt import Nat
from culvert.ike.outputs import Configuration
from culvert.ike.pairs import Pairs
from culvert.ike.settings import Settings
from culvert.ike.timers import Timers
from culvert.ike.warned import Warned
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path
from culvert.rng import Random


class Phase(Enum):
    CALLING = "calling"
    CALLED = "called"
    OFFERED = "offered"
    KEYING = "keying"
    PROVING = "proving"
    JUDGING = "judging"
    PERSON = "person"
    CONFIG = "config"
    UP = "up"
    OVER = "over"


class Owner(Protocol):
    """An IKE SA, as its dialogue, negotiator and informational side see it.

    They are given a weak proxy, for it holds them: without a circle an SA that is over is gone at
    once, its keys with it, and waits for no garbage collector.
    """

    phase: Phase
    quirks: frozenset[str]
    """Of the program at the other end (tables/quirks.toml)."""

    @property
    def settings(self) -> Settings: ...
    @property
    def channel(self) -> Channel: ...
    @property
    def pairs(self) -> Pairs: ...
    @property
    def warned(self) -> Warned: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def permitted(self) -> Configuration | None:
        """What this peer may have; None: nothing yet."""
        ...

    @property
    def rng(self) -> Random: ...
    @property
    def path(self) -> Path: ...
    @property
    def nat(self) -> Nat: ...
    @property
    def features(self) -> frozenset[str]: ...
    @property
    def encapsulated(self) -> bool: ...
    @property
    def traverses(self) -> bool: ...
    @property
    def mode(self) -> int: ...
    @property
    def initiator(self) -> bool: ...
    @property
    def half_open(self) -> bool: ...
    @property
    def in_phase1(self) -> bool: ...
    @property
    def certified(self) -> bool: ...

    def end(
        self,
        reason: str,
        *,
        now: float,
        by_peer: bool = False,
        detail: str = "",
        told: Reason | None = None,
    ) -> None: ...
    def doubt(self, reason: str, now: float, detail: str = "") -> None: ...
    def reject(self, reason: str, detail: str, now: float) -> None: ...
    def disputed(self) -> None: ...
    def came_from(self, path: Path) -> None: ...
    def wait_for_answer(self, message_id: int, octets: bytes, reason: str, now: float) -> None: ...
    def phase1_over(self, now: float) -> None: ...
    def lives(self, seconds: float, now: float) -> None: ...
    def tell_life(self) -> None: ...
    def remove_pair(self, number: int) -> None: ...
    def pair_deleted(self, number: int) -> None: ...
    def quick_refused(self, spi: int, why: str, now: float) -> None: ...
    def tell_differences(self, phase: int, differences: tuple[object, ...], whose: str) -> None: ...


def spi_text(number: int) -> str:
    """An SPI as logs print it: network order."""
    return f"0x{number:08x}"
