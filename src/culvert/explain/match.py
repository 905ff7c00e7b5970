"""Facts of one attempt to diagnoses: signs and rules, the strongest first; success overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import cast

from culvert.explain.catalogue import DiagnosisRow, catalogue
from culvert.explain.derive import derived
from culvert.explain.facts import Fact, Value, place
from culvert.tables.loader import rows

TABLE = "explain/rules.toml"
PROOFS = 6
TOLD = 4
"""Diagnoses listed for one attempt: what is weaker than the fourth helps nobody."""

PHASE_1 = frozenset({"p1-sent", "p1-partial"})
"""Diagnoses that reach no further than this are about phase 1."""

Condition = Mapping[str, Value]
CONTROL = frozenset({"fact", "below", "from", "times", "up"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A diagnosis that several facts prove together; the columns are explained in the table."""

    diagnosis: str
    strength: int
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    none: tuple[Condition, ...] = ()
    below: str = ""
    reached: str = ""
    up: bool | None = None


@dataclass(slots=True)
class Finding:
    """A diagnosis that holds, how strongly, and the facts that prove it."""

    row: DiagnosisRow
    strength: int
    last: int
    proofs: list[Fact] = field(default_factory=list[Fact])


@dataclass(frozen=True, slots=True)
class Placed:
    """A fact, how far the attempt was when it came, and whether it stood already."""

    number: int
    fact: Fact
    stage: int
    up: bool


@cache
def rules() -> tuple[Rule, ...]:
    return rows(TABLE, "rule", Rule)


def placed(facts: Sequence[Fact]) -> list[Placed]:
    """Every fact with the state of the attempt at its moment."""
    made: list[Placed] = []
    stage = -1
    up = False
    for number, fact in enumerate(facts):
        made.append(Placed(number, fact, stage, up))
        row = fact.row
        stage = max(stage, place(row.reach))
        up = up or row.up
    return made


def findings(facts: Sequence[Fact]) -> list[Finding]:
    """Every diagnosis that holds, the one that matters most first."""
    given = placed((*facts, *derived(facts)))
    stood = max((one.number for one in given if one.fact.row.up), default=-1)
    found: dict[str, Finding] = {}
    for one in given:
        if one.fact.strength:
            _note(found, one.fact.value("of"), one.fact.strength, [one])
    by_id: dict[str, list[Placed]] = {}
    for one in given:
        by_id.setdefault(one.fact.id, []).append(one)
    reach = max((max(one.stage, place(one.fact.row.reach)) for one in given), default=-1)
    for rule in rules():
        if (proofs := _holds(rule, by_id, reach, stood)) is not None:
            _note(found, rule.diagnosis, rule.strength, proofs)
    agreed = max((one.number for one in given if one.fact.id == "p1.up"), default=-1)
    valid = [
        one for one in found.values() if _counts(one, stood) and one.last >= _since(one, agreed)
    ]
    valid.sort(key=lambda one: (one.strength, one.row.rank, -one.last))
    return _told(valid)


def _note(
    found: dict[str, Finding], diagnosis: str, strength: int, proofs: Sequence[Placed]
) -> None:
    known = found.get(diagnosis)
    if known is None:
        known = found[diagnosis] = Finding(catalogue()[diagnosis], strength, -1)
    if strength < known.strength:
        # The stronger proof is quoted first.
        known.strength = strength
        known.proofs[:0] = [one.fact for one in proofs if one.fact not in known.proofs]
    else:
        known.proofs.extend(one.fact for one in proofs if one.fact not in known.proofs)
    del known.proofs[PROOFS:]
    known.last = max(known.last, *(one.number for one in proofs), -1)


def _counts(finding: Finding, stood: int) -> bool:
    """What was noted before the tunnel stood was a step, unless it is about the tunnel."""
    row = finding.row
    return stood < 0 or finding.last > stood or row.good or row.despite_up


def _since(finding: Finding, agreed: int) -> int:
    """What speaks against phase 1 does not outlive that it stands."""
    return agreed if finding.row.cap in PHASE_1 and not finding.row.good else -1


def _told(valid: list[Finding]) -> list[Finding]:
    """Good news and bad news exclude each other; hints stand back behind causes."""
    if not valid:
        return []
    bad = [one for one in valid if not one.row.good]
    chosen = bad or valid
    strongest = chosen[0].strength
    limit = 6 if strongest > 2 else strongest + 3
    return [one for one in chosen if one.strength <= limit][:TOLD]


def _holds(
    rule: Rule, given: Mapping[str, Sequence[Placed]], reach: int, stood: int
) -> list[Placed] | None:
    if rule.below and reach >= place(rule.below):
        return None
    if rule.reached and reach < place(rule.reached):
        return None
    if rule.up is not None and rule.up != (stood >= 0):
        return None
    if any(_meets(condition, given) for condition in rule.none):
        return None
    needed = [_meets(condition, given) for condition in rule.all]
    one_of = [met for condition in rule.any if (met := _meets(condition, given))]
    if not all(needed) or (rule.any and not one_of):
        return None
    return [one for met in (*one_of, *needed) for one in met]


def _meets(condition: Condition, given: Mapping[str, Sequence[Placed]]) -> list[Placed]:
    """The facts that meet one condition; empty if too few do. ``given`` has them by their ids."""
    of_kind = given.get(str(condition["fact"]))
    if not of_kind:
        return []
    wanted = [
        (name, str(value).casefold()) for name, value in condition.items() if name not in CONTROL
    ]
    below, start = condition.get("below"), condition.get("from")
    met = [
        one
        for one in of_kind
        if (below is None or one.stage < place(str(below)))
        and (start is None or one.stage >= place(str(start)))
        and ("up" not in condition or one.up == condition["up"])
        and all(fnmatchcase(one.fact.value(name).casefold(), value) for name, value in wanted)
    ]
    return met if len(met) >= cast("int", condition.get("times", 1)) else []
