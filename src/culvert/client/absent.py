"""Pairs that a gateway took away: when they are asked for again, ever more rarely.

Without a pause that grows, a gateway that agrees to a pair and deletes it at once would be asked
for ever, every two seconds, and one that keeps silent about it with every try.
"""

from __future__ import annotations

from math import inf

FIRST_WAIT = 2.0
"""Seconds until the first question. A gateway that ends everything deletes the pairs first, and its
next message says so; one that renews them has the new ones before it deletes the old."""
SLOWER = 4
"""Times as long is the next wait, each time."""
LONGEST_WAIT = 600.0
"""Seconds between two questions that came to nothing; each of them is repeated for a while."""
CALM = 1200.0
"""Seconds after a question until the next loss is a new trouble, not the same one."""


class Absent:
    """``at`` is when to look whether all pairs are there; inf: nothing is known to be missing."""

    def __init__(self) -> None:
        self.at = inf
        self._wait = FIRST_WAIT
        self._asked = -inf

    def lost(self, now: float) -> None:
        """A pair went; it may have a successor."""
        if now >= self._asked + CALM:
            self._wait = FIRST_WAIT
        self.at = min(self.at, now + self._wait)

    def asked(self, now: float) -> None:
        """For what is missing; a look later tells what came of it."""
        self._asked = now
        self._wait = min(SLOWER * self._wait, LONGEST_WAIT)
        self.at = now + self._wait

    def under_way(self, now: float) -> None:
        """Something is missing still, and the question for it not yet answered."""
        self.at = now + self._wait

    def whole(self) -> None:
        """Nothing is missing."""
        self.at = inf

    def forget(self) -> None:
        """That was another IKE SA's trouble."""
        self.at, self._wait, self._asked = inf, FIRST_WAIT, -inf
