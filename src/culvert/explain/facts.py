"""Facts: what a line says, whoever said it. The common middle of logs, captures and our own events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from culvert.explain.stamp import Moment
from culvert.tables.loader import document, rows

TABLE = "explain/facts.toml"
SIGN = "sign"
"""The fact of a line that itself proves a diagnosis; ``of`` names it."""

Value = str | int | bool


@cache
def phases() -> tuple[str, ...]:
    """How far an attempt can come, in order."""
    return tuple(str(name) for name in document(TABLE)["phases"])


@cache
def _places() -> Mapping[str, int]:
    return {name: place for place, name in enumerate(phases())}


def place(phase: str) -> int:
    """The place of a phase in the order; -1 for none."""
    return _places().get(phase, -1)


@dataclass(frozen=True, slots=True)
class FactRow:
    """``reach``: the phase this proves. ``begins`` an attempt, ``up``: it stands, ``ends`` it."""

    id: str
    en: str = ""
    de: str = ""
    nl: str = ""
    reach: str = ""
    begins: bool = False
    up: bool = False
    ends: bool = False
    joins: bool = False


@cache
def fact_rows() -> Mapping[str, FactRow]:
    return {row.id: row for row in rows(TABLE, "fact", FactRow)}


@dataclass(frozen=True, slots=True)
class Fact:
    """``line`` and ``text`` are the proof. ``strength`` 1 names a cause … 6 is a hint (signs only)."""

    id: str
    family: str
    line: int = 0
    text: str = ""
    at: Moment | None = None
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    says: Mapping[str, str] = field(default_factory=dict[str, str])
    strength: int = 0
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def row(self) -> FactRow:
        return fact_rows()[self.id]

    def value(self, name: str) -> str:
        found = self.values.get(name, "")
        return "" if found is None else str(found)
