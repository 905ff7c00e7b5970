"""An explanation as text for a terminal or a mail, and as HTML; both safe whatever a log held."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from html import escape

from culvert.eventlog.wording import one_line
from culvert.explain.explanation import Attempt, Diagnosis, Explanation, Step
from culvert.explain.grammar.family import families
from culvert.explain.sentence import clause

WIDTH = 96
NARROW = 60
"""Below so many columns the text of a step stands under its line number and time."""

INDENT = "  "
PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>pre {{ white-space: pre-wrap; margin: 2em auto; max-width: 60em; }}</style>
</head>
<body><pre>{text}</pre></body>
</html>
"""
"""The policy bars whatever a log might have smuggled in, should any of it ever pass as markup."""

LINE_COLUMN = 7
SHOWN_UNKNOWN = 5
"""Lines not understood that are shown: enough to see of what kind they are."""


def render(told: Explanation, width: int = WIDTH) -> str:
    """All of it, in lines of at most ``width`` (words longer than that stay whole)."""
    return "\n".join(one_line(line) for line in _lines(told, width))


def html(told: Explanation) -> str:
    """The same as a page that needs nothing else: no script, nothing from elsewhere."""
    title = escape(told.diagnoses[0].title if told.diagnoses else told.family)
    return PAGE.format(language=told.language, title=title, text=escape(render(told)))


def _lines(told: Explanation, width: int) -> Iterator[str]:
    say = told.language
    title = families()[told.family].head.title if told.family in families() else told.family
    counted = "head-log" if told.lines != 1 else "head-log-line"
    head = clause(counted, say, family=title, lines=told.lines, unknown=told.unknown_lines)
    yield from _wrapped("", head, width)
    if not told.attempts:
        yield ""
        for one in told.diagnoses:
            yield from _wrapped("", one.title, width)
            yield from _diagnosis(one, say, width)
        return
    for number, attempt in enumerate(told.attempts, start=1):
        yield ""
        if len(told.attempts) > 1:
            yield clause("head-attempt", say, number=number, count=len(told.attempts))
        yield from _attempt(attempt, say, width)
    if told.left_out:
        yield ""
        yield clause("attempts-left-out", say, count=told.left_out)
    yield from _unknown(told, say, width)


def _unknown(told: Explanation, say: str, width: int) -> Iterator[str]:
    """The first lines that no row reads; how many there are stands at the top."""
    if told.unknown:
        yield ""
        yield f"{clause('head-unknown', say)}:"
    for one in told.unknown[:SHOWN_UNKNOWN]:
        yield from _wrapped(f"{INDENT}{clause('line', say, line=one.line)}: ", one.text, width)
    if told.unknown_lines > SHOWN_UNKNOWN:
        yield f"{INDENT}…"


def _attempt(attempt: Attempt, say: str, width: int) -> Iterator[str]:
    first, *others = attempt.diagnoses
    parts = [clause(f"outcome-{attempt.outcome}", say)]
    if attempt.peer:
        parts.append(clause("head-peer", say, peer=attempt.peer))
    parts.append(clause("head-phase", say, phase=attempt.phase))
    if attempt.started:
        parts.append(attempt.started)
    yield from _wrapped("", f"{first.title} ({', '.join(parts)})", width)
    if attempt.timeline:
        yield f"{clause('head-steps', say)}:"
        for step in attempt.timeline:
            yield from _step(step, say, width)
    yield from _diagnosis(first, say, width)
    yield from _proposals(attempt, say, width)
    for one in others:
        yield from _wrapped(
            f"{clause('head-also', say)}: ", f"{one.title} ({one.id}). {one.why}", width
        )


def _step(step: Step, say: str, width: int) -> Iterator[str]:
    """With its place in front, above it where there is little room."""
    at = f"  {step.at}" if step.at else ""
    if width >= NARROW:
        yield from _wrapped(f"{step.line:>{LINE_COLUMN}}{at}  ", step.says, width)
        return
    yield f"{INDENT}{clause('line', say, line=step.line)}{at}"
    yield from _wrapped(INDENT * 2, step.says, width)


def _diagnosis(one: Diagnosis, say: str, width: int) -> Iterator[str]:
    yield from _wrapped(f"{clause('head-why', say)}: ", f"{one.why} ({one.id})", width)
    if one.evidence:
        yield f"{clause('head-proof', say)}:"
        for proof in one.evidence:
            yield from _wrapped(
                f"{INDENT}{clause('line', say, line=proof.line)}: ", proof.text, width
            )
    if one.causes:
        yield f"{clause('head-causes', say)}:"
        for cause in one.causes:
            yield from _wrapped(f"{INDENT}- ", cause, width)
    if one.actions:
        yield f"{clause('head-actions', say)}:"
        for action in one.actions:
            who = clause(f"who-{action.who}", say)
            yield from _wrapped(f"{INDENT}- ", f"{action.text} ({who})", width)


def _proposals(attempt: Attempt, say: str, width: int) -> Iterator[str]:
    found = attempt.proposals
    if attempt.outcome == "ok" or not (found.local or found.remote):
        return
    yield f"{clause('head-proposals', say)}:"
    local, remote = found.ends
    for heading, values in (
        (local or clause("head-local", say), found.local),
        (remote or clause("head-remote", say), found.remote),
        (clause("head-change", say), found.smallest_change),
    ):
        for value in values:
            yield from _wrapped(f"{INDENT}{heading}: ", value, width)


def _wrapped(begins: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=begins,
        subsequent_indent=" " * len(begins),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [begins.rstrip()]
