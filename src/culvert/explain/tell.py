"""Attempts to words: verdict, proof, causes, what to do, and the time line, in one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from culvert.eventlog.wording import one_line
from culvert.explain.catalogue import catalogue, words
from culvert.explain.explanation import (
    WORST_FIRST,
    Action,
    Attempt,
    Diagnosis,
    Evidence,
    Explanation,
    Step,
)
from culvert.explain.facts import Fact, phases, place
from culvert.explain.marks import marks
from culvert.explain.match import Finding, findings
from culvert.explain.proposals import proposals
from culvert.explain.reader import Tally
from culvert.explain.sentence import clause, filled, says
from culvert.explain.summary import summary, value_of
from culvert.explain.timeline import Lane, Lanes, reached

CONFIDENCE = {1: 0.95, 2: 0.85, 3: 0.75, 4: 0.65, 5: 0.55, 6: 0.4}
"""By the strength of the proof; the order in explain/rules.toml explains them."""

STEPS = 300
"""Steps of a time line; more of them nobody reads. The middle is left out."""

INCOMPLETE = "unknown.incomplete"
NOT_VPN = "unknown.not-vpn"
EMPTY = "unknown.empty"
PROOFS_OF_NOTHING = 3


def told(lanes: Lanes, tally: Tally, language: str) -> Explanation:
    """Everything that was read, the attempt that matters most first."""
    latest: list[Attempt] = []
    earlier: list[Attempt] = []
    for lane in lanes.lanes():
        deciding, others = _lane(lane, language)
        latest.append(deciding)
        earlier.extend(others)
    latest.sort(key=lambda one: WORST_FIRST.index(one.outcome))
    attempts = _telling((*latest, *earlier))
    if not attempts:
        family, id = (
            (tally.family, INCOMPLETE)
            if tally.is_vpn and (tally.understood or tally.distinct)
            else ("unknown", NOT_VPN)
        )
        if not tally.records:
            family, id = "unknown", EMPTY
        nothing = diagnosis(Finding(catalogue()[id], 1, 0), (), language)
        return _explanation(family, "unknown", (), (nothing,), tally, language)
    outcome = _overall([one.outcome for one in latest if one in attempts])
    made = _explanation(tally.family, outcome, attempts, attempts[0].diagnoses, tally, language)
    return replace(made, left_out=lanes.left_out)


def _telling(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Lines that led nowhere are no attempt beside others that did."""
    telling = tuple(one for one in attempts if one.outcome != "unknown" or one.phase != "none")
    return telling or attempts[:1]


def _explanation(
    family: str,
    outcome: str,
    attempts: tuple[Attempt, ...],
    diagnoses: tuple[Diagnosis, ...],
    tally: Tally,
    language: str,
) -> Explanation:
    return Explanation(
        family,
        outcome,
        attempts,
        diagnoses,
        tally.unknown,
        tally.lines,
        tuple(tally.kept),
        language,
    )


def _overall(outcomes: Sequence[str]) -> str:
    """Of several connections: some up and some not is a limitation, not a failure."""
    known = {outcome for outcome in outcomes if outcome != "unknown"}
    if not known:
        return "unknown"
    if "failed" in known and known & {"ok", "degraded"}:
        return "degraded"
    return next(one for one in WORST_FIRST if one in known)


def _lane(lane: Lane, language: str) -> tuple[Attempt, list[Attempt]]:
    """The attempt that decides how a connection stands (its last with a verdict); the others."""
    made = [attempt(course.facts(), lane.family, language) for course in lane.attempts]
    with_verdict = [number for number, one in enumerate(made) if one.outcome != "unknown"]
    deciding = with_verdict[-1] if with_verdict else len(made) - 1
    return made[deciding], [one for number, one in enumerate(made) if number != deciding]


