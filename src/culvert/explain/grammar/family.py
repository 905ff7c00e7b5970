"""A log family: how its records begin, and the rows that say what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from culvert.errors import ConfigError
from culvert.explain.grammar.template import Template
from culvert.tables.loader import document, rows

FOLDER = "explain"
LIST = f"{FOLDER}/families.toml"

SILENT = frozenset({"info", "follow-up"})
"""Facts without effect: rows of these exist so that their lines count as understood."""

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of message means; docs/guides/teach-a-family.md explains the columns."""

    text: str | tuple[str, ...]
    example: str | tuple[str, ...]
    fact: str = ""
    sign: str = ""
    unless: str | tuple[str, ...] = ()
    strength: int = 2
    set: Mapping[str, Value] = field(default_factory=dict[str, Value])
    en: str = ""
    de: str = ""
    nl: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The [family] table of a family's file."""

    name: str
    title: str
    frames: tuple[str, ...] = ()
    bodies: tuple[str, ...] = ()
    splits: str = ""
    needs: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    joins: bool = False
    bare: bool = False
    keys: tuple[str, ...] = ()
    dates: str = ""
    like: tuple[str, ...] = ()
    weight: float = 1.0
    quotes: str = ""
    """Lines that begin so are what somebody else wrote, and prove nothing."""
    distinct: bool = False
    """Its frame is printed by nothing else: one such record shows whose log it is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A row with its texts compiled, and the family whose lines it reads.

    ``silent``: it says nothing that anything could follow from; the line is known, and that is all.
    """

    family: str
    row: Row
    templates: tuple[Template, ...]
    unless: tuple[str, ...]
    keys: tuple[str, ...]
    says: Mapping[str, str]

    silent: bool


@dataclass(frozen=True, slots=True)
class Family:
    head: Head
    frames: tuple[re.Pattern[str], ...]
    bodies: tuple[re.Pattern[str], ...]
    splits: re.Pattern[str] | None
    readings: tuple[Reading, ...]

    @property
    def name(self) -> str:
        return self.head.name

    def framed(self, text: str) -> re.Match[str] | None:
        """The beginning of a record of this family, if ``text`` is one."""
        for frame in (*self.frames, *self.bodies):
            if found := frame.match(text):
                return found
        return None


@cache
def families() -> Mapping[str, Family]:
    """All families in the order in which they are asked."""
    return {name: _family(name) for name in names()}


def names() -> tuple[str, ...]:
    return tuple(str(name) for name in document(LIST)["families"])


def source(name: str) -> str:
    """The table of one family."""
    return f"{FOLDER}/{name}.toml"


def _family(name: str) -> Family:
    path = source(name)
    heads = rows(path, "family", Head)
    if len(heads) != 1 or heads[0].name != name:
        raise ConfigError(f"one [[family]] named {name!r} expected", path=path)
    head = heads[0]
    own = _rows(path)
    lent = tuple(row for other in head.like for row in _rows(source(other)))
    return Family(
        head,
        tuple(re.compile(frame) for frame in head.frames),
        tuple(re.compile(body) for body in head.bodies),
        re.compile(head.splits) if head.splits else None,
        tuple(_reading(head, path, row) for row in (*own, *lent)),
    )


def _reading(head: Head, path: str, row: Row) -> Reading:
    words = (("en", row.en), ("de", row.de), ("nl", row.nl))
    templates = _templates(path, row)
    speaks = row.sign or row.set or row.en or any(template.names for template in templates)
    return Reading(
        head.name,
        row,
        templates,
        tuple(text.lower() for text in listed(row.unless)),
        head.keys,
        {language: text for language, text in words if text},
        row.fact in SILENT and not speaks,
    )


def own_rows(name: str) -> tuple[Row, ...]:
    """The rows of a family's own file, without those it has from others."""
    return _rows(source(name))


@cache
def _rows(path: str) -> tuple[Row, ...]:
    return rows(path, "row", Row)


def _templates(path: str, row: Row) -> tuple[Template, ...]:
    try:
        return tuple(Template(text) for text in listed(row.text))
    except (ValueError, re.error) as error:
        raise ConfigError(f"{row.text!r}: {error}", path=path) from None


def listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One or several, as several."""
    return (value,) if isinstance(value, str) else value
