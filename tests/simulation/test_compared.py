"""Proposals that do not match, pair by pair, and what to change (S3-12)."""

from __future__ import annotations

from itertools import product

import pytest

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import own
from culvert.eventlog.render import story as rendered
from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.story import smallest, tell
from simulation.ends import End
from simulation.world import BEGAN, Terms, World, profile

THEIRS = ("aes128-sha1-modp1024", "aes192-sha1-modp1024")
OURS = ("aes256-sha1-modp1024", "3des-sha1-modp1024", "aes256-md5-modp1024")


def entries(end: End) -> tuple[Entry, ...]:
    return tuple(
        Entry(number, BEGAN, float(number), event) for number, event in enumerate(end.events, 1)
    )


@pytest.mark.requirement("S3-12")
def test_two_proposals_against_three_are_up_to_six_lines_and_the_table() -> None:
    world = World(1, Terms(phase1=OURS))
    client = world.client(profile(phase1=THEIRS))
    client.connect()
    world.decided(client)
    log = entries(world.gateway)
    compared = [entry for entry in log if entry.code == "ike.proposal-compared"]
    pairs = {(one.field("remote_number"), one.field("local_number")) for one in compared}
    assert pairs == set(product((1, 2), (1, 2, 3)))
    for one in compared:
        line = own.render(one)
        for name in ("attribute", "remote", "local", "remote_number", "local_number"):
            assert str(one.field(name)) in line
        assert one.field("remote") != one.field("local")
    told = tell(log)
    assert told.verdict.id == "p1.no-proposal"
    (change,) = smallest(told.comparisons)
    assert (change.remote_number, change.local_number, change.attribute) == (1, 1, "cipher")
    text = rendered.render(told)
    assert "they offer" in text
    assert "we accept" in text
    assert "Smallest change, phase 1: cipher of their no 1 and our no 1" in text
    assert told.document()["smallest_change"] == [change.document()]
    trace = "\n".join(lancom_lines(compared))
    assert trace.count("phase-1 proposal failed; remote No") == len(compared) <= 8


def lancom_lines(log: list[Entry]) -> list[str]:
    render = STYLES["lancom"]()
    return [line for one in log for line in render(one).splitlines()]


def test_only_one_attribute_differs_then_there_are_six_lines() -> None:
    ours = ("aes256-sha1-modp1024", "3des-sha1-modp1024", "des-sha1-modp1024")
    world = World(1, Terms(phase1=ours))
    client = world.client(profile(phase1=THEIRS))
    client.connect()
    world.decided(client)
    assert len(world.gateway.told("ike.proposal-compared")) == 6
