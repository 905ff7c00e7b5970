"""Fills the placeholders of a wording from an event's fields, and makes any text one safe line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from culvert.eventlog.event import Field
from culvert.tables.loader import document, rows

PLACEHOLDER = re.compile(
    r"\{(?P<name>[A-Za-z_0-9]+)(?::(?P<style>hex|list|seconds|ending|action|word))?\}"
)

THE_OTHER = {
    "client": {"They": "The gateway", "they": "the gateway", "them": "the gateway"},
    "gateway": {"They": "The client", "they": "the client", "them": "the client"},
}
"""Words for the other side, by who tells the story."""

UNKNOWN = "(unknown)"
LOOK_FURTHER = "Look into the log of both sides."


def fill(wording: str, fields: Mapping[str, Field]) -> str:
    """``wording`` with every ``{name}`` replaced; a field that is missing shows as `UNKNOWN`.

    A style after a colon says how: ``hex`` eight digits, ``list`` joined by commas ("none" when
    empty), ``seconds`` one decimal, ``ending`` and ``action`` the sentence of a reason in
    tables/endings.toml and what to do about it, ``word`` what tables/events.toml says in place of
    the value.
    """
    return PLACEHOLDER.sub(lambda found: _shown(fields, found["name"], found["style"]), wording)


def placeholders(wording: str) -> frozenset[str]:
    """The names that ``wording`` is filled from."""
    return frozenset(found["name"] for found in PLACEHOLDER.finditer(wording))


def one_line(text: str) -> str:
    """``text`` with everything that could move a cursor, break a line or reverse it written out."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def time_text(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def value_text(value: Field) -> str:
    """A field as a person reads it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value) or "none"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Word:
    """What to say when the field ``of`` has this value."""

    of: str
    value: str
    says: str


@cache
def _words() -> Mapping[tuple[str, str], str]:
    return {(row.of, row.value): row.says for row in rows("events.toml", "word", Word)}


def spoken(of: str, value: Field) -> str:
    """A value in words, or as it is if the table has none."""
    return _words().get((of, str(value)), value_text(value))


@cache
def reasons() -> Mapping[str, Mapping[str, str]]:
    """The rows of tables/endings.toml by id, as they stand there."""
    return {row["id"]: row for row in document("endings.toml")["ending"]}


def _shown(fields: Mapping[str, Field], name: str, style: str | None) -> str:
    value = fields.get(name)
    match style, value:
        case _, None:
            return UNKNOWN
        case "hex", int():
            return f"0x{value:08x}"
        case "seconds", float() | int():
            return f"{value:.1f}"
        case "list", "":
            return "none"
        case "ending", str():
            return reasons()[value]["sentence"] if value in reasons() else value
        case "action", str():
            return reasons()[value]["action"] if value in reasons() else LOOK_FURTHER
        case "word", _:
            return spoken(name, value)
        case _:
            return value_text(value)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape", "backslashreplace").decode("ascii")
