"""The story of one connection: its steps, its summary, what was compared, and how it reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.render import story
from culvert.eventlog.ring import FIRST_OF_STORY, Rings
from culvert.eventlog.story import last_attempt, steps, tell
from culvert.eventlog.summary import summary
from culvert.eventlog.vocabulary import vocabulary
from eventlog.samples import (
    ANSWERED,
    ASKED_AT_THE_GATEWAY,
    AT_THE_GATEWAY,
    BEGAN,
    CALLER,
    CONNECTING,
    GOOD,
    PEER,
    STARTED,
    Happening,
    client,
    down,
    gateway,
    quick,
)

GOOD_STORY = """\
office: Connected
began 2026-07-02T10:00:00.000Z, 30 steps

  1      0.00 s  Connecting office to vpn.example.org
  2      0.01 s  Found the gateway: vpn.example.org is 172.16.172.50
  3      0.02 s  Phase 1 with 172.16.172.50:500 begins in aggressive mode
  4      0.02 s  Sent our proposals, our half of the key exchange and the group name
  5      0.10 s  The gateway answered with its half of the key exchange and its proof
  6      0.10 s  The gateway says what it is: Cisco Unity, unknown (0123456789abcdef)
  7      0.10 s  The gateway supports XAUTH, DPD, NAT-T
  8      0.10 s  Both sides agree on aes256-sha1-modp1024 for phase 1 (proposal 1)
  9      0.10 s  Address translation at our end, not at the other: packets need UDP around them
 10      0.10 s  NAT traversal is agreed (RFC 3947); everything goes to UDP port 4500 from now
                 on
 11      0.12 s  The gateway proved it knows the group key; the control channel is protected
                 with aes256-sha1-modp1024 for 86400 s
 12      0.12 s  Sent our own proof of the key
 13      0.20 s  The gateway asks who is there (user, password)
 14      0.20 s  Asked you for user, password
 15     17.20 s  The name and password of ann were sent
 16     17.30 s  The gateway accepted ann
 17     17.30 s  Asked the gateway for an address and settings
 18     17.40 s  The gateway hands out: INTERNAL_IP4_ADDRESS = 40.1.1.1
 19     17.40 s  The gateway hands out: INTERNAL_IP4_DNS = 192.168.2.10
 20     17.40 s  The gateway runs: culvert 0.1.0
 21     17.50 s  Phase 2 begins: keys for 40.1.1.1/32 <-> 172.16.172.50/32
 22     17.52 s  The gateway announces a lifetime of 28800 s for ESP
 23     17.52 s  The keys expire 28800 s from now
 24     17.53 s  Phase 2 is done: 40.1.1.1/32 <-> 172.16.172.50/32 is protected with aes256-sha1
                 for 28800 s
 25     17.60 s  Phase 2 begins: keys for 40.1.1.1/32 <-> 0.0.0.0/0
 26     17.62 s  The gateway announces a lifetime of 28800 s for ESP
 27     17.62 s  The keys expire 28800 s from now
 28     17.63 s  One more pair of keys: 40.1.1.1/32 <-> 0.0.0.0/0 is protected with aes256-sha1
                 for 28800 s
 29     17.90 s  This machine is set up: culvert0 has 40.1.1.1; routes: 192.168.2.0/24; DNS:
                 192.168.2.10
 30     18.00 s  Connected: office is up with the address 40.1.1.1

In short    Aggressive mode, group key; XAUTH took 17.0 s of user time; client is behind NAT,
            gateway is not; NAT-T on UDP 4500; address 40.1.1.1; two SAs; connected 18 s after
            start"""

REFUSED_STORY = """\
171.69.89.78:1024: Both sides could not agree on how to protect phase 1
began 2026-07-02T10:00:00.000Z, 2 steps

  1      0.00 s  Phase 1 with 171.69.89.78:1024 begins in aggressive mode
  2      0.10 s  No proposal for phase 1 is acceptable to both sides

phase  their no  our no  attribute   they offer  we accept
1      1         1       encryption  3des        aes256     differs
1      1         2       encryption  3des        aes128     differs
1      1         3       group       modp768     modp1024   differs
1      2         1       encryption  3des        aes256     differs
1      2         2       encryption  3des        aes128     differs
1      2         3       group       modp768     modp1024   differs
Smallest change, phase 1: encryption of their no 1 and our no 1: 3des there, aes256 here

