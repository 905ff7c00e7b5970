"""A gateway that takes pairs away, and what it is asked for them: soon, then ever more rarely."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from culvert.client.absent import FIRST_WAIT, LONGEST_WAIT
from culvert.ike.wire.header import OCTETS, QUICK
from culvert.ike.wire.message import parse_header
from simulation.ends import ClientEnd
from simulation.journal import Seen, Told
from simulation.world import World, profile

SEED = 8
HOUR = 3600.0
MOST = 12
"""Questions in an hour: the pauses grow to ten minutes."""
COPIES = 40
"""Datagrams that one question may cost in its minute and a half."""


def of_two_pairs() -> tuple[World, ClientEnd]:
    world = World(SEED)
    client = world.client(profile(use_two_phase2=True, phase2_lifetime=28_800), behind=world.nat)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    world.run(5.0)
    assert pairs(world) == 2
    return world, client


def pairs(world: World) -> int:
    return len(_sa(world).pairs)


def _sa(world: World) -> Any:
    core: Any = world.gateway.core
    (number,) = core._clients
    return core._endpoint.get(number)


def take_one(world: World) -> None:
    """The gateway deletes the newest."""
    core: Any = world.gateway.core
    (number,) = core._clients

    def delete(sa: Any) -> Any:
        newest = list(sa.pairs)[-1]
        sa.informational.delete_pair(newest.inbound_spi)
        sa.remove_pair(newest.number)
        return sa._done()

    world.gateway.do(core._carry(core._endpoint.act(number, delete), world.now))


def asked_at(world: World, client: ClientEnd) -> list[float]:
    told = (entry for entry in world.network.journal if isinstance(entry, Told))
    return [
        entry.at
        for entry in told
        if entry.name == client.name and entry.event.code == "client.pair-missing"
    ]


def is_quick(seen: Seen) -> bool:
    return len(seen.message) >= OCTETS and parse_header(seen.message).exchange == QUICK


def test_a_gateway_that_never_answers_is_asked_ever_more_rarely_and_gives_it_at_last() -> None:
    world, client = of_two_pairs()
    assert client.link is not None
    client.link.drops = is_quick
    before = len(world.network.seen)
    take_one(world)
    began = world.now
    with world.shown_if_wrong():
        world.run(HOUR)
        at = asked_at(world, client)
        assert began + FIRST_WAIT <= at[0] <= began + FIRST_WAIT + 1.0
        waits = [after - earlier for earlier, after in pairwise(at)]
        # Each also takes as long as an answer is waited for.
        assert max(waits[:2]) < min(waits[-3:])
        assert waits[-1] >= LONGEST_WAIT
        assert len(at) <= MOST
        sent = [seen for seen in world.network.seen[before:] if is_quick(seen)]
        assert len(sent) <= MOST * COPIES
        assert client.up, client.reason
        client.link.drops = lambda _: False
        assert world.run_until(lambda: pairs(world) == 2, within=LONGEST_WAIT + 60.0)
        world.run(2 * LONGEST_WAIT)
        assert len(asked_at(world, client)) <= len(at) + 1
        assert world.passes_both_ways(client)


def test_a_gateway_that_agrees_and_takes_it_back_is_not_asked_every_moment() -> None:
    world, client = of_two_pairs()
    with world.shown_if_wrong():
        until = world.now + HOUR
        while world.now < until:
            if pairs(world) == 2:
                take_one(world)
            world.run(0.5)
        at = asked_at(world, client)
        assert 5 <= len(at) <= MOST
        assert at[1] - at[0] < 10.0
        assert client.up, client.reason


def test_a_pair_that_goes_an_hour_later_is_asked_for_at_once_again() -> None:
    world, client = of_two_pairs()
    for _ in range(2):
        take_one(world)
        began = world.now
        assert world.run_until(lambda: pairs(world) == 2, within=FIRST_WAIT + 2.0)
        assert asked_at(world, client)[-1] - began < FIRST_WAIT + 1.0
        world.run(HOUR)
