"""SPD: which pair of SAs carries an outbound packet (RFC 4301 §4.4.1).

A destination is looked up by longest prefix among the remote selectors, one dictionary per prefix
length in use; where several pairs reach the same destination, the source decides by longest local
selector, and between equals the pair activated last (a rekeyed pair has its elder's selectors).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from culvert.inet.prefix import Prefix

Item = TypeVar("Item")


class _Rule(NamedTuple, Generic[Item]):
    rank: tuple[int, int]  # longest local prefix first, then the youngest
    mask: int
    value: int
    item: Item


class _Level(Generic[Item]):
    """All remote prefixes of one length."""

    __slots__ = ("length", "mask", "rules")

    def __init__(self, length: int, mask: int) -> None:
        self.length = length
        self.mask = mask
        self.rules: dict[int, list[_Rule[Item]]] = {}


class Spd(Generic[Item]):
    """What is active, by selectors."""

    __slots__ = ("_levels", "_order")

    def __init__(self) -> None:
        self._levels: dict[int, list[_Level[Item]]] = {4: [], 16: []}
        self._order = 0

    def add(self, remote: Iterable[Prefix], local: Iterable[Prefix], item: Item) -> None:
        """``item`` carries what goes from ``local`` to ``remote``, before all added earlier."""
        self._order += 1
        sources = tuple(local)
        for far in remote:
            rules = self._level(far).rules.setdefault(far.value, [])
            for near in sources:
                if near.octets == far.octets:
                    rank = (-near.length, -self._order)
                    insort(rules, _Rule(rank, near.mask, near.value, item), key=_rank)

    def remove(self, remote: Iterable[Prefix], item: Item) -> None:
        """Undo `add`. Not having been added is not an error."""
        for far in remote:
            level = self._level(far)
            rules = [rule for rule in level.rules.get(far.value, ()) if rule.item is not item]
            if rules:
                level.rules[far.value] = rules
            else:
                level.rules.pop(far.value, None)
            if not level.rules:
                self._levels[far.octets].remove(level)

    def find(self, source: bytes, destination: bytes) -> Item | None:
        near, far = int.from_bytes(source, "big"), int.from_bytes(destination, "big")
        for level in self._levels[len(destination)]:
            for rule in level.rules.get(far & level.mask, ()):
                if near & rule.mask == rule.value:
                    return rule.item
        return None

    def _level(self, prefix: Prefix) -> _Level[Item]:
        levels = self._levels[prefix.octets]
        for level in levels:
            if level.length == prefix.length:
                return level
        made: _Level[Item] = _Level(prefix.length, prefix.mask)
        insort(levels, made, key=_shortness)
        return made


def _rank(rule: _Rule[Item]) -> tuple[int, int]:
    return rule.rank


def _shortness(level: _Level[Item]) -> int:
    return -level.length
