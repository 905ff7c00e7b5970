"""Facts that follow only from many lines together: packets in one direction, the largest ping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from culvert.explain.facts import Fact

ONE_WAY = 3
"""So many packets without one in return are no accident."""

ICMP_HEADERS = 28
ICMP_ALONE = 8


def derived(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """What the facts of an attempt say together; each quotes the last line that shows it."""
    return tuple(
        found
        for found in (
            _one_way(facts, "esp.seen", "esp.one-way"),
            _one_way(facts, "natt.seen", "natt.one-way"),
            *_largest_ping(facts),
        )
        if found is not None
    )


def _one_way(facts: Sequence[Fact], seen: str, says: str) -> Fact | None:
    packets = [fact for fact in facts if fact.id == seen]
    senders = {fact.value("src") for fact in packets}
    if len(packets) < ONE_WAY or len(senders) != 1:
        return None
    return replace(
        packets[-1], id=says, says={}, values={**packets[-1].values, "packets": len(packets)}
    )


def _largest_ping(facts: Sequence[Fact]) -> Iterator[Fact]:
    """The largest answer, as the size of its whole packet."""
    sizes = [(int(fact.value("size")), fact) for fact in facts if fact.id == "ping.ok"]
    tried = [fact for fact in facts if fact.id == "ping.df"]
    if sizes and tried and any(fact.id == "ping.lost" for fact in facts):
        size, fact = max(sizes, key=lambda one: one[0])
        largest = size - ICMP_ALONE + ICMP_HEADERS
        asked = [one for one in tried if one.value("size") == str(size - ICMP_ALONE)]
        proof = asked[-1] if asked else fact
        yield replace(proof, id="ping.largest", says={}, values={**fact.values, "largest": largest})
