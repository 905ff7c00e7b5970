"""Which entries somebody wants to see: class × severity × who × where × when (S4-61)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from culvert.eventlog.entry import Entry
from culvert.eventlog.severity import LEAST

ADDRESS_FIELDS = ("peer", "public", "source", "address", "assigned", "old", "new")
"""Where events keep an address; some with a port behind it."""

NO_LEVELS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything given must hold; what is left empty does not matter.

    ``severity_to`` is the level: entries of a higher number are left out. ``levels`` gives classes
    a level of their own in its place.
    """

    classes: frozenset[str] = frozenset()
    severity_from: int = 1
    severity_to: int = LEAST
    levels: Mapping[str, int] = field(default_factory=lambda: NO_LEVELS)
    session: int = 0
    connection: str = ""
    user: str = ""
    group: str = ""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, entry: Entry) -> bool:
        row = entry.row
        level = self.levels.get(row.event_class, self.severity_to)
        return (
            self.severity_from <= row.severity <= level
            and (not self.classes or row.event_class in self.classes)
            and self._about(entry)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at <= self.until)
        )

    def _about(self, entry: Entry) -> bool:
        fields = entry.event.fields
        named = (
            ("session", self.session),
            ("connection", self.connection),
            ("user", self.user),
            ("group", self.group),
        )
        return all(not wanted or fields.get(name) == wanted for name, wanted in named) and (
            not self.address or any(host_in(entry, name) == self.address for name in ADDRESS_FIELDS)
        )


EVERYTHING = Filter()


def host_in(entry: Entry, name: str) -> str:
    """The address in a field, without the port that `culvert.inet.address.text` puts behind it."""
    text = str(entry.field(name))
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
