"""The door of the room: lines in, `Explanation` out. Reads line by line, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from culvert.errors import ConfigError
from culvert.explain import own
from culvert.explain.catalogue import LANGUAGES
from culvert.explain.explanation import Explanation
from culvert.explain.grammar.family import names
from culvert.explain.reader import Reader
from culvert.explain.tell import told
from culvert.explain.timeline import lanes
from culvert.explain.written import is_own

PROGRESS_EVERY = 50_000
"""Lines between two calls of ``progress``."""


def explain(
    lines: Iterable[str],
    *,
    family: str = "",
    language: str = "en",
    progress: Callable[[int], None] | None = None,
) -> Explanation:
    """What happened, why, and what to change.

    ``family`` spares the guess; ``progress`` is called with the number of lines read. Raises
    ConfigError for a family or a language that is not known.
    """
    known = (*names(), own.FAMILY)
    if family and family not in known:
        raise ConfigError(f"no log family {family!r}; there are {', '.join(known)}")
    if language not in LANGUAGES:
        raise ConfigError(f"no texts in {language!r}; there are {', '.join(LANGUAGES)}")
    counted = lines if progress is None else _counted(lines, progress)
    if family in {"", own.FAMILY}:
        first, counted = own.first_lines(counted)
        if family or is_own(first):
            return own.told(counted, language)
    reader = Reader(family)
    sorted_facts = lanes(reader.facts(counted))
    if not family and not reader.tally.is_vpn:
        sorted_facts = lanes(())
    return told(sorted_facts, reader.tally, language)


def _counted(lines: Iterable[str], progress: Callable[[int], None]) -> Iterator[str]:
    number = 0
    for number, line in enumerate(lines, start=1):
        if number % PROGRESS_EVERY == 0:
            progress(number)
        yield line
    progress(number)
