"""The logs of two ends of one connection, whoever wrote them: joined by cookies, SPIs or times.

What only one end knows (the gateway may not tell the client) explains the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from culvert.explain.catalogue import catalogue
from culvert.explain.engine import explain
from culvert.explain.explanation import (
    WORST_FIRST,
    Attempt,
    Diagnosis,
    Evidence,
    Explanation,
    Proposals,
    Step,
)
from culvert.explain.marks import HALF_HOUR, NEAR, SKEW
from culvert.explain.own import FAMILY
from culvert.explain.sentence import clause
from culvert.explain.stamp import moment

SAYS_LITTLE = ("ok.", "unknown.")


@dataclass(frozen=True, slots=True)
class End:
    """One of the two logs, and what it tells alone."""

    name: str
    told: Explanation


def explain_ends(
    first: tuple[str, Iterable[str]],
    second: tuple[str, Iterable[str]],
    *,
    language: str = "en",
) -> Explanation | None:
    """Both logs together, each given with a name; None if they tell of nothing in common.

    Two logs of our own are better read one after the other: they join themselves.
    """
    ends = [End(name, explain(lines, language=language)) for name, lines in (first, second)]
    one, other = ends
    if one.told.family == other.told.family == FAMILY:
        return None
    pairs = list(_pairs(one.told.attempts, other.told.attempts))
    if not pairs or (one.told.family == other.told.family and _successive(one, other)):
        return None
    together = [_joined((one, mine), (other, theirs), how, language) for mine, theirs, how in pairs]
    known = {id(attempt) for mine, theirs, _ in pairs for attempt in (mine, theirs)}
    rest = [attempt for end in ends for attempt in end.told.attempts if id(attempt) not in known]
    together.sort(key=lambda attempt: WORST_FIRST.index(attempt.outcome))
    attempts = (*together, *rest)
    return Explanation(
        attempts[0].family,
        attempts[0].outcome,
        attempts,
        attempts[0].diagnoses,
        one.told.unknown_lines + other.told.unknown_lines,
        one.told.lines + other.told.lines,
        (*one.told.unknown, *other.told.unknown),
        language,
    )


def _successive(one: End, other: End) -> bool:
    """Is one the continuation of the other, as rotated logs are?"""
    spans = [
        (
            min((attempt.marks.began for attempt in end.told.attempts), default=inf),
            max((attempt.marks.ended for attempt in end.told.attempts), default=inf),
        )
        for end in (one, other)
    ]
    (began, ended), (began_too, ended_too) = spans
    return inf in (began, began_too) or ended <= began_too or ended_too <= began


# --- which belong together ---------------------------------------------------------------------


def _pairs(
    mine: Sequence[Attempt], theirs: Sequence[Attempt]
) -> Iterator[tuple[Attempt, Attempt, str]]:
    """Attempts of both that are one, and how that is known; cookies and SPIs before times."""
    left, right = list(mine), list(theirs)
    for attempt in mine:
        shared = [other for other in right if attempt.marks.names & other.marks.names]
        if shared:
            yield attempt, shared[0], "joined-names"
            left.remove(attempt)
            right.remove(shared[0])
    for attempt in list(left):
        near = sorted(
            (attempt.marks.apart(other.marks), place) for place, other in enumerate(right)
        )
        if near and near[0][0] <= (NEAR if len(right) > 1 else SKEW):
            yield attempt, right.pop(near[0][1]), "joined-times"
            left.remove(attempt)
    if len(mine) == len(theirs) == len(left) == len(right) == 1 and not (
        left[0].marks.timed and right[0].marks.timed
    ):
        yield left[0], right[0], "joined-only"


# --- two become one ----------------------------------------------------------------------------


def _joined(
    mine: tuple[End, Attempt], theirs: tuple[End, Attempt], how: str, language: str
) -> Attempt:
    sure = {one.id: one.confidence for one in (*mine[1].diagnoses, *theirs[1].diagnoses)}
    ranked = sorted(
        (
            (_rank(diagnosis, sure), place, end, attempt, diagnosis)
            for place, (end, attempt) in enumerate((theirs, mine))
            for diagnosis in attempt.diagnoses
        ),
        key=lambda one: one[:2],
    )
    once: dict[str, Diagnosis] = {}
    for _, _, end, _, diagnosis in ranked:
        if diagnosis.id not in once:
            once[diagnosis.id] = _of(end, diagnosis, clause("blind", language))
    failed = [one for one in once.values() if not one.id.startswith(SAYS_LITTLE)]
    _, _, _, deciding, _ = ranked[0]
    worst = min((mine[1].outcome, theirs[1].outcome), key=WORST_FIRST.index)
    return replace(
        deciding,
        outcome=worst if failed else deciding.outcome,
        diagnoses=tuple(failed) or tuple(once.values())[:1],
        timeline=_timeline(mine, theirs, how, language),
        proposals=_proposals(mine, theirs),
    )


def _rank(diagnosis: Diagnosis, sure: Mapping[str, float]) -> tuple[bool, float, bool]:
    """The exact cause stands before the vague one, however sure the other end is of that."""
    row = catalogue().get(diagnosis.id)
    vague = row.exactly if row is not None else ""
    sureness = max(diagnosis.confidence, sure.get(vague, 0.0) if vague else 0.0)
    return diagnosis.id.startswith(SAYS_LITTLE), -sureness, not vague


def _of(end: End, diagnosis: Diagnosis, blind: str) -> Diagnosis:
    """With both logs at hand nothing is said about what one side cannot know."""
    evidence = tuple(Evidence(one.line, f"{end.name}: {one.text}") for one in diagnosis.evidence)
    causes = tuple(cause for cause in diagnosis.causes if cause != blind)
    return replace(diagnosis, evidence=evidence, causes=causes)


def _proposals(mine: tuple[End, Attempt], theirs: tuple[End, Attempt]) -> Proposals:
    """Of both ends what they know; what one accepts, the other may not have been told.

    Which end is meant is always said by the name of its log: of two logs none is "here".
    """
    (one, attempt), (other, counterpart) = mine, theirs
    ours, others = attempt.proposals, counterpart.proposals
    end, found = (one, ours) if ours.smallest_change else (other, others)
    return Proposals(
        ours.local or others.remote,
        ours.remote or others.local,
        tuple(f"{end.name}: {change}" for change in found.smallest_change),
        (one.name, other.name),
    )


def _timeline(
    mine: tuple[End, Attempt], theirs: tuple[End, Attempt], how: str, language: str
) -> tuple[Step, ...]:
    """Both in order of time, zones set aside; without times one after the other."""
    (one, attempt), (other, counterpart) = mine, theirs
    about = clause(how, language, one=one.name, other=other.name)
    shift = 0.0
    if attempt.marks.timed and counterpart.marks.timed:
        between = attempt.marks.began - counterpart.marks.began
        shift = round(between / HALF_HOUR) * HALF_HOUR
    timed = [
        *_timed(one.name, attempt.timeline, 0.0),
        *_timed(other.name, counterpart.timeline, shift),
    ]
    if all(at < inf for at, _ in timed):
        timed.sort(key=lambda step: step[0])
    return (Step(0, "", about), *[step for _, step in timed])


def _timed(name: str, steps: Sequence[Step], shift: float) -> Iterator[tuple[float, Step]]:
    """A step without a time is of the one before it; the first ones, of the first that has one."""
    times = [moment(step.at) if step.at else None for step in steps]
    last = next((at.seconds + shift for at in times if at is not None), inf)
    for step, at in zip(steps, times, strict=True):
        last = at.seconds + shift if at is not None else last
        yield last, Step(step.line, step.at, f"{name}: {step.says}")
