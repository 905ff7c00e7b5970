"""A router that lets plain ESP through, without NAT traversal: it serves one host only."""

from __future__ import annotations

import pytest

from simulation.ends import ClientEnd
from simulation.world import SERVER, World, packet, profile


def talks(world: World, client: ClientEnd) -> None:
    for number in range(5):
        client.carry(packet(client.address, SERVER, number))
        world.gateway.carry(packet(SERVER, client.address, number))
        world.run(1.0)


@pytest.mark.requirement("S1-181")
def test_the_second_client_behind_it_is_told_so_and_pointed_to_nat_traversal() -> None:
    world = World(3)
    world.nat.pass_through = True
    with world.shown_if_wrong():
        first, second = (
            world.client(profile(nat_traversal="off"), behind=world.nat) for _ in range(2)
        )
        for client in (first, second):
            client.connect()
            assert world.decided(client)
            talks(world, client)
        world.run(60.0)
        good, bad = world.gateway.table
        assert good.problem is None
        assert good.counters.packets_in >= 5
        assert bad.problem is not None
        assert bad.problem.id == "data.pass-through"
        assert "one computer only" in bad.problem.sentence
        assert "vpnclient1" in bad.problem.sentence
        assert "NAT-T" in bad.problem.action
        (told,) = world.gateway.told("data.pass-through")
        assert told.fields["packets_in"] == 0


def test_the_only_client_behind_it_is_served() -> None:
    world = World(3)
    world.nat.pass_through = True
    with world.shown_if_wrong():
        client = world.client(profile(nat_traversal="off"), behind=world.nat)
        client.connect()
        assert world.decided(client)
        talks(world, client)
        world.run(60.0)
        (row,) = world.gateway.table
        assert row.problem is None
        assert world.gateway.codes().count("data.pass-through") == 0
