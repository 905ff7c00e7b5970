"""What both sides offered, and the smallest change that would have made them agree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

from culvert.explain.explanation import Proposals
from culvert.explain.facts import Fact, place
from culvert.explain.match import placed
from culvert.explain.sentence import clause

SHOWN = 16
LIST = re.compile(r",\s+(?=[A-Z]+:)|,\s+(?=\d)")


PHASES = ("1", "2")
AGREED = {"1": ("proposal.matched", "p1.up"), "2": ("proposal.matched", "proposal.fits", "p2.up")}
"""Facts that say that nothing has to be changed in a phase."""


def proposals(facts: Sequence[Fact], language: str) -> Proposals:
    """What was offered and compared; the smallest change of each phase that came to nothing.

    Phase 1 protects the negotiation and phase 2 the packets: their proposals never compete.
    """
    parted = _parted(facts)
    found = [_of_phase(phase, parted[phase], language) for phase in PHASES]
    return Proposals(
        tuple(_unique([value for one in found for value in one.local])),
        tuple(_unique([value for one in found for value in one.remote])),
        tuple(value for one in found for value in one.smallest_change),
    )


def _parted(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """The facts of each phase: the row says of which, else how far the attempt was."""
    found: dict[str, list[Fact]] = {phase: [] for phase in PHASES}
    for one in placed(facts):
        stage = "1" if one.stage < place("p1") else "2"
        found[one.fact.value("of_phase") or stage].append(one.fact)
    return found


def _of_phase(phase: str, facts: Sequence[Fact], language: str) -> Proposals:
    """From the lists that a log prints whole, or from the pairs it compared."""
    local = _listed(facts, "offer.local", "local")
    remote = _listed(facts, "offer.remote", "remote")
    agreed = any(fact.id in AGREED[phase] for fact in facts)
    if local and remote:
        change = () if agreed else _of_lists(local, remote, language)
        return Proposals(tuple(local), tuple(remote), change)
    pairs = [fact for fact in facts if fact.value("local") and fact.value("remote")]
    return Proposals(
        (*local, *(fact.value("local") for fact in pairs)),
        (*remote, *(fact.value("remote") for fact in pairs)),
        () if agreed or not pairs else _of_pairs(pairs, language),
    )


def _listed(facts: Sequence[Fact], fact_id: str, name: str) -> list[str]:
    found = [
        part.strip()
        for fact in facts
        if fact.id == fact_id
        for part in LIST.split(fact.value(name))
    ]
    return _unique(found)


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))[:SHOWN]


def _of_lists(local: Sequence[str], remote: Sequence[str], language: str) -> tuple[str, ...]:
    """The pair of proposals that differs in the fewest parts, and in which."""
    pairs = [
        (_parts(mine) ^ _parts(theirs), mine, theirs) for mine, theirs in product(local, remote)
    ]
    differing, mine, theirs = min(pairs, key=lambda one: (len(one[0]), len(one[1])))
    if not differing:
        return ()
    here = [part for part in _ordered(mine) if part in differing]
    there = [part for part in _ordered(theirs) if part in differing]
    none = clause("change-none", language)
    return (
        clause(
            "change",
            language,
            local=" / ".join(here) or none,
            remote=" / ".join(there) or none,
        ),
    )


def _ordered(proposal: str) -> list[str]:
    return proposal.partition(":")[2].split("/") if ":" in proposal else proposal.split("/")


def _parts(proposal: str) -> frozenset[str]:
    return frozenset(_ordered(proposal))


def _of_pairs(pairs: Sequence[Fact], language: str) -> tuple[str, ...]:
    """What was compared last: the pair that came furthest before it differed, if numbers tell."""
    groups: dict[tuple[str, str], list[Fact]] = {}
    for fact in pairs:
        groups.setdefault((fact.value("remote_no"), fact.value("local_no")), []).append(fact)
    # A comparison stops at the first difference in a fixed order of attributes: cipher, hash, …
    # The pair whose differing attribute comes latest in that order agrees in most.
    best = min(groups.values(), key=lambda group: (len(group), -_rank(group[0])))
    return tuple(
        clause(
            "change-attribute" if fact.value("attribute") else "change",
            language,
            attribute=fact.value("attribute"),
            local=fact.value("local"),
            remote=fact.value("remote"),
        )
        for fact in best[:SHOWN]
    )


ORDER = ("encr", "cipher", "key", "hash", "integ", "prf", "auth", "group", "life")


def _rank(fact: Fact) -> int:
    attribute = fact.value("attribute").lower()
    return next((place for place, part in enumerate(ORDER) if part in attribute), -1)
