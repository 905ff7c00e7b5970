"""From evidence to the state of a requirement."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ledger import Evidence, Reasons, Row

STATES = ("passed", "partial", "failed", "missing", "documented", "out-of-scope")


@dataclass(frozen=True, slots=True)
class Verdict:
    row: Row
    state: str
    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...]


def judge(row: Row, found: Iterable[Evidence], reasons: Reasons, root: Path) -> Verdict:
    """The state of ``row``. A row with several marks is as good as the worst of them."""
    evidence = tuple(found)
    notes = reasons.unavailable.get(row.id, ())
    states: list[str] = []
    if row.marks & {"B", "A"}:
        state, open_parts = proved(row, evidence)
        states.append("partial" if notes and state == "passed" else state)
        notes += tuple(f"open: {part}" for part in open_parts)
        strange = sorted({e.part for e in evidence} - {"", *row.parts})
        notes += tuple(f"part not in the list: {part}" for part in strange)
    if "D" in row.marks:
        standing = bool(row.anchor) and has_heading(root, row.anchor)
        states.append("documented" if standing else "missing")
        notes += (f"text: {row.anchor}",) if standing else ("open: text",)
    if "X" in row.marks:
        reason = reasons.scope.get((row.id, "X"), "")
        states.append("out-of-scope" if reason else "missing")
        notes += (reason,) if reason else ()
    return Verdict(row, together(states, evidence), evidence, notes)


def together(states: list[str], evidence: tuple[Evidence, ...]) -> str:
    if any(e.outcome == "failed" for e in evidence):
        return "failed"
    done = {"passed", "documented", "out-of-scope"}
    if all(state in done for state in states):
        # Of a row both built and documented or excluded, what is built is the news.
        return "passed" if "passed" in states else states[0]
    # The reason for an excluded part proves nothing about the part that is to be built.
    begun = {"passed", "partial", "documented"} & set(states)
    return "partial" if begun else "missing"


def proved(row: Row, evidence: tuple[Evidence, ...]) -> tuple[str, tuple[str, ...]]:
    """State of what is to be built, and the parts nothing proves yet.

    A row with listed parts needs each of them: a test for "the whole" cannot be one there. A
    skipped test of this number leaves the row open, whatever else passed.
    """
    wanted = row.parts or ("",)
    passed = {e.part for e in evidence if e.outcome == "passed"}
    unproved = {e.part for e in evidence if e.outcome != "passed"}
    still_open = tuple(part for part in wanted if part not in passed or part in unproved)
    if any(e.outcome == "failed" for e in evidence):
        return "failed", ()
    if not still_open and not unproved:
        return "passed", ()
    if not passed:
        return "missing", ()
    return "partial", tuple(part or "the whole" for part in still_open)


@cache
def has_heading(root: Path, anchor: str) -> bool:
    """Does ``file.md#heading`` exist? Anchors are made of headings as forges make them."""
    name, _, heading = anchor.partition("#")
    path = root / name
    if not path.is_file():
        return False
    titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}
    return heading in made
