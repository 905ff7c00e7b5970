"""What a run of a fault tells docs/faults.md: both ends' words, the counters, the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from culvert.explain.explanation import Explanation

PROPERTY = "fault"
VIRTUAL, LAB = "virtual time", "namespaces"


def words(told: Explanation) -> Mapping[str, Any]:
    """The diagnosis that one end's log leads to."""
    if not told.diagnoses:
        return {}
    first = told.diagnoses[0]
    return {
        "id": first.id,
        "what": first.title,
        "why": first.why,
        "causes": list(first.causes),
        "actions": [f"{action.text} ({action.who})" for action in first.actions],
    }


def run(
    fault: str,
    where: str,
    client: Mapping[str, Any],
    gateway: Mapping[str, Any],
    counters: Mapping[str, int],
    back: float | None,
) -> dict[str, Any]:
    """One run as it is recorded."""
    return {
        "fault": fault,
        "where": where,
        "client": dict(client),
        "gateway": dict(gateway),
        "counters": dict(counters),
        "back": back,
    }
