"""What differs from the sources and what is left out: rows of tables/scope.toml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from culvert.tables.loader import rows

MARKS = {"A": "adapted", "X": "out of scope"}


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """One statement of the sources that is not built as written, with the reason."""

    row: str
    mark: Literal["A", "X"]
    title: str
    reason: str


@cache
def scope() -> tuple[ScopeRow, ...]:
    """All rows in the order of their numbers."""
    return rows("scope.toml", "scope", ScopeRow)
