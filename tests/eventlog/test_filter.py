"""Filters of the event log: each condition alone, and together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from culvert.eventlog.entry import Entry
from culvert.eventlog.filter import EVERYTHING, Filter
from culvert.eventlog.severity import word
from culvert.eventlog.vocabulary import classes
from eventlog.samples import AT_THE_GATEWAY, BEGAN, CALLER, GOOD, STARTED, client, gateway, recorded

ALL = (
    *client(*GOOD),
    *gateway(*AT_THE_GATEWAY),
    *recorded([STARTED], session=14),
)


def chosen(wanted: Filter, entries: Sequence[Entry] = ALL) -> set[str]:
    return {entry.code for entry in entries if wanted.wants(entry)}


def test_nothing_asked_is_everything_given() -> None:
    assert all(EVERYTHING.wants(entry) for entry in ALL)


def test_by_class() -> None:
    assert chosen(Filter(classes=frozenset({"CLIENT"}))) == {
        "client.connecting",
        "client.resolved",
        "client.asking",
        "client.machine-configured",
        "client.up",
    }


def test_by_severity() -> None:
    found = [entry for entry in ALL if Filter(severity_from=4, severity_to=5).wants(entry)]
    assert found
    assert all(4 <= entry.row.severity <= 5 for entry in found)


def test_by_session_user_group_and_connection() -> None:
    assert chosen(Filter(session=14)) == {"session.started"}
    assert chosen(Filter(group="sales")) == {"session.started"}
    assert chosen(Filter(user="ann")) == {"xauth.answered", "xauth.accepted", "session.started"}
    assert "session.started" not in chosen(Filter(connection="office"))


def test_by_address_whatever_the_port() -> None:
    assert chosen(Filter(address=CALLER.partition(":")[0])) == {
        "ike.phase1-started",
        "ike.phase1-established",
        "session.started",
    }


def test_by_address_of_the_sixth_version() -> None:
    at = recorded([(0.0, "ike.peer-moved", {"old": "[2001:db8::1]:500", "new": "2001:db8::2"})])
    assert chosen(Filter(address="2001:db8::1"), at) == {"ike.peer-moved"}
    assert chosen(Filter(address="2001:db8::2"), at) == {"ike.peer-moved"}
    assert chosen(Filter(address="2001:db8::3"), at) == set()


def test_by_time() -> None:
    late = Filter(since=BEGAN + timedelta(seconds=17.9), until=BEGAN + timedelta(seconds=17.95))
    assert chosen(late) == {"client.machine-configured"}


def test_all_conditions_must_hold() -> None:
    both = Filter(classes=frozenset({"AUTH"}), user="ann", severity_to=5)
    assert chosen(both) == {"xauth.accepted"}


levels = st.dictionaries(st.sampled_from([one.name for one in classes()]), st.integers(1, 13))


@given(levels, st.integers(1, 13), st.integers(0, 12))
def test_raising_a_level_loses_no_line(own: dict[str, int], level: int, more: int) -> None:
    """Per class and in general: whatever was shown is shown at every higher level."""
    lower = Filter(severity_to=level, levels=own)
    higher = Filter(
        severity_to=level + more, levels={name: each + more for name, each in own.items()}
    )
    assert {e.number for e in ALL if lower.wants(e)} <= {e.number for e in ALL if higher.wants(e)}


def test_a_class_may_have_a_level_of_its_own() -> None:
    quiet = Filter(severity_to=4, levels={"IKE": 6})
    assert "ike.nat-detected" in chosen(quiet)
    assert "xauth.accepted" not in chosen(quiet)


def test_severities_lie_in_bands() -> None:
    assert [word(severity) for severity in (1, 2, 3, 4, 6, 7, 13)] == [
        "fault",
        "warning",
        "warning",
        "info",
        "info",
        "debug",
        "debug",
    ]
