"""Every way into the ending protocol-error: genuine answers of phase 2 that make no sense."""

from __future__ import annotations

import pytest

from culvert.explain import explain
from faults.provoked import recorded, written
from simulation import broken
from simulation.ends import ClientEnd
from simulation.world import Terms, World, profile

SEED = 3
PFS = "modp1024"
WAYS = {
    "an SA that breaks off": broken.CUT_SHORT,
    "an SA of another domain": broken.FOREIGN,
    "an SA without a proposal": broken.NO_PROPOSAL,
    "a public value of another width": broken.NARROW_KEY,
    "a public value that is none": broken.NO_KEY,
    "a notify that breaks off": broken.NOTIFY_CUT_SHORT,
    "a lifetime that breaks off": broken.LIFE_CUT_SHORT,
}


def ended(way: str) -> tuple[World, ClientEnd]:
    world = World(SEED)
    client = world.client(profile(pfs=PFS), behind=world.nat)
    broken.answers(world, client, WAYS[way])
    assert world.run_until(lambda: client.down, within=60.0), "no answer is waited for"
    return world, client


@pytest.mark.parametrize("way", WAYS)
def test_it_ends_the_connection_once_and_says_what_was_wrong(way: str) -> None:
    world, client = ended(way)
    with world.shown_if_wrong():
        assert client.reason == "protocol-error"
        assert len(client.told("client.down")) == 1
        (refused,) = client.told("quick.refused")
        assert str(refused.fields["reason"])
        assert client.told("quick.established") == []
        world.run(300.0)
        assert world.left_over() == []


@pytest.mark.parametrize("way", WAYS)
def test_the_log_alone_names_it(way: str) -> None:
    world, client = ended(way)
    told = explain(written(recorded(world, client), "own", 7))
    assert told.diagnoses[0].id == "peer.protocol"
    assert told.diagnoses[0].actions


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_stands_outlives_it(way: str) -> None:
    """A renewal that makes no sense is refused; the keys there are carry on, and are renewed once
    the answers make sense again."""
    world = World(SEED, Terms(phase2_lifetime=600))
    client = world.client(profile(pfs=PFS, phase2_lifetime=600), behind=world.nat)
    client.connect()
    assert world.decided(client)
    broken.spoil(world, WAYS[way])
    with world.shown_if_wrong():
        assert world.run_until(lambda: client.told("quick.refused") != [], within=600.0)
        world.run(1.0)
        assert client.up, client.reason
        assert world.passes_both_ways(client)
