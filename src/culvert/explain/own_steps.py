"""The steps of our own stories in the reader's language (tables/explain/own-steps.toml)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field
from culvert.eventlog.sentence import story_wording, words
from culvert.eventlog.sentence import told as told_in_english
from culvert.eventlog.wording import fill, one_line
from culvert.tables.loader import document, rows

TABLE = "explain/own-steps.toml"
ENGLISH = "en"
ENDING = re.compile(r"\{(\w+):ending\}")

Tell = Callable[[Entry, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Translated:
    """One wording of the event vocabulary in every language."""

    en: str
    de: str
    nl: str


@dataclass(frozen=True, slots=True)
class TranslatedEnding:
    """Why a session ended (a row of tables/endings.toml) in other languages."""

    id: str
    de: str
    nl: str


@cache
def endings(language: str) -> Mapping[str, str]:
    """The sentence of each reason, by its id."""
    found = rows(TABLE, "ending", TranslatedEnding)
    return {row.id: {"de": row.de, "nl": row.nl}[language] for row in found}


@cache
def wordings(language: str) -> Mapping[str, str]:
    """By the English wording."""
    return _by_english("step", language)


@cache
def phrases(language: str) -> Mapping[str, str]:
    """Texts that our own programs put into fields, by the English text."""
    return _by_english("phrase", language)


def _by_english(heading: str, language: str) -> Mapping[str, str]:
    found = rows(TABLE, heading, Translated)
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
    for name in ENDING.findall(wording):
        if sentence := endings(language).get(str(values.get(name))):
            wording = wording.replace(f"{{{name}:ending}}", sentence)
    known = phrases(language)
    values = {name: _phrased(value, known) for name, value in values.items()}
    return one_line(fill(wording, values))


def _phrased(value: Field, known: Mapping[str, str]) -> Field:
    """A text of ours, or several behind semicolons, in the reader's language."""
    if not isinstance(value, str):
        return value
    return "; ".join(known.get(part, part) for part in value.split("; "))
