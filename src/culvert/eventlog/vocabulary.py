"""The event vocabulary: rows of tables/events.toml as values, looked up by code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from culvert.eventlog.event import NO_FIELDS, Field
from culvert.tables.loader import rows

TABLE = "events.toml"
MOST_SEVERE, LEAST_SEVERE = 1, 13
CORRELATION = ("session", "connection", "cookies")
"""Keys that may stand on every event; no row lists them."""


@dataclass(frozen=True, slots=True)
class EventClass:
    """An area that a filter can name."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """What one event code means; the columns are explained in the table's head."""

    code: str
    event_class: str
    severity: int
    text: str
    fields: tuple[str, ...] = ()
    notice: bool = False
    why: str = ""
    join: str = ""
    action: str = ""
    attempt: str = ""
    vpn3000: tuple[str, ...] = ()
    cisco_client: tuple[str, ...] = ()
    lancom: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """Another story sentence for an event whose fields are as in ``when``; the first match wins.

    ``side`` in ``when`` is who tells the story: client or gateway.
    """

    code: str
    why: str
    when: Mapping[str, Field] = field(default_factory=lambda: NO_FIELDS)


@cache
def vocabulary() -> Mapping[str, EventRow]:
    """All rows by code, in the table's order."""
    return {row.code: row for row in rows(TABLE, "event", EventRow)}


@cache
def classes() -> tuple[EventClass, ...]:
    return rows(TABLE, "event_class", EventClass)


@cache
def variants(code: str) -> tuple[Variant, ...]:
    return tuple(one for one in rows(TABLE, "variant", Variant) if one.code == code)


def row_of(code: str) -> EventRow:
    """The row of ``code``; for one that is not in the table, a row that shows it bare.

    A log must not lose an event because its row was forgotten. That none is forgotten, a test sees.
    """
    known = vocabulary().get(code)
    return known or EventRow(code, event_class="SYSTEM", severity=5, text=code)
