"""The smallest change that would have matched, from the pairs our own log compared (S3-12)."""

from __future__ import annotations

from collections.abc import Sequence

from culvert.eventlog.story import Comparison
from culvert.explain.sentence import clause


def smallest_change(comparisons: Sequence[Comparison], language: str) -> tuple[str, ...]:
    """Of each phase the pair that differs in the fewest attributes, and each of those.

    Of pairs that differ in equally many, the one that both sides prefer: the lowest numbers.
    A phase in which a pair differs in nothing was agreed; there is nothing to change.
    """
    made: list[str] = []
    for phase in dict.fromkeys(one.phase for one in comparisons):
        pairs: dict[tuple[int, int], list[Comparison]] = {}
        for one in comparisons:
            if one.phase == phase:
                differing = pairs.setdefault((one.remote_number, one.local_number), [])
                if not one.fits and one not in differing:
                    differing.append(one)
        number, best = min(
            pairs.items(), key=lambda pair: (len(pair[1]), pair[0][0] + pair[0][1], pair[0])
        )
        made += [_said(one, language) for one in pairs[number] if best]
    return tuple(made)


def _said(one: Comparison, language: str) -> str:
    return clause(
        "change-attribute", language, attribute=one.attribute, local=one.local, remote=one.remote
    )
