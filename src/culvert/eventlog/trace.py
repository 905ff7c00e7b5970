"""Live trace of one connection or peer: which entries belong to it, though not all of them name it.

What a negotiation says before it is known whose it is waits, and is told once somebody in it is
named: by connection, user, group, address, or session number (S3-01).
"""

from __future__ import annotations

from collections import OrderedDict, deque

from culvert.eventlog.entry import Entry
from culvert.eventlog.filter import ADDRESS_FIELDS, host_in

NAMES = ("connection", "profile", "user", "group")
KEYS = ("connection", "session", "cookies")

WAITING = 512
"""Entries of negotiations nobody has named yet: a dozen of them, each of some 40 entries."""

KNOWN = 1024
"""Correlation keys remembered: those of a few hundred connections and their renewals."""


class Trace:
    """``about`` empty: everything. ``#14`` is the session of that number."""

    def __init__(self, about: str = "") -> None:
        self.about = about
        self._ours: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: deque[Entry] = deque(maxlen=WAITING)

    def heard(self, entry: Entry) -> list[Entry]:
        """What is to be told now that this has happened, in order."""
        if not self.about:
            return [entry]
        keys = keys_of(entry)
        if self._named(entry) or any(key in self._ours for key in keys):
            self._know(keys)
            return [*self._released(), entry]
        if keys:
            self._waiting.append(entry)
        return []

    def _named(self, entry: Entry) -> bool:
        if self.about.startswith("#"):
            return f"#{entry.field('session')}" == self.about
        return any(entry.field(name) == self.about for name in NAMES) or any(
            host_in(entry, name) == self.about for name in ADDRESS_FIELDS
        )

    def _know(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            self._ours[key] = None
            self._ours.move_to_end(key)
        while len(self._ours) > KNOWN:
            self._ours.popitem(last=False)

    def _released(self) -> list[Entry]:
        """Those that have waited for what is known now."""
        found = [one for one in self._waiting if any(key in self._ours for key in keys_of(one))]
        if found:
            left = [one for one in self._waiting if one not in found]
            self._waiting.clear()
            self._waiting.extend(left)
        return found


def keys_of(entry: Entry) -> list[tuple[str, str]]:
    """What ties this entry to others."""
    fields = entry.event.fields
    return [(name, str(fields[name])) for name in KEYS if fields.get(name)]
