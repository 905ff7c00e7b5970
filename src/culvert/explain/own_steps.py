"""The steps of our own stories in the reader's language (tables/explain/own-steps.toml)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from culvert.eventlog.entry import Entry
from culvert.eventlog.sentence import story_wording, words
from culvert.eventlog.sentence import told as told_in_english
from culvert.eventlog.wording import fill, one_line
from culvert.tables.loader import document, rows

TABLE = "explain/own-steps.toml"
ENGLISH = "en"

Tell = Callable[[Entry, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Translated:
    """One wording of the event vocabulary in every language."""

    en: str
    de: str
    nl: str


@cache
def wordings(language: str) -> Mapping[str, str]:
    """By the English wording."""
    found = rows(TABLE, "step", Translated)
    return {row.en: {"de": row.de, "nl": row.nl}.get(language, row.en) for row in found}


@cache
def other(language: str, side: str) -> Mapping[str, str]:
    """Words for the other side."""
    found: dict[str, str] = {}
    for row in document(TABLE)["other"]:
        if (row["language"], row["side"]) == (language, side):
            found.update({name: str(row[name]) for name in ("They", "they", "them")})
    return found


def teller(language: str) -> Tell:
    """How an entry is told as a step; empty if it is none."""
    return told_in_english if language == ENGLISH else partial(_told, language)


def _told(language: str, entry: Entry, parts: Sequence[str]) -> str:
    english = story_wording(entry)
    if not english:
        return ""
    wording = wordings(language).get(english, english)
    values = {**words(entry), **other(language, entry.side), "joined": ", ".join(parts)}
    return one_line(fill(wording, values))
