"""A tunnel that stands and brings nothing back (S4-30): found by counting, told with the counts.

A peer whose plain ESP dies at an address translator is not heard of at all, so where one is known
to be in between and NAT traversal was not agreed, waiting for it is enough; elsewhere packets must
have gone out. One packet of the peer's, and it was never so.
"""

from __future__ import annotations

from math import inf

from culvert.eventlog.diagnosis import verdict
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.vocabulary import row_of
from culvert.session.session import Counters, Problem

PATIENCE = 20.0
"""Seconds until silence counts. A person is to be told within 30; answers take less than 5."""

ENOUGH = 3
"""Packets that must have gone unanswered: one or two may have been for a computer that is off."""

NATT_MISSING = "ike.natt-missing"


class Silence:
    """Watches one session from the moment it is up. ``untraversed``: address translation was found
    and no NAT traversal agreed; ``encapsulated``: ESP travels in UDP."""

    def __init__(self, *, untraversed: bool, encapsulated: bool, now: float) -> None:
        self._untraversed = untraversed
        self._encapsulated = encapsulated
        self._out = 0
        self._over = False
        self.beside = ""
        """Who else comes from the same address and is heard in plain ESP."""
        self.problem: Problem | None = warned() if untraversed else None
        self.deadline = now + PATIENCE if untraversed else inf

    def counted(self, counters: Counters, *, now: float) -> None:
        """The counters have moved."""
        if self._over:
            return
        if counters.packets_in:
            self._over, self.problem, self.deadline = True, None, inf
            return
        self._out = counters.packets_out
        if self.deadline == inf and self.problem is None and self._out >= ENOUGH:
            self.deadline = now + PATIENCE

    def tick(self, *, now: float) -> LogEvent | None:
        """What is to be told, if it is time."""
        if now < self.deadline:
            return None
        self.deadline = inf
        fields: dict[str, Field] = {"packets_out": self._out, "packets_in": 0}
        if self._untraversed and self.beside:
            fields["other"] = self.beside
            self.problem = _problem("data.pass-through", fields)
            return LogEvent("data.pass-through", fields)
        self.problem = _problem(self._diagnosis, fields)
        return LogEvent("data.nothing-back", fields)

    @property
    def _diagnosis(self) -> str:
        if self._untraversed:
            return "data.no-natt"
        return "data.one-way" if self._encapsulated else "data.esp-blocked"


def warned() -> Problem:
    """What is foreseen at connect time (S4-31)."""
    row = row_of(NATT_MISSING)
    return Problem(NATT_MISSING, f"{row.why}.", row.action)


def _problem(diagnosis: str, fields: dict[str, Field]) -> Problem:
    found = verdict(diagnosis, fields)
    return Problem(
        found.id, f"{found.what}. {found.why}.", "; ".join(one.text for one in found.actions)
    )
