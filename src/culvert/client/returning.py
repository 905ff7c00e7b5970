"""Coming back by itself: when a lost connection is tried again, and for how long.

lost ──> wait ──> attempt ── answered ──> up
          ^          │
          └─ silent ─┘     until `seconds` have passed since the loss
"""

from __future__ import annotations

from math import inf

from culvert.rng import Random

RECOVERABLE = frozenset(
    ("lost-peer", "no-answer", "peer-reboot", "peer-shutdown", "line-polling-failed")
)
"""Endings after which the same connection may work again without anybody doing anything."""
ENDED = RECOVERABLE | {"idle-timeout", "max-connect-time", "lifetime-expired"}
"""The same for a connection that is to stand always (`keepalive` 9999)."""
UNREACHED = frozenset(("no-answer", "lost-peer", "resolve-failed"))
"""Endings of an attempt that another gateway, or a later moment, may not share."""

FIRST_WAITS = (0.5, 1.0, 2.0)
USUAL_WAIT = 3.0
"""A gateway that was restarted is to be found within 5 s of its first answer; connecting takes less
than one of them."""
PATIENT_AFTER = 300.0
PATIENT_WAIT = 20.0
"""Who was away for minutes was not restarted: no need to knock so often, for weeks perhaps."""
SPREAD = 0.25
"""The part of a wait that is chance, so that the clients of one gateway do not come together."""
ATTEMPT = 4.0
"""Seconds for a gateway to answer an attempt's first message. Three copies go out in that time."""

SETTLING = 15.0
"""Seconds from the login to being up. A gateway that goes down answers for a moment more, and what
it was told then is lost; the usual patience with silence, a minute and a half, is too much here."""


class Returning:
    """``seconds`` 0 never comes back. ``always``: at once, and for as long as it takes."""

    def __init__(self, seconds: float, rng: Random, *, always: bool = False) -> None:
        self._seconds = inf if always else seconds
        self._always = always
        self._rng = rng
        self._since = inf
        self.attempt = 0
        self.reason = ""
        """Why the connection was lost; not why attempts since came to nothing."""
        self.at = inf
        """When the next attempt begins."""

    @property
    def under_way(self) -> bool:
        return self._since < inf

    def wanted(self, reason: str) -> bool:
        """Whether what ended for ``reason`` is to be tried again."""
        usual = ENDED if self._always else RECOVERABLE
        return bool(self._seconds) and reason in (UNREACHED if self.under_way else usual)

    def again(self, reason: str, now: float) -> float | None:
        """Seconds until the next attempt, or None when it has been tried for long enough."""
        if not self.under_way:
            self._since, self.reason = now, reason
        lasted = now - self._since
        wait = PATIENT_WAIT if lasted > PATIENT_AFTER else USUAL_WAIT
        if self.attempt < len(FIRST_WAITS):
            wait = FIRST_WAITS[self.attempt]
        if self._always and not self.attempt:
            wait = 0.0
        wait *= 1 - SPREAD * self._rng.octets(1)[0] / 255
        if lasted + wait > self._seconds:
            return None
        self.attempt += 1
        self.at = now + wait
        return wait

    def begun(self) -> None:
        """The attempt runs."""
        self.at = inf

    def found(self, now: float) -> None:
        """The gateway is there and answers already, but knows the old connection no more."""
        self._since, self.attempt, self.reason = now, 1, "lost-peer"

    def over(self) -> None:
        """Up again, or given up."""
        self._since, self.at, self.attempt = inf, inf, 0
