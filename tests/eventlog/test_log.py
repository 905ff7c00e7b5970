"""The event log: numbers, counts, listeners."""

from __future__ import annotations

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.filter import Filter
from culvert.eventlog.log import LONGEST_FIELD, EventLog
from eventlog.samples import BEGAN


def note(log: EventLog, code: str, **fields: str) -> Entry:
    return log.record(LogEvent(code, fields), at=BEGAN, now=1.0)


def test_entries_are_numbered_and_repetitions_counted() -> None:
    log = EventLog()
    made = [note(log, code) for code in ("service.started", "xauth.silence", "service.started")]
    assert [(one.number, one.repeat) for one in made] == [(1, 1), (2, 1), (3, 2)]
    assert log.counts == {"service.started": 2, "xauth.silence": 1}
    assert log.rings.latest().entries == tuple(made)


def test_a_listener_hears_what_it_wants_and_may_change_its_mind() -> None:
    log, heard = EventLog(), list[Entry]()
    listener = log.attach(heard.append, Filter(classes=frozenset({"AUTH"})))
    note(log, "service.started")
    note(log, "xauth.silence")
    listener.wanted = Filter(classes=frozenset({"SYSTEM"}))
    note(log, "service.started")
    log.detach(listener)
    note(log, "service.started")
    assert [one.code for one in heard] == ["xauth.silence", "service.started"]


def test_a_listener_that_breaks_is_let_go_and_the_others_hear_of_it() -> None:
    log, heard = EventLog(), list[Entry]()

    def broken(entry: Entry) -> None:
        raise RuntimeError("the viewer is gone")

    log.attach(broken)
    log.attach(heard.append)
    note(log, "service.started")
    note(log, "xauth.silence")
    assert sorted(one.code for one in heard) == [
        "service.fault",
        "service.started",
        "xauth.silence",
    ]
    fault = next(one for one in heard if one.code == "service.fault")
    assert "the viewer is gone" in str(fault.field("what"))


def test_an_endless_field_loses_its_middle_and_says_so() -> None:
    text = "a" * LONGEST_FIELD + "b" * LONGEST_FIELD
    kept = str(note(EventLog(), "config.application", value=text).field("value"))
    assert kept.startswith("aaa")
    assert kept.endswith("bbb")
    assert f"{LONGEST_FIELD} characters left out" in kept
    assert len(kept) < LONGEST_FIELD + 50


def test_an_endless_list_is_cut_as_well() -> None:
    log = EventLog()
    event = LogEvent("config.requested", {"names": ("x" * 100,) * 1000})
    assert "left out" in str(log.record(event, at=BEGAN, now=0.0).field("names"))
