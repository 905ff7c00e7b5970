"""Facts: what a line says, whoever said it: the middle of logs, captures and our own events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from culvert.eventlog.wording import one_line
from culvert.explain.mask import masked
from culvert.explain.stamp import Moment
from culvert.tables.loader import document, rows

TABLE = "explain/facts.toml"
SIGN = "sign"
"""The fact of a line that itself proves a diagnosis; ``of`` names it."""

LONGEST_QUOTE = 600
"""Signs of a record that are quoted; the longest seen has 330."""

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
    """``reach``: the phase this proves. ``begins`` an attempt, ``up``: it stands, ``ends`` it.

    ``anew``: it begins one although the one before came to no verdict.
    """

    id: str
    en: str = ""
    de: str = ""
    nl: str = ""
    reach: str = ""
    begins: bool = False
    anew: bool = False
    up: bool = False
    ends: bool = False
    joins: bool = False


@cache
def fact_rows() -> Mapping[str, FactRow]:
    return {row.id: row for row in rows(TABLE, "fact", FactRow)}


@dataclass(slots=True)  # one for nearly every line; frozen would cost a tenth of all time
class Fact:
    """``line`` and ``raw`` (the lines as they stand) are the proof.

    ``strength`` (signs only): 1 names a cause … 6 is a hint.
    """

    id: str
    family: str
    line: int = 0
    raw: tuple[str, ...] = ()
    at: Moment | None = None
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    says: Mapping[str, str] = field(default_factory=dict[str, str])
    strength: int = 0
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def row(self) -> FactRow:
        return fact_rows()[self.id]

    @property
    def text(self) -> str:
        """The proof as it is quoted: one line, no secrets, nothing that moves a cursor."""
        return quoted(self.raw)

    def value(self, name: str) -> str:
        return str(self.values.get(name, ""))


def quoted(raw: Sequence[str]) -> str:
    """Lines as they are shown to people."""
    return one_line(masked(" ".join(raw).replace("\t", " "))[:LONGEST_QUOTE])
