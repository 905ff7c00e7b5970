"""The session table: counters that never contradict each other, and ends that come once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from culvert.errors import MisuseError
from culvert.policy.refused import Refused
from culvert.session.ending import ending, endings
from culvert.session.session import Counters, Kind, Session
from culvert.session.table import HISTORY, SessionTable

AT = datetime(2030, 1, 7, tzinfo=UTC)


def admitted(table: SessionTable, user: str = "ann", kind: Kind = Kind.IPSEC_USER) -> Session:
    session = table.admit(kind, user, at=AT, now=10.0, group="sales")
    assert isinstance(session, Session)
    return session


@pytest.mark.requirement("S4-41", part="limit")
def test_session_101_of_100_is_refused_with_a_reason() -> None:
    table = SessionTable(limit=100)
    for number in range(100):
        admitted(table, f"user {number}")
    refused = table.admit(Kind.IPSEC_USER, "one more", at=AT, now=0.0)
    assert isinstance(refused, Refused)
    assert refused.reason == "session-limit"
    assert refused.reason in endings()
    assert "100 of 100" in refused.detail
    assert table.totals.refused == 1
    assert (table.totals.active, table.totals.peak, table.totals.cumulative) == (100, 100, 100)


def test_room_made_by_an_end_is_room() -> None:
    table = SessionTable(limit=1)
    first = admitted(table)
    table.end(first.number, "by-user", now=20.0)
    assert isinstance(table.admit(Kind.IPSEC_USER, "bob", at=AT, now=20.0), Session)


def test_a_user_at_their_own_limit_is_refused_and_others_are_not() -> None:
    table = SessionTable(limit=0)
    for _ in range(2):
        table.admit(Kind.IPSEC_USER, "ann", at=AT, now=0.0, user_limit=2)
    refused = table.admit(Kind.IPSEC_USER, "ann", at=AT, now=0.0, user_limit=2)
    assert isinstance(refused, Refused)
    assert refused.reason == "duplicate-limit"
    assert isinstance(table.admit(Kind.IPSEC_USER, "bob", at=AT, now=0.0, user_limit=2), Session)


def test_a_session_ends_once_with_a_row_of_endings() -> None:
    table = SessionTable(limit=0)
    session = admitted(table)
    table.count(session.number, Counters(768, 512, 7, 5))
    closed = table.end(session.number, "by-administrator", now=254.0, by_peer=False)
    assert closed is not None
    assert closed.ending == ending("by-administrator")
    assert (closed.user, closed.group, closed.seconds) == ("ann", "sales", 244.0)
    assert closed.counters == Counters(768, 512, 7, 5)
    assert table.end(session.number, "by-user", now=255.0, by_peer=True) is None
    assert table.closed == (closed,)


def test_an_unknown_reason_is_a_bug_and_ends_nothing() -> None:
    table = SessionTable(limit=0)
    session = admitted(table)
    with pytest.raises(MisuseError):
        table.end(session.number, "because", now=20.0)
    assert table.find(session.number) is session


def test_a_clock_that_goes_back_makes_no_negative_duration() -> None:
    table = SessionTable(limit=0)
    closed = table.end(admitted(table).number, "by-user", now=5.0)
    assert closed is not None
    assert closed.seconds == 0.0


def test_counters_of_a_session_that_has_ended_are_dropped() -> None:
    table = SessionTable(limit=0)
    session = admitted(table)
    table.end(session.number, "by-user", now=20.0)
    table.count(session.number, Counters(1, 1, 1, 1))
    assert session.counters == Counters()


def test_a_session_is_found_by_its_inner_address_while_it_has_it() -> None:
    table = SessionTable(limit=0)
    session = admitted(table)
    table.assign(session.number, "40.1.1.1")
    assert table.by_assigned("40.1.1.1") is session
    table.assign(session.number, "40.1.1.2")
    assert table.by_assigned("40.1.1.1") is None
    table.end(session.number, "by-user", now=20.0)
    assert table.by_assigned("40.1.1.2") is None


def test_two_sessions_never_have_one_address() -> None:
    table = SessionTable(limit=0)
    first, second = admitted(table), admitted(table, "bob")
    table.assign(first.number, "40.1.1.1")
    with pytest.raises(MisuseError):
        table.assign(second.number, "40.1.1.1")
    assert second.assigned == ""


def test_sessions_may_end_while_the_table_is_walked() -> None:
    table = SessionTable(limit=0)
    for _ in range(3):
        admitted(table)
    for session in table:
        table.end(session.number, "peer-shutdown", now=20.0)
    assert len(table) == 0


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(MisuseError):
        SessionTable(limit=0).admit(Kind.IPSEC_USER, "ann", at=datetime(2030, 1, 1), now=0.0)  # noqa: DTZ001


def test_the_history_is_bounded_and_names_of_the_gone_are_forgotten() -> None:
    table = SessionTable(limit=0)
    for number in range(HISTORY + 50):
        table.end(admitted(table, f"user {number}").number, "by-user", now=20.0)
    assert len(table.closed) == HISTORY
    assert table.closed[-1].user == f"user {HISTORY + 49}"
    assert not table._users


def test_numbers_go_on_where_the_last_run_stopped() -> None:
    assert admitted(SessionTable(limit=0, cumulative=52)).number == 53


@pytest.mark.requirement("S4-41", part="counts")
@pytest.mark.requirement("S4-64", part="history")
def test_any_history_of_opening_and_ending_keeps_the_counters_true() -> None:
    chosen = settings(max_examples=80, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(Histories, settings=chosen)


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = SessionTable(limit=4, cumulative=52)
        self.live: list[Session] = []
        self.ended: list[int] = []
        self.opened = self.highest = self.last_cumulative = 0

    @rule(kind=st.sampled_from(Kind), user=st.sampled_from(["ann", "bob"]))
    def open(self, kind: Kind, user: str) -> None:
        session = self.table.admit(kind, user, at=AT, now=0.0, group=f"of {user}", user_limit=3)
        of_user = sum(one.user == user for one in self.live)
        if len(self.live) >= 4:
            assert session == Refused("session-limit", "4 of 4 sessions")
        elif of_user >= 3:
            assert isinstance(session, Refused)
            assert session.reason == "duplicate-limit"
        else:
            assert isinstance(session, Session)
            assert session.number not in self.ended
            self.live.append(session)
            self.opened += 1
            self.highest = max(self.highest, len(self.live))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), reason=st.sampled_from(sorted(endings())))
    def close(self, data: st.DataObject, reason: str) -> None:
        session = data.draw(st.sampled_from(self.live))
        closed = self.table.end(session.number, reason, now=1.0)
        assert closed is not None
        assert closed.ending.id == reason
        self.live.remove(session)
        self.ended.append(session.number)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def close_again(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.ended))
        assert self.table.end(number, "by-user", now=1.0) is None

    @invariant()
    def counters_are_true(self) -> None:
        totals = self.table.totals
        kinds = {kind: sum(one.kind is kind for one in self.live) for kind in Kind}
        assert totals.lan_to_lan == kinds[Kind.LAN_TO_LAN]
        assert totals.remote_access == kinds[Kind.IPSEC_USER]
        assert totals.management == kinds[Kind.MANAGEMENT]
        assert totals.active == len(self.live) == sum(kinds.values())
        assert totals.active <= totals.peak == self.highest <= totals.limit
        assert totals.cumulative == 52 + self.opened >= self.last_cumulative
        self.last_cumulative = totals.cumulative
        for user in ("ann", "bob"):
            count = sum(one.user == user for one in self.live)
            assert self.table.count_of_user(user) == len(self.table.of_user(user)) == count
        assert list(self.table) == self.live
