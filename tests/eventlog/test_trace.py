"""A live trace of one connection or peer: all that belongs to it, nothing of the others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.trace import WAITING, Trace

AT = datetime(2026, 7, 2, 10, tzinfo=UTC)


def entry(number: int, code: str, **fields: Field) -> Entry:
    return Entry(number, AT, float(number), LogEvent(code, fields))


LOGIN = [
    entry(1, "ike.phase1-started", cookies="aa/bb", peer="192.0.2.7:500", mode="aggressive"),
    entry(2, "ike.phase1-started", cookies="cc/dd", peer="192.0.2.8:500", mode="aggressive"),
    entry(3, "xauth.answered", cookies="aa/bb", user="alice"),
    entry(4, "xauth.answered", cookies="cc/dd", user="bob"),
    entry(5, "session.started", cookies="aa/bb", session=14, user="alice", group="staff"),
    entry(6, "quick.removed", session=14),
    entry(7, "quick.removed", session=15),
    entry(8, "service.started"),
]


@pytest.mark.parametrize(
    ("about", "numbers"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("alice", [1, 3, 5, 6]),
        ("bob", [2, 4]),
        ("staff", [1, 3, 5, 6]),
        ("192.0.2.7", [1, 3, 5, 6]),
        ("#14", [1, 3, 5, 6]),
        ("#1", []),
        ("carol", []),
    ],
)
def test_what_is_told_of_whom(about: str, numbers: list[int]) -> None:
    trace = Trace(about)
    assert [one.number for happened in LOGIN for one in trace.heard(happened)] == numbers


def test_what_waits_for_a_name_is_bounded() -> None:
    trace = Trace("alice")
    for number in range(1, WAITING + 10):
        assert not trace.heard(entry(number, "ike.vendor-id", cookies="aa/bb"))
    told = trace.heard(entry(WAITING + 10, "xauth.answered", cookies="aa/bb", user="alice"))
    assert [one.number for one in told] == [*range(10, WAITING + 11)]
