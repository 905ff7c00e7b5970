"""Line polling: is anybody behind the gateway still there? LANCOM's course of it (S3-21, S3-25).

calm ── no answer within `interval` ──> asking each second ── `retries` more in vain ──> over
  ^                                            │
  └──────────── any answer ────────────────────┘

DPD asks the gateway; this asks through the tunnel, and finds one that stands and carries nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

FAST = 1.0
"""Seconds between two questions once one was missed."""
FAREWELL = 0.01
"""Seconds from the last miss to the error that ends the line, as LANCOM's trace shows them."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask every target now, with this number."""

    sequence: int
    patience: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Nobody answered. ``first`` of several; ``retries`` that are left, 0 of them: it is over."""

    first: bool
    retries: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody has answered for ``seconds``."""

    seconds: float


Act = Ask | Missed | Failed


class Polling:
    """Of one connection. Any target's answer counts for all of them."""

    def __init__(self, *, interval: float, retries: int) -> None:
        self._interval = interval
        self._retries = retries
        self._left = retries
        self._sequence = 0
        self._answered = 0  # the newest question that got an answer
        self._since = 0.0
        self._over = False
        self.missed = 0
        """Questions without an answer, one after the other."""
        self.deadline = inf

    def begin(self, now: float) -> Ask:
        """The line is up."""
        self._since = now
        self._over = False
        self._calm()
        return self._ask(now, self._interval)

    def stop(self) -> None:
        """It is not up any more."""
        self.deadline = inf

    def tick(self, now: float) -> tuple[Act, ...]:
        """What is to be told and done, in this order."""
        if now < self.deadline:
            return ()
        if self._over:
            self.deadline = inf
            return (Failed(now - self._since),)
        if self._answered == self._sequence:
            return (self._ask(now, self._interval),)
        first, self.missed = not self.missed, self.missed + 1
        missed = Missed(first, self._left)
        if not self._left:
            self._over = True
            self.deadline = now + FAREWELL
            return (missed,)
        self._left -= 1
        return (missed, self._ask(now, FAST))

    def answered(self, sequence: int, now: float) -> bool:
        """Whether this answers a question that was still open."""
        if self.deadline == inf or not self._answered < sequence <= self._sequence:
            return False
        self._answered = self._sequence
        self._since = now
        self._over = False
        if self.missed:
            self.deadline = now + self._interval
        self._calm()
        return True

    def _calm(self) -> None:
        self.missed, self._left = 0, self._retries

    def _ask(self, now: float, within: float) -> Ask:
        self._sequence = self._sequence % 0xFFFF + 1  # 16 bits in the packet (RFC 792)
        if self._sequence == 1:
            self._answered = 0
        self.deadline = now + within
        return Ask(self._sequence, within)
