"""Strangers: what goes to addresses that nobody has proved, and which of many callers are heard.

An address is proved when a cookie of ours that went there comes back from there. Until then whoever
called may have forged it, so all answers to such addresses together have a budget of octets. And
when many call at once, the first call of each is only remembered, in a filter of fixed size:
clients call again after a second or a few, and forged addresses hardly ever do (as mail servers
tell senders of spam by "try again later", and scrubbers of SYN floods drop the first SYN).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf

from culvert.eventlog.event import Field, LogEvent
from culvert.rng import Random

OCTETS_PER_SECOND = 512_000
"""4 Mbit/s: no line worth aiming at is filled by that. An answer in aggressive mode has some 450
octets, so it is more logins a second than one core computes."""
BURST = 512_000
"""A thousand answers at once: everybody comes back after a power cut."""
CROWD = 0.5
"""Share of the half-open exchanges, or of the burst, from which on callers have to call twice."""
GENERATION = 16.0
"""Seconds. A call counts as heard for one to two of them: slow clients call again after ten."""
CELLS = 1 << 23
"""Bits of one generation's filter, 1 MiB. At 20,000 forged calls a second one in 700 of them passes
for a second call by chance."""
MARKS = 3
"""Bits that a call sets in it."""
MARK_OCTETS = 3
TOLD_EVERY = 60.0
"""Seconds between two events of one kind while a flood goes on; the counters are exact."""


@dataclass(slots=True)
class Generation:
    """Calls of one span of time."""

    began: float = -inf
    cells: bytearray = field(default_factory=bytearray)

    def begin(self, now: float) -> None:
        self.began, self.cells = now, bytearray(CELLS // 8)

    def has(self, marks: list[int]) -> bool:
        cells = self.cells
        return bool(cells) and all(cells[mark >> 3] >> (mark & 7) & 1 for mark in marks)

    def add(self, marks: list[int]) -> None:
        for mark in marks:
            self.cells[mark >> 3] |= 1 << (mark & 7)


class Strangers:
    """``heard``, ``sent``: octets of first messages, and of all answers before a proof; ``held``:
    answers that the budget did not allow; ``waved_off``: first calls of a crowd."""

    def __init__(self, rng: Random, *, rate: int, burst: int) -> None:
        self.heard = self.sent = self.held = self.waved_off = 0
        self._rng = rng
        self._rate, self._burst = rate, burst
        self._left, self._counted = float(burst), -inf
        self._key = b""
        self._young, self._old = Generation(), Generation()
        self._told: dict[str, float] = {}

    @property
    def counts(self) -> dict[str, int]:
        """For the operator."""
        return {
            "octets_heard": self.heard,
            "octets_sent": self.sent,
            "answers_held_back": self.held,
            "first_calls_not_answered": self.waved_off,
            "octets_per_second": self._rate,
            "burst": self._burst,
        }

    # --- the budget --------------------------------------------------------------------------

    def room(self, octets: int, *, now: float) -> bool:
        """Whether an answer of that size could go out now."""
        if now > self._counted:
            more = (now - self._counted) * self._rate
            self._left = min(float(self._burst), self._left + more)
            self._counted = now
        return self._left >= octets

    def pay(self, octets: int, *, now: float) -> bool:
        """Take it from the budget; False if it is not there, and the answer must not go out."""
        if not self.room(octets, now=now):
            self.held += 1
            return False
        self._left -= octets
        self.sent += octets
        return True

    # --- many at once ------------------------------------------------------------------------

    def crowded(self, half_open: int, limit: int, *, now: float) -> bool:
        """Whether so many call that each has to call twice."""
        return half_open >= limit * CROWD or not self.room(int(self._burst * CROWD), now=now)

    def called_before(self, cookie: bytes, host: str, *, now: float) -> bool:
        """Whether this is a call that came before; if not, it is remembered."""
        self._age(now)
        marks = self._marks(cookie + host.encode())
        if self._young.has(marks) or self._old.has(marks):
            return True
        self._young.add(marks)
        self.waved_off += 1
        return False

    def _age(self, now: float) -> None:
        if now < self._young.began + GENERATION:
            return
        late = now >= self._young.began + 2 * GENERATION
        self._old = Generation() if late else self._young
        self._young = Generation()
        self._young.begin(now)

    def _marks(self, call: bytes) -> list[int]:
        # Keyed: nobody outside knows which calls look alike here.
        self._key = self._key or self._rng.octets(16)
        drawn = blake2b(call, digest_size=MARKS * MARK_OCTETS, key=self._key).digest()
        return [
            int.from_bytes(drawn[at : at + MARK_OCTETS], "big") % CELLS
            for at in range(0, len(drawn), MARK_OCTETS)
        ]

    # --- telling -----------------------------------------------------------------------------

    def tell_held(self, *, now: float) -> list[LogEvent]:
        """Answers are held back."""
        if not self._tells("held", now):
            return []
        fields: dict[str, Field] = {"limit": self._rate, "count": self.held}
        return [LogEvent("ike.strangers-held-back", fields)]

    def tell_crowd(self, *, now: float) -> list[LogEvent]:
        """Callers have to call twice."""
        if not self._tells("crowd", now):
            return []
        return [LogEvent("ike.strangers-crowd", {"count": self.waved_off})]

    def _tells(self, kind: str, now: float) -> bool:
        if now < self._told.get(kind, -inf) + TOLD_EVERY:
            return False
        self._told[kind] = now
        return True
