"""The logs of both ends together: attempts with the same cookies are one, told twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from culvert.eventlog.diagnosis import diagnoses
from culvert.eventlog.entry import Entry
from culvert.eventlog.render.own import COOKIE
from culvert.explain.explanation import Attempt, Diagnosis

WEAKEST = 99
NOTHING_WRONG = ("ok", "unknown")


def joined(told: Sequence[tuple[Sequence[Entry], Attempt]]) -> list[Attempt]:
    """The attempts; of two that share a cookie each gets the diagnoses of both, the surest first.

    Of equally sure ones the gateway's: it knows what it may not tell the client.
    """
    made: list[Attempt] = []
    for entries, attempt in told:
        cookies = _cookies(entries)
        others = [
            (other_entries, other)
            for other_entries, other in told
            if other is not attempt
            and other_entries[0].side != entries[0].side
            and not cookies.isdisjoint(_cookies(other_entries))
        ]
        every = [(entries, attempt), *others]
        found = [
            (_strength(one), of[0].side != "gateway", one)
            for of, told_by in every
            if told_by is attempt or told_by.outcome not in NOTHING_WRONG
            for one in told_by.diagnoses
        ]
        if attempt.outcome in NOTHING_WRONG or not others:
            made.append(attempt)
            continue
        ranked = sorted(found, key=lambda one: one[:2])
        once = {one.id: one for *_, one in reversed(ranked)}
        order = dict.fromkeys(one.id for *_, one in ranked)
        made.append(replace(attempt, diagnoses=tuple(once[id] for id in order)))
    return made


def _cookies(entries: Sequence[Entry]) -> frozenset[str]:
    """The initiator's cookies, as short as the shortest rendering shows them."""
    return frozenset(str(one)[:COOKIE] for entry in entries if (one := entry.field("cookies")))


def _strength(diagnosis: Diagnosis) -> int:
    return next((row.strength for row in diagnoses() if row.id == diagnosis.id), WEAKEST)
