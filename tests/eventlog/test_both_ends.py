"""What both ends tell about the same attempt, from the events of the real cores."""

from __future__ import annotations

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.story import Explanation
from eventlog.both_ends import BothEnds


def refusing(word: str) -> BothEnds:
    def judge(asked: Judge) -> tuple[Judged, str]:
        return Judged(asked.ticket, accepted=False, reason="auth-rejected", cause=word), word

    return BothEnds(judge=judge)


def told(ends: BothEnds) -> tuple[Explanation, Explanation]:
    ends.connect(seconds=200.0)
    return ends.client_story(), ends.gateway_story()


def test_a_good_connection_has_a_story_of_more_than_twenty_steps() -> None:
    at_client, at_gateway = told(BothEnds())
    assert (at_client.verdict.id, at_gateway.verdict.id) == ("ok.established", "ok.established")
    assert len(at_client.steps) > 20
    assert at_client.summary == (
        "Aggressive mode, group key; XAUTH took 17.0 s of user time; client is behind NAT, "
        "gateway is not; NAT-T on UDP 4500; address 40.1.1.1; one SA; connected 18 s after start"
    )
    assert at_gateway.summary.startswith("Aggressive mode, group key; XAUTH took 17.0 s of")
    assert "client is behind NAT, gateway is not" in at_gateway.summary


def test_nothing_in_the_story_was_left_unknown() -> None:
    for story in told(BothEnds()):
        assert not [step.text for step in story.steps if "(unknown)" in step.text]


def test_group_and_key_look_alike_to_the_client_and_not_to_the_gateway() -> None:
    wrong_group = told(BothEnds(group="sale"))
    wrong_key = told(BothEnds(group_key="grup-key"))
    assert [one.verdict.id for one in wrong_group] == ["p1.psk-mismatch", "p1.group-unknown"]
    assert [one.verdict.id for one in wrong_key] == ["p1.psk-mismatch", "p1.psk-mismatch"]
    assert wrong_group[0].verdict == wrong_key[0].verdict
    assert "no group sale" in wrong_group[1].verdict.why
    assert "key of group sales" in wrong_key[1].verdict.why


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("unknown-user", "xauth.user-unknown"),
        ("wrong-password", "xauth.failed"),
        ("locked", "xauth.locked"),
        ("not-in-group", "xauth.group-lock"),
        ("disabled", "xauth.disabled"),
    ],
)
def test_the_gateway_names_what_is_wrong_with_a_login(word: str, cause: str) -> None:
    at_client, at_gateway = told(refusing(word))
    assert at_client.verdict.id == "xauth.failed"
    assert "does not say which" in at_client.verdict.why
    assert at_gateway.verdict.id == cause
    assert "(unknown)" not in at_gateway.verdict.why


def test_proposals_that_do_not_meet_are_shown_side_by_side() -> None:
    at_client, at_gateway = told(BothEnds(phase1=("aes128-sha1-modp1024",)))
    assert (at_client.verdict.id, at_gateway.verdict.id) == ("p1.no-proposal", "p1.no-proposal")
    assert at_gateway.comparisons
    assert not any(one.fits for one in at_gateway.comparisons)


def test_a_gateway_that_is_not_there() -> None:
    ends = BothEnds(silent=True)
    ends.connect(seconds=200.0)
    story = ends.client_story()
    assert story.verdict.id == "p1.no-response"
    assert "sent the message again" in " ".join(step.text for step in story.steps)
