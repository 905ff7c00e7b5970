"""Lockout: too many failures of one user from one source, and both rest for a while.

Every attempt counts as a failure from the moment it begins until it proves right, so that many
guesses sent at once are not checked before the first of them has been counted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ENTRIES = 10_000
"""Pairs of user and source remembered. Strangers choose both, so there must be an end; the pair
silent for longest gives way (about 3 MB when full)."""

EVERYWHERE = 20
"""So many times the failures of one source a user may have from all sources together. Who guesses
from ever new addresses, or makes them up, is stopped by this; those at an address from which this
user has logged in before are not."""
ANYWHERE = ""


@dataclass(frozen=True, slots=True)
class LockoutRule:
    """After ``tries`` failures within ``window_seconds`` a user is locked for ``seconds`` from
    that source; 0 tries switch it off."""

    tries: int = 5
    window_seconds: float = 300
    seconds: float = 300


@dataclass(slots=True)
class _Count:
    failures: int
    began: float
    locked_until: float = 0.0


class Lockout:
    """Counts failures by user and source, so that nobody is locked out by a stranger elsewhere; and
    by user alone, for the sources that are strange."""

    def __init__(self, rule: LockoutRule) -> None:
        self.rule = rule
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def attempt(self, user: str, source: str, *, now: float) -> bool:
        """May this attempt be checked at all? Then it counts until `succeeded`."""
        if not self.rule.tries:
            return True
        count = self._count(user, source, now)
        if now < count.locked_until:
            return False
        if count.failures >= self.rule.tries:  # attempts still being checked fill the allowance
            return False
        if (user, source) not in self._proved:
            everywhere = self._count(user, ANYWHERE, now)
            if everywhere.failures >= self.rule.tries * EVERYWHERE:
                everywhere.locked_until = everywhere.locked_until or now + self.rule.seconds
                return False
            everywhere.failures += 1
        count.failures += 1
        return True

    def failed(self, user: str, source: str, *, now: float) -> None:
        """The attempt was wrong; the last allowed one locks from now on."""
        count = self._counts.get((user, source))
        if count is not None and count.failures >= self.rule.tries:
            count.locked_until = now + self.rule.seconds

    def succeeded(self, user: str, source: str) -> None:
        """The attempt was right: what this source did is forgotten, and it is no stranger."""
        self._counts.pop((user, source), None)
        everywhere = self._counts.get((user, ANYWHERE))
        if everywhere is not None and (user, source) not in self._proved:
            everywhere.failures = max(0, everywhere.failures - 1)
        self._proved[user, source] = None
        self._proved.move_to_end((user, source))
        if len(self._proved) > ENTRIES:
            self._proved.popitem(last=False)

    def locked(self, user: str, source: str, *, now: float) -> bool:
        count = self._counts.get((user, source))
        return count is not None and now < count.locked_until

    def _count(self, user: str, source: str, now: float) -> _Count:
        key = (user, source)
        count = self._counts.get(key)
        if count is None or self._is_over(count, now):
            count = self._counts[key] = _Count(0, now)
            if len(self._counts) > ENTRIES:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        return count

    def _is_over(self, count: _Count, now: float) -> bool:
        if count.locked_until:
            return now >= count.locked_until
        return now - count.began >= self.rule.window_seconds
