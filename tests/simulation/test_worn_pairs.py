"""Keys that have sealed nearly as much as they may get a successor, whichever end says so."""

from __future__ import annotations

import pytest

from culvert.effects import PairWorn
from simulation.world import World, packet, profile


@pytest.mark.parametrize("who", ["client", "gateway", "both"])
def test_a_worn_pair_is_followed_by_another_and_no_packet_is_lost(who: str) -> None:
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    client.connect()
    assert world.decided(client)
    (session,) = world.gateway.table
    before = {pair.inbound for pair in session.spis}
    ends = {"client": [(client, 1)], "gateway": [(world.gateway, session.number)]}
    ends["both"] = ends["client"] + ends["gateway"]
    sent: list[bytes] = []
    for number in range(100):
        if number == 10:
            for end, of in ends[who]:
                end.wear(PairWorn(of, 1))
        there = packet(client.address, "192.168.2.10", number)
        back = packet("192.168.2.10", client.address, number)
        client.carry(there)
        world.gateway.carry(back)
        sent += [there, back]
        world.run(0.2)
    assert set(sent) <= {*world.gateway.inside, *client.inside}
    after = {pair.inbound for pair in session.spis}
    assert after
    assert after.isdisjoint(before)
    assert client.up
