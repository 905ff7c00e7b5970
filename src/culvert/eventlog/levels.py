"""How much is written down: a level for everybody, and others for whom somebody looks at (S1-132).

A level is the finest severity that is still written. It may be changed at any moment and holds from
the next entry on.
"""

from __future__ import annotations

from collections.abc import Mapping

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.severity import LEAST

USUAL = 7
"""Steps of a dialogue, but no single messages."""

MOST = 64
"""Names with a level of their own: experts look at a few connections, not at a thousand."""

NAMED_BY = ("connection", "user", "group")


class Levels:
    """``default`` counts for whoever has none: connections, users and groups by name, sessions as
    ``#`` and their number. Of several that fit an entry the finest counts."""

    def __init__(self, default: int = USUAL) -> None:
        self.default = default
        self._of: dict[str, int] = {}

    @property
    def of(self) -> Mapping[str, int]:
        return self._of

    def set(self, name: str, level: int) -> None:
        """For ``name``, or for everybody without one; 0 takes it back. Raises ConfigError."""
        if not 0 <= level <= LEAST:
            raise ConfigError(f"a level is 1 to {LEAST}, or 0 for the usual one")
        if not name:
            self.default = level or USUAL
        elif not level:
            self._of.pop(name, None)
        elif name not in self._of and len(self._of) >= MOST:
            raise ConfigError(f"{MOST} names with a level of their own are the most")
        else:
            self._of[name] = level

    def want(self, entry: Entry) -> bool:
        severity = entry.row.severity
        if not self._of:
            return severity <= self.default
        given = [self._of[name] for name in _names(entry) if name in self._of]
        return severity <= max(given, default=self.default)


def _names(entry: Entry) -> tuple[str, ...]:
    fields = entry.event.fields
    return (*(str(fields.get(name, "")) for name in NAMED_BY), f"#{fields.get('session', '')}")
