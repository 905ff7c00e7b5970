"""Untrusted and Warning: what was found about a certificate, in the words of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from culvert.errors import CulvertError
from culvert.tables.loader import rows

TABLE = "certificates.toml"

LONGEST_FACT = 300
"""Characters of a name or reason put into a sentence: a peer writes them, logs keep them."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a certificate is not accepted. What each field means stands at the head of the table."""

    id: str
    ending: str
    sentence: str
    action: str


@dataclass(frozen=True, slots=True)
class _Caution:
    id: str
    sentence: str


@cache
def reasons() -> Mapping[str, Reason]:
    return {row.id: row for row in rows(TABLE, "reason", Reason)}


@cache
def _cautions() -> Mapping[str, _Caution]:
    return {row.id: row for row in rows(TABLE, "warning", _Caution)}


class Untrusted(CulvertError):
    """A certificate is not accepted; ``cause`` is a row of the table, ``facts`` fill its words."""

    code = "certificate-refused"

    def __init__(self, cause: str, /, **facts: object) -> None:
        row = reasons()[cause]
        self.cause = cause
        self.ending = row.ending
        self.facts = {name: _short(value) for name, value in facts.items()}
        self.sentence = row.sentence.format_map(self.facts)
        self.action = row.action.format_map(self.facts)
        super().__init__(f"{self.sentence} {self.action}")


@dataclass(frozen=True, slots=True)
class Warned:
    """Something weak or unsure about a certificate that was accepted."""

    cause: str
    sentence: str


def warned(cause: str, /, **facts: object) -> Warned:
    """The warning ``cause``, a row of the table, with its facts put in."""
    shown = {name: _short(value) for name, value in facts.items()}
    return Warned(cause, _cautions()[cause].sentence.format_map(shown))


def _short(value: object) -> str:
    """Printable, on one line, bounded."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]}…"
