"""Which entries somebody wants to see: class × severity × who × where × when (S4-61)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.severity import LEAST
from culvert.eventlog.vocabulary import classes as event_classes

ADDRESS_FIELDS = ("peer", "public", "source", "address", "assigned", "old", "new")
"""Where events keep an address; some with a port behind it."""

NO_LEVELS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything given must hold; what is left empty does not matter.

    ``severity_to`` is the level: entries of a higher number are left out. ``levels`` gives classes
    a level of their own in its place. ``notices``: only what a person should see at once.
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
    notices: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, entry: Entry) -> bool:
        row = entry.row
        level = self.severity_to
        if self.levels:
            level = self.levels.get(row.event_class, level)
        return (
            self.severity_from <= row.severity <= level
            and (not self.classes or row.event_class in self.classes)
            and (row.notice or not self.notices)
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


def filter_from(given: Mapping[str, object]) -> Filter:
    """A filter from what a request carries: ``class`` (names behind commas), ``level``,
    ``from_level``, ``name``, ``session``, ``user``, ``group``, ``address``, ``notices``, ``since``,
    ``until`` (ISO 8601; UTC where no zone is named). Raises ConfigError.
    """
    classes = {name.strip().upper() for name in _text(given, "class").split(",")} - {""}
    known = {row.name for row in event_classes()}
    if unknown := sorted(classes - known):
        raise ConfigError(f"no class {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return Filter(
        classes=frozenset(classes),
        severity_from=_number(given, "from_level", 1),
        severity_to=_number(given, "level", LEAST),
        session=_number(given, "session", 0),
        connection=_text(given, "name"),
        user=_text(given, "user"),
        group=_text(given, "group"),
        address=_text(given, "address"),
        notices=given.get("notices") is True,
        since=_time(given, "since"),
        until=_time(given, "until"),
    )


def _text(given: Mapping[str, object], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be text")
    return value


def _number(given: Mapping[str, object], key: str, default: int) -> int:
    value = given.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{key} must be a whole number")
    return value


def _time(given: Mapping[str, object], key: str) -> datetime | None:
    text = _text(given, key)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{key} must be a time such as 2026-07-02T10:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def host_in(entry: Entry, name: str) -> str:
    """The address in a field, without the port that `culvert.inet.address.text` puts behind it."""
    text = str(entry.field(name))
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
