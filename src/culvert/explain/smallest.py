"""The smallest change that would have matched, in words (S3-12)."""

from __future__ import annotations

from collections.abc import Sequence

from culvert.eventlog.story import Comparison, smallest
from culvert.explain.sentence import clause


def smallest_change(comparisons: Sequence[Comparison], language: str) -> tuple[str, ...]:
    """From the pairs that our own log compared."""
    return tuple(
        clause(
            "change-attribute",
            language,
            attribute=one.attribute,
            local=one.local,
            remote=one.remote,
        )
        for one in smallest(comparisons)
    )
