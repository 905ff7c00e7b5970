"""A story as text for a terminal or a mail: steps, summary, table of proposals, verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import TextWrapper

from culvert.eventlog.story import Comparison, Explanation, Step, smallest
from culvert.eventlog.vocabulary import row_of

WIDTH = 96
INDENT = " " * 12
STEP_INDENT = 17
NARROWEST = 20

WHO = {
    "client": {
        "user": "you",
        "administrator": "the gateway's administrator",
        "network": "whoever runs the network in between",
    },
    "gateway": {
        "user": "the user",
        "administrator": "you",
        "network": "whoever runs the network in between",
    },
}
"""Who can do it, by who reads the story."""

HEADINGS = ("phase", "their no", "our no", "attribute", "they offer", "we accept", "")


def render(told: Explanation, width: int = WIDTH) -> str:
    """All of it, in lines of at most ``width`` (words longer than that stay whole)."""
    parts = ["\n".join(_head(told))]
    if told.steps:
        parts.append("\n".join(_steps(told, width)))
    if told.comparisons:
        parts.append("\n".join((*_table(told.comparisons), *_smallest(told.comparisons))))
    parts.append("\n".join(_verdict(told, width)))
    return "\n\n".join(parts)


def _head(told: Explanation) -> Iterator[str]:
    about = f"{told.about}: " if told.about else ""
    yield f"{about}{told.verdict.what}"
    if told.began:
        steps = f", {len(told.steps)} steps" if told.steps else ""
        yield f"began {told.began}{steps}"


def _steps(told: Explanation, width: int) -> Iterator[str]:
    gap = told.left_out > 0
    for number, step in enumerate(told.steps, start=1):
        if gap and step.after > told.gap_after:
            gap = False
            yield f"{INDENT}    … {told.left_out} events are not kept …"
        yield from _step(number, step, width)


def _step(number: int, step: Step, width: int) -> Iterator[str]:
    again = f" ({step.count} times)" if step.count > 1 and not _tells_itself(step) else ""
    first, *more = _wrapped(f"{step.text}{again}", width - STEP_INDENT) or [""]
    yield f"{number:3} {step.after:9.2f} s  {first}"
    for line in more:
        yield f"{' ' * STEP_INDENT}{line}"


def _tells_itself(step: Step) -> bool:
    """Does the sentence already list what happened several times?"""
    return bool(row_of(step.code).join)


def _table(rows: Sequence[Comparison]) -> Iterator[str]:
    """Theirs and ours, attribute by attribute (S3-12)."""
    cells = [
        HEADINGS,
        *(
            (
                str(row.phase),
                str(row.remote_number),
                str(row.local_number),
                row.attribute,
                row.remote,
                row.local,
                "" if row.fits else "differs",
            )
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        shown = (cell.ljust(size) for cell, size in zip(line, widths, strict=True))
        yield "  ".join(shown).rstrip()


def _smallest(rows: Sequence[Comparison]) -> Iterator[str]:
    """The one thing to change that would do."""
    for row in smallest(rows):
        yield (
            f"Smallest change, phase {row.phase}: {row.attribute} of their no {row.remote_number} "
            f"and our no {row.local_number}: {row.remote} there, {row.local} here"
        )


def _verdict(told: Explanation, width: int) -> Iterator[str]:
    verdict = told.verdict
    if told.summary:
        yield from _paragraph("In short", told.summary, width)
    if verdict.id == "ok.established":
        return
    yield from _paragraph("What", f"{verdict.what} ({verdict.id})", width)
    yield from _paragraph("Why", verdict.why, width)
    for place, cause in enumerate(verdict.causes):
        yield from _paragraph("" if place else "Causes", f"- {cause}", width)
    for place, action in enumerate(verdict.actions):
        who = WHO[told.side][action.who]
        yield from _paragraph("" if place else "What to do", f"- {action.text} ({who})", width)


def _paragraph(heading: str, text: str, width: int) -> Iterator[str]:
    for place, line in enumerate(_wrapped(text, width - len(INDENT))):
        yield f"{INDENT if place else heading.ljust(len(INDENT))}{line}"


def _wrapped(text: str, width: int) -> list[str]:
    # An address or a suite must not be torn at its hyphens.
    wrapper = TextWrapper(
        max(width, NARROWEST),
        break_long_words=False,
        break_on_hyphens=False,
        subsequent_indent="  " if text.startswith("- ") else "",
    )
    return wrapper.wrap(text)