What        Both sides could not agree on how to protect phase 1 (p1.no-proposal)
Why         No combination of cipher, hash, Diffie-Hellman group and authentication is allowed
            at both ends
Causes      - One side allows only newer algorithms than the other knows
            - Key length or Diffie-Hellman group differs
            - Another way of authentication is configured (group key, certificate, with or
              without XAUTH)
What to do  - Allow at one end one combination that the other offers; the gateway's story shows
              both side by side (you)
            - Choose other phase 1 algorithms in the profile (the user)"""

PAIRS = (("encryption", "3des", "aes256"), ("encryption", "3des", "aes128"))
PAIRS = (*PAIRS, ("group", "modp768", "modp1024"))


def compared(phase: int) -> tuple[Happening, ...]:
    """Two proposals of theirs against three of ours."""
    return tuple(
        (
            0.1,
            "ike.proposal-compared",
            {
                "phase": phase,
                "attribute": attribute,
                "remote": remote,
                "local": local,
                "remote_number": theirs,
                "local_number": ours,
            },
        )
        for theirs in (1, 2)
        for ours, (attribute, remote, local) in enumerate(PAIRS, start=1)
    )


REFUSAL: Happening = (
    0.1,
    "ike.proposal-refused",
    {"phase": 1, "peer": CALLER, "remote": "3des-md5-modp768", "local": "aes256-sha1-modp1024"},
)


def test_a_good_connection_reads_like_this() -> None:
    told = tell(client(*GOOD))
    assert story.render(told) == GOOD_STORY
    assert told.verdict.outcome == "working"


def test_a_refused_proposal_shows_theirs_and_ours() -> None:
    told = tell(gateway(AT_THE_GATEWAY[0], *compared(1), REFUSAL))
    assert len(told.comparisons) == 6
    assert story.render(told) == REFUSED_STORY


def test_refused_proposals_before_an_agreement_are_not_a_failure() -> None:
    told = tell(gateway(AT_THE_GATEWAY[0], *compared(1), *AT_THE_GATEWAY[1:]))
    assert told.comparisons == ()
    assert told.verdict.id == "unknown.incomplete"


def test_the_summary_of_the_gateway_tells_nat_from_the_same_side() -> None:
    told = summary(gateway(*AT_THE_GATEWAY, *ASKED_AT_THE_GATEWAY, STARTED))
    assert told == (
        "Aggressive mode, group key; XAUTH took 8.9 s of user time; client is behind NAT, "
        "gateway is not; NAT-T from UDP 4500; address 40.1.1.1; connected 9.5 s after start"
    )


@pytest.mark.parametrize(
    ("local", "remote", "said"),
    [
        (True, True, "client and gateway are both behind NAT"),
        (True, False, "client is behind NAT, gateway is not"),
        (False, True, "gateway is behind NAT, client is not"),
        (False, False, "no NAT on the way"),
    ],
)
def test_where_the_nat_is(local: bool, remote: bool, said: str) -> None:
    found = client((0.0, "ike.nat-detected", {"local": local, "remote": remote}))
    assert summary(found) == said


def test_a_rekey_is_no_second_sa() -> None:
    rekey = quick(3600.0, 7, "172.16.172.50/32", additional=False)
    assert "two SAs" in summary(client(*GOOD, *rekey))


def test_weak_algorithms_are_named() -> None:
    weak: Happening = (0.1, "ike.weak", {"what": "SHA-1", "why": "collisions are practical"})
    assert summary(client(weak, weak)) == "weak: SHA-1"


def test_what_comes_several_times_is_one_step() -> None:
    again = [(2.0 * n, "ike.retransmit", {"peer": PEER, "attempt": n}) for n in (1, 2, 3)]
    moved = [(9.0, "ike.natt-missing", {})] * 2
    found = steps(client(*again, *moved))
    assert [(step.text[:41], step.count) for step in found] == [
        ("No answer yet: sent the message again (at", 3),
        ("There is address translation on the way, ", 2),
    ]
    assert found[0].text.endswith("(attempt 1, 2, 3)")
    assert " (2 times)" in story.render(tell(client(*moved))).replace("\n                 ", " ")


def test_only_the_last_attempt_is_told() -> None:
    again = (60.0, "client.reconnecting", {"profile": "office", "attempt": 1, "wait": 2.0})
    entries = client(*GOOD, down("lost-peer", 60.0), again, *CONNECTING[2:], *ANSWERED)
    told = tell(entries)
    assert told.steps[0].text == "Connecting office again in 2.0 s (attempt 1)"
    assert told.verdict.id == "unknown.incomplete"


def test_an_attempt_that_is_only_announced_is_not_the_last() -> None:
    again = (60.0, "client.reconnecting", {"profile": "office", "attempt": 1, "wait": 2.0})
    entries = client(*GOOD, down("lost-peer", 60.0), again)
    assert last_attempt(entries) == 0
    assert tell(entries).verdict.id == "live.dpd-timeout"


def test_what_memory_lost_is_said_where_it_is_missing() -> None:
    rings = Rings()
    late = (one for n in range(60) for one in quick(3600.0 * n, n, "0.0.0.0/0", additional=False))
    entries = client(*GOOD, *late)
    for entry in entries:
        rings.add(entry)
    told = tell(rings.story("office"))
    lines = story.render(told).splitlines()
    place = next(n for n, line in enumerate(lines) if "events are not kept" in line)
    assert f"{told.left_out} events" in lines[place]
    assert told.gap_after == entries[FIRST_OF_STORY - 1].now - entries[0].now
    assert float(lines[place + 1].split()[1]) > told.gap_after


def test_a_story_across_a_restart_of_the_machine_goes_by_the_clock() -> None:
    first, last = client(CONNECTING[0], down("peer-reboot", 100.0))
    rebooted = Entry(last.number, last.at, 3.0, last.event)
    assert [step.after for step in tell((first, rebooted)).steps] == [0.0, 100.0]


def test_nothing_known_is_a_story_too() -> None:
    told = tell(())
    assert (told.steps, told.verdict.id) == ((), "unknown.incomplete")
    assert story.render(told)


def test_the_json_document_has_the_documented_keys() -> None:
    told = tell(gateway(AT_THE_GATEWAY[0], *compared(1), REFUSAL)).document()
    assert told["schema"] == 1
    assert sorted(told) == [
        "about",
        "began",
        "comparisons",
        "diagnosis",
        "gap_after",
        "left_out",
        "outcome",
        "schema",
        "side",
        "smallest_change",
        "steps",
        "summary",
    ]
    again = json.loads(json.dumps(told))
    assert again["comparisons"][0] == {
        "phase": 1,
        "remote_number": 1,
        "local_number": 1,
        "attribute": "encryption",
        "remote": "3des",
        "local": "aes256",
        "fits": False,
    }
    assert again["diagnosis"]["actions"][0]["who"] == "administrator"
    assert again["steps"][1] == {
        "after": 0.1,
        "text": "No proposal for phase 1 is acceptable to both sides",
        "code": "ike.proposal-refused",
        "count": 1,
    }


def test_a_narrow_terminal_gets_narrow_lines() -> None:
    assert max(map(len, story.render(tell(client(*GOOD)), 60).splitlines())) <= 60


values = st.one_of(
    st.text(), st.integers(), st.booleans(), st.floats(), st.lists(st.text()).map(tuple)
)
names = st.sampled_from(
    [
        *sorted({name for row in vocabulary().values() for name in row.fields}),
        "connection",
        "session",
        "cookies",
        "side",
        "They",
        "joined",
    ]
)
anything = st.builds(
    Entry,
    st.just(1),
    st.just(BEGAN),
    st.floats(0, 1e9),
    st.builds(
        LogEvent,
        st.sampled_from([*vocabulary(), "future.thing"]),
        st.dictionaries(names, values, max_size=8),
    ),
)


@given(st.lists(anything, max_size=30))
def test_any_events_make_a_story_that_is_safe_to_print(entries: list[Entry]) -> None:
    rings = Rings(latest=5, stories=2, strangers=2)
    for entry in entries:
        rings.add(entry)
    for told in (tell(entries), *(tell(rings.story(key)) for key in rings.keys())):  # noqa: SIM118
        assert all(line.isprintable() for line in story.render(told).split("\n"))
        json.dumps(told.document())
