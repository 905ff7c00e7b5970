"""The round trip through an idle tunnel, ours beside the peer's, both up at the same time.

Times of a tenth of a millisecond tell more about the minute than about the tunnel, so the two take
turns of a few echoes: what a round says of either is the median over all its turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from statistics import median

ROUNDS = 11
TURNS = 6
ECHOES = 30
"""Of one turn, ten milliseconds apart: each finds both ends asleep."""

Echoes = Callable[[int], list[float]]
"""Sends so many, and gives the milliseconds until each answer."""


def rounds(ours: Echoes, peers: Echoes) -> Iterator[tuple[float, float]]:
    """Medians of ours and the peer's in each round; who begins changes from turn to turn."""
    for _ in range(ROUNDS):
        mine, theirs = zip(*(_turn(ours, peers, number) for number in range(TURNS)), strict=True)
        yield median(chain.from_iterable(mine)), median(chain.from_iterable(theirs))


def _turn(ours: Echoes, peers: Echoes, number: int) -> tuple[list[float], list[float]]:
    if number % 2:
        theirs = peers(ECHOES)
        return ours(ECHOES), theirs
    return ours(ECHOES), peers(ECHOES)
