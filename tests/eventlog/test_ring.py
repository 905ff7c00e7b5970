"""What is kept in memory: bounded, and what falls out is counted."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from culvert.eventlog.entry import Entry
from culvert.eventlog.ring import FIRST_OF_STORY, LAST_OF_STORY, Rings
from eventlog.samples import CONNECTING, GOOD, STARTED, client, gateway, quick, recorded

KEPT = FIRST_OF_STORY + LAST_OF_STORY


def filled(entries: Iterable[Entry], rings: Rings | None = None) -> Rings:
    rings = rings or Rings()
    for entry in entries:
        rings.add(entry)
    return rings


def test_the_beginning_of_a_long_connection_stays() -> None:
    rekeys = (
        one for n in range(200) for one in quick(3600.0 * n, n, "0.0.0.0/0", additional=False)
    )
    kept = filled(client(*GOOD, *rekeys)).story("office")
    assert len(kept.entries) == KEPT
    assert [entry.code for entry in kept.entries[:2]] == ["client.connecting", "client.resolved"]
    assert kept.entries[-1].code == "quick.established"
    assert kept.entries[-1].field("message_id") == 199
    assert (kept.gap_after, kept.left_out) == (FIRST_OF_STORY, len(GOOD) + 800 - KEPT)


def test_liveness_does_not_fill_a_story() -> None:
    chatter = [(float(n), "live.question", {"sequence": n}) for n in range(1000)]
    assert len(filled(client(*GOOD, *chatter)).story("office").entries) == len(GOOD)


def test_a_new_connection_begins_a_new_story() -> None:
    kept = filled(client(*GOOD, *CONNECTING)).story("office")
    assert len(kept.entries) == len(CONNECTING)


def test_cookies_become_the_session_they_turned_into() -> None:
    cookies = "1122334455667788/99aabbccddeeff00"
    before = gateway((0.0, "ike.phase1-started", {"peer": "192.0.2.7:500", "mode": "aggressive"}))
    after = recorded([STARTED], session=14, cookies=cookies)
    rings = filled((*before, *after))
    assert rings.keys() == ("#14",)
    codes = [entry.code for entry in rings.story("#14").entries]
    assert codes == ["ike.phase1-started", "session.started"]


def test_a_flood_of_strangers_pushes_out_no_session() -> None:
    rings = filled(recorded([STARTED], session=14), Rings(strangers=10))
    for number in range(1000):
        filled(
            recorded(
                [(1.0, "ike.phase1-started", {"peer": "192.0.2.7:500", "mode": "aggressive"})],
                cookies=f"{number:016x}/{number:016x}",
            ),
            rings,
        )
    assert len(rings.keys()) == 11
    assert "#14" in rings.keys()  # noqa: SIM118  # a method, not a dict's
    assert rings.forgotten_stories == 990


def test_the_story_that_moved_last_is_at_the_end_be_it_a_strangers() -> None:
    rings = filled(recorded([STARTED], session=14))
    cookies = f"{1:016x}/{1:016x}"
    call = (1.0, "ike.phase1-started", {"peer": "192.0.2.7:500", "mode": "aggressive"})
    filled(recorded([call], cookies=cookies), rings)
    assert rings.keys() == ("#14", cookies)
    filled(recorded([STARTED], session=14), rings)
    assert rings.keys() == (cookies, "#14")


def test_the_story_that_moved_least_lately_gives_way() -> None:
    rings = Rings(stories=2)
    for session in (1, 2, 1, 3):
        filled(recorded([STARTED], session=session), rings)
    assert rings.keys() == ("#1", "#3")


@given(st.integers(0, 60))
def test_the_latest_are_kept_and_the_others_counted(count: int) -> None:
    entries = client(*[(float(n), "live.question", {"sequence": n}) for n in range(count)])
    kept = filled(entries, Rings(latest=25)).latest()
    assert kept.entries == entries[-25:]
    assert len(kept.entries) + kept.left_out == count


def test_nothing_is_kept_of_whom_nothing_is_known() -> None:
    assert Rings().story("nobody").entries == ()
