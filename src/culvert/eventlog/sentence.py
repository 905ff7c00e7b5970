"""The sentence an entry has in the story of its connection, if it has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field
from culvert.eventlog.vocabulary import variants
from culvert.eventlog.wording import THE_OTHER, fill, one_line


def sentence(entry: Entry) -> str:
    """In words for people; empty if the entry is no step of a story."""
    return told(entry, (joined(entry),))


def told(entry: Entry, parts: Sequence[str]) -> str:
    """The sentence of ``entry`` with ``parts`` in the place where several are joined."""
    wording = story_wording(entry)
    return one_line(fill(wording, {**words(entry), "joined": ", ".join(parts)})) if wording else ""


def joined(entry: Entry) -> str:
    """What this entry adds to a sentence it shares with others of its code."""
    return fill(entry.row.join, words(entry))


def story_wording(entry: Entry) -> str:
    """The wording of the first variant that fits, else the row's."""
    for variant in variants(entry.code):
        if fits(entry, variant.when):
            return variant.why
    return entry.row.why


def words(entry: Entry) -> Mapping[str, Field]:
    """What wordings are filled from: the entry's fields, and words for the other side."""
    return {**THE_OTHER[entry.side], "side": entry.side, **entry.event.fields}


def fits(entry: Entry, wanted: Mapping[str, Field]) -> bool:
    """Has the entry these fields? Text may hold ``*``; ``side`` is who tells it."""
    for name, value in wanted.items():
        found = entry.side if name == "side" else entry.event.fields.get(name)
        if isinstance(value, str) and isinstance(found, str):
            if not fnmatchcase(found.casefold(), value.casefold()):
                return False
        elif found != value:
            return False
    return True
