"""What several workers answer to one question of an administrator, as one answer.

Counts are added up. Numbers that are counted once (`culvert.gateway.ledger`) come from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from culvert.driver.control import RequestError
from culvert.gateway.counted import REFUSALS
from culvert.gateway.ledger import Ledger
from culvert.gateway.monitor import ABSENT

Answer = Mapping[str, object]

COUNTED_ONCE = ("peak", "limit", "cumulative", "refused")
"""Of the session summary."""
THE_SAME = ("groups",)
"""Numbers in the status of a gateway that each of its workers says."""


def joined(method: str, answers: Sequence[Answer], ledger: Ledger) -> Answer:
    """At least one answer."""
    match method:
        case "sessions":
            found: list[Answer] = []
            for one in answers:
                found += cast("Iterable[Answer]", one["refusals"])
            found.sort(key=lambda refusal: str(refusal["at"]))
            summaries = [cast("Answer", one["summary"]) for one in answers]
            return {
                "summary": _with_totals(_added(summaries), ledger),
                "refusals": found[-REFUSALS:],
            }
        case "status":
            same = {name: answers[0][name] for name in THE_SAME}
            return _with_totals({**answers[0], **_added(answers), **same}, ledger)
        case "logout":
            ended = [item for one in answers for item in cast("Iterable[object]", one["ended"])]
            return {"ended": ended}
        case "announce":
            return _added(answers)
        case _:
            return answers[0]  # of a session, which is at one of them


def refused(errors: Sequence[RequestError]) -> RequestError:
    """Why nobody could: a worker that is there says more than one that is not."""
    return next((one for one in errors if one.sentence != ABSENT), errors[0])


def _with_totals(found: Answer, ledger: Ledger) -> Answer:
    once = {name: getattr(ledger, name) for name in COUNTED_ONCE}
    return {**found, **once}


def _added(answers: Iterable[Answer]) -> dict[str, object]:
    """Every number and every table of numbers in them, added up."""
    made: dict[str, object] = {}
    for answer in answers:
        for name, value in answer.items():
            before = made.get(name)
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                made[name] = value + cast("int", before or 0)
            elif isinstance(value, Mapping):
                inner = cast("Answer", value)
                made[name] = _added([cast("Answer", before or {}), inner])
    return made
