"""The event log as JSON lines: one object per entry, written and read back.

    {"schema": 1, "number": 7, "at": "2026-07-02T10:00:00.123Z", "now": 81.25, "repeat": 1,
     "code": "auth.accepted", "class": "AUTH", "severity": 5, "text": "…",
     "fields": {"user": "ann", "connection": "office", …}}

``schema`` rises when a key disappears or changes its meaning; new keys do not raise it. A list in
``fields`` is a list of texts; everything else there is text, number or truth value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import cast

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.render.own import text
from culvert.eventlog.wording import time_text

SCHEMA = 1


def document(entry: Entry) -> dict[str, object]:
    """The entry as what a JSON encoder takes."""
    return {
        "schema": SCHEMA,
        "number": entry.number,
        "at": time_text(entry.at),
        "now": round(entry.now, 6),
        "repeat": entry.repeat,
        "code": entry.code,
        "class": entry.row.event_class,
        "severity": entry.row.severity,
        "text": text(entry),
        "fields": {name: _json(value) for name, value in entry.event.fields.items()},
    }


def render(entry: Entry) -> str:
    """One line without its end; pure ASCII, so that no terminal and no encoding is in the way."""
    return json.dumps(document(entry), separators=(",", ":"))


def parse(line: str) -> Entry:
    """The entry of one line. Raises ConfigError if it is none."""
    try:
        found: object = json.loads(line)
        if not isinstance(found, dict):
            raise TypeError("not an object")
        return _entry(cast("Mapping[str, object]", found))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ConfigError(f"not an entry of an event log: {error}") from None


def read(lines: Iterable[str]) -> tuple[tuple[Entry, ...], int]:
    """All entries, and how many lines were none (a crash may tear the last one)."""
    entries: list[Entry] = []
    torn = 0
    for line in lines:
        try:
            entries.append(parse(line))
        except ConfigError:
            torn += 1
    return tuple(entries), torn


def _json(value: Field) -> Field:
    """JSON has no infinity: it is written as text."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _entry(found: Mapping[str, object]) -> Entry:
    number, at, now, code = found["number"], found["at"], found["now"], found["code"]
    repeat, given = found.get("repeat", 1), found["fields"]
    if not isinstance(number, int) or not isinstance(repeat, int):
        raise TypeError("number and repeat must be whole numbers")
    if not isinstance(at, str) or not isinstance(code, str):
        raise TypeError("at and code must be text")
    if not isinstance(now, int | float) or not isfinite(now) or not isinstance(given, dict):
        raise TypeError("now must be a number and fields an object")
    when = datetime.fromisoformat(at)
    if when.tzinfo is None:
        raise ValueError("at has no time zone")
    fields = {
        str(name): _field(value) for name, value in cast("Mapping[str, object]", given).items()
    }
    return Entry(number, when.astimezone(UTC), float(now), LogEvent(code, fields), repeat)


def _field(value: object) -> Field:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return tuple(str(one) for one in cast("list[object]", value))
    raise TypeError("a field is text, a number or a list of texts")
