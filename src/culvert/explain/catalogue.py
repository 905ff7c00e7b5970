"""The diagnoses by id: title, reason, causes and what to do, in every language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from culvert.tables.loader import rows

LANGUAGES = ("en", "de", "nl")
TABLE = "explain/diagnoses.toml"


@dataclass(frozen=True, slots=True)
class DiagnosisRow:
    """``floor`` and ``cap`` bound the phase; ``despite_up``: it is about a tunnel that stands.

    ``blind``: which of its causes it is cannot be known from this side.
    """

    id: str
    outcome: str
    floor: str = ""
    cap: str = ""
    rank: int = 5
    despite_up: bool = False
    outcome_up: str = ""
    blind: bool = False
    exactly: str = ""

    @property
    def good(self) -> bool:
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a diagnosis in one language; actions are ``who: text``."""

    id: str
    title: str
    why: str
    causes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@cache
def catalogue() -> Mapping[str, DiagnosisRow]:
    return {row.id: row for row in rows(TABLE, "diagnosis", DiagnosisRow)}


@cache
def _words(language: str) -> Mapping[str, Words]:
    return {row.id: row for row in rows(f"explain/words_{language}.toml", "diagnosis", Words)}


def words(diagnosis: str, language: str) -> Words:
    """In ``language`` if it has them, else in English."""
    return _words(language).get(diagnosis) or _words("en")[diagnosis]
