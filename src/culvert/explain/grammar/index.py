"""Finds the rows that may fit a line by the words they need, so that most lines cost nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from re import Match

from culvert.explain.grammar.family import Reading, families
from culvert.explain.grammar.template import WORD, Template

Hit = tuple[Reading, Match[str]]


Candidate = tuple[int, Reading, Template]

DIGITS = b"0123456789"
"""Lines of one kind differ in numbers most of all: without them they look alike."""

SHAPES = 4096
"""Looks of lines whose candidates are kept; a log has a few hundred, one of random names none."""


class Index:
    """Every template stands under the rarest of its words; a line is asked word by word.

    Numbers are left out of words on both sides, so that lines of one shape share the answer.
    """

    def __init__(self, readings: Iterable[Reading]) -> None:
        given = [(reading, template) for reading in readings for template in reading.templates]
        wanted = [_numberless(template.words) for _, template in given]
        count = Counter(word for words in wanted for word in words)
        self._under: dict[str, list[tuple[Candidate, frozenset[str]]]] = {}
        self._always: list[Candidate] = []
        self._shapes: dict[bytes, tuple[Candidate, ...]] = {}
        for order, ((reading, template), words) in enumerate(zip(given, wanted, strict=True)):
            candidate = (order, reading, template)
            if not words:
                self._always.append(candidate)
                continue
            rarest = min(words, key=lambda word: (count[word], -len(word), word))
            self._under.setdefault(rarest, []).append((candidate, words))
        self._words = frozenset(self._under)

    def hits(self, text: str) -> list[Hit]:
        """The rows whose text stands in ``text``, in the order in which they stand there."""
        shape = text.encode("utf-8", "replace").translate(None, DIGITS)
        candidates = self._shapes.get(shape)
        if candidates is None:
            candidates = self._candidates(shape)
        if not candidates:
            return []
        lowered = text.lower() if text.isascii() else ""
        found: list[tuple[int, int, Reading, Match[str]]] = []
        seen: set[int] = set()
        for order, reading, template in candidates:
            if id(reading) in seen or (
                reading.unless and _excluded(reading, lowered or text.lower())
            ):
                continue
            if (match := template.search(text, lowered)) is not None:
                seen.add(id(reading))
                found.append((match.start(), order, reading, match))
        if len(found) > 1:
            found.sort(key=lambda one: one[:2])
        return [(reading, match) for _, _, reading, match in found]

    def _candidates(self, shape: bytes) -> tuple[Candidate, ...]:
        """What may fit lines that look like this, in the order of the tables."""
        words = set(WORD.findall(shape.decode().lower()))
        found = [
            candidate
            for key in self._words & words
            for candidate, wanted in self._under[key]
            if wanted <= words
        ]
        made = tuple(sorted((*found, *self._always), key=_order))
        if len(self._shapes) >= SHAPES:
            self._shapes.clear()
        self._shapes[shape] = made
        return made


def _numberless(words: Iterable[str]) -> frozenset[str]:
    kept = (word.encode().translate(None, DIGITS).decode() for word in words)
    return frozenset(kept) - {""}


def _excluded(reading: Reading, text: str) -> bool:
    return any(word in text for word in reading.unless)


def _order(candidate: Candidate) -> int:
    return candidate[0]


@cache
def index_of(family: str) -> Index:
    """The rows of one family."""
    return Index(families()[family].readings)


@cache
def bare_index() -> Index:
    """The rows of all families whose lines may stand without any frame."""
    return Index(
        reading for family in families().values() if family.head.bare for reading in family.readings
    )