def attempt(facts: Sequence[Fact], family: str, language: str) -> Attempt:
    """One attempt in words."""
    found = findings(facts)
    stood = any(fact.row.up for fact in facts)
    if not found:
        proofs = [*facts[-PROOFS_OF_NOTHING:]]
        found = [Finding(catalogue()[INCOMPLETE], 6, len(facts), proofs)]
    first = found[0].row
    outcome = first.outcome_up if stood and first.outcome_up else first.outcome
    seconds = duration(facts)
    diagnoses = tuple(diagnosis(one, facts, language, seconds=seconds) for one in found)
    return Attempt(
        outcome,
        "down" if stood and outcome == "ended" else _phase(facts, found[0]),
        one_line(value_of(facts, "peer") or value_of(facts, "host")),
        next((fact.at.text for fact in facts if fact.at is not None), ""),
        seconds,
        diagnoses,
        steps(facts, language),
        proposals(facts, language),
        family,
        marks(facts),
    )


def _phase(facts: Sequence[Fact], finding: Finding) -> str:
    row = finding.row
    reach = max(reached(facts), place(row.floor))
    if row.cap:
        reach = min(reach, place(row.cap))
    return phases()[reach] if reach >= 0 else "none"


def diagnosis(
    finding: Finding, facts: Sequence[Fact], language: str, *, seconds: float | None = None
) -> Diagnosis:
    """A finding in words; an attempt that came up tells in short how."""
    row, text = finding.row, words(finding.row.id, language)
    known = {name: str(value) for fact in facts for name, value in fact.values.items()}
    for proof in reversed(finding.proofs):
        known.update({name: str(value) for name, value in proof.values.items()})
    known.setdefault("peer", clause("the-peer", language))
    why = filled(text.why, known)
    if row.good and (short := summary(facts, seconds, language)):
        why = f"{why} {short}."
    evidence = {fact.line: Evidence(fact.line, fact.text) for fact in finding.proofs}
    return Diagnosis(
        row.id,
        filled(text.title, known),
        CONFIDENCE[finding.strength],
        why,
        (*(filled(cause, known) for cause in text.causes), *unknowable(row.id, language)),
        tuple(_action(one, known) for one in text.actions),
        tuple(evidence.values()),
    )


def unknowable(id: str, language: str) -> tuple[str, ...]:
    """What is to be said after the causes, if this side's log cannot tell which of them it is."""
    row = catalogue().get(id)
    return (clause("blind", language),) if row is not None and row.blind else ()


def _action(text: str, known: dict[str, str]) -> Action:
    who, _, what = text.partition(": ")
    return Action(filled(what, known), who)


def duration(facts: Sequence[Fact]) -> float | None:
    """Seconds from the start to the moment it stood, else to the last that is known."""
    timed = [fact for fact in facts if fact.at is not None]
    if not timed:
        return None
    answered = next(
        (number for number, fact in enumerate(timed) if place(fact.row.reach) > place("p1-sent")),
        len(timed),
    )
    begun = next((fact for fact in reversed(timed[:answered]) if fact.id == "start"), timed[0])
    stood = next((fact for fact in timed if fact.row.up), timed[-1])
    if begun.at is None or stood.at is None:
        return None
    seconds = stood.at.seconds - begun.at.seconds
    return round(seconds, 3) if seconds >= 0 else None


def steps(facts: Sequence[Fact], language: str) -> tuple[Step, ...]:
    """A sentence for every fact that has one; the same again is counted, comparisons are joined."""
    made: list[Step] = []
    counts: list[int] = []
    last: Fact | None = None
    for fact in facts:
        text = says(fact, language)
        if not text:
            continue
        if last is not None and made and text == says(last, language) and not fact.row.joins:
            counts[-1] += 1
        elif last is not None and made and fact.row.joins and fact.id == last.id:
            made[-1] = Step(made[-1].line, made[-1].at, f"{made[-1].says}; {text}")
        else:
            made.append(Step(fact.line, fact.at.text if fact.at else "", text))
            counts.append(1)
        last = fact
    shown = [
        Step(one.line, one.at, f"{one.says} ({clause('times', language, count=count)})")
        if count > 1
        else one
        for one, count in zip(made, counts, strict=True)
    ]
    if len(shown) <= STEPS:
        return tuple(shown)
    half = STEPS // 2
    gap = clause("left-out", language, count=len(shown) - 2 * half)
    return (*shown[:half], Step(shown[half].line, shown[half].at, gap), *shown[-half:])
