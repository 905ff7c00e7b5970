"""Finds the rows that may fit a line by the words they need, so that most lines cost nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from re import Match

from culvert.explain.grammar.family import Reading, families
from culvert.explain.grammar.template import WORD, Template

Hit = tuple[Reading, Match[str]]


class Index:
    """Every template stands under the rarest of its words; a line is asked word by word."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        given = [(reading, template) for reading in readings for template in reading.templates]
        count = Counter(word for _, template in given for word in template.words)
        self._under: dict[str, list[tuple[int, Reading, Template]]] = {}
        self._always: list[tuple[int, Reading, Template]] = []
        for order, (reading, template) in enumerate(given):
            if not template.words:
                self._always.append((order, reading, template))
                continue
            rarest = min(template.words, key=lambda word: (count[word], -len(word), word))
            self._under.setdefault(rarest, []).append((order, reading, template))
        self._words = frozenset(self._under)

    def hits(self, text: str) -> list[Hit]:
        """The rows whose text stands in ``text``, in the order in which they stand there."""
        lowered = text.lower()
        words = set(WORD.findall(lowered))
        keys = self._words & words
        if not keys and not self._always:
            return []
        candidates = [one for key in keys for one in self._under[key] if one[2].words <= words]
        candidates += self._always
        if len(candidates) > 1:
            candidates.sort(key=_order)
        found: list[tuple[int, int, Reading, Match[str]]] = []
        seen: set[int] = set()
        for order, reading, template in candidates:
            if id(reading) in seen or (reading.unless and _excluded(reading, lowered)):
                continue
            if (match := template.pattern.search(text)) is not None:
                seen.add(id(reading))
                found.append((match.start(), order, reading, match))
        if len(found) > 1:
            found.sort(key=lambda one: one[:2])
        return [(reading, match) for _, _, reading, match in found]


def _excluded(reading: Reading, text: str) -> bool:
    return any(word in text for word in reading.unless)


def _order(candidate: tuple[int, Reading, Template]) -> int:
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
