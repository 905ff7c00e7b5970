"""Keys that have sealed nearly as much as they may get a successor, whichever end says so."""

from __future__ import annotations

import pytest

from culvert.client.pairs import SESSION
from culvert.effects import PairWorn
from culvert.ike.pairs import CROSSING, LINGER, SETTLING
from simulation.ends import ClientEnd
from simulation.meddler import ike_sa
from simulation.world import Terms, World, packet, profile

SERVER = "192.168.2.10"
VOLUME = 20  # kilobytes
LARGE = 1000  # octets of a packet here


def connected(world: World, volume: int = 0) -> ClientEnd:
    client = world.client(profile(phase2_volume=volume), behind=world.nat)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def lost(world: World, client: ClientEnd, packets: int, *, back: bool) -> set[bytes]:
    """Of large packets each way, one in 0.1 s; ``back``: of as many the other way as well."""
    sent: set[bytes] = set()
    for number in range(packets):
        there = packet(client.address, SERVER, number).ljust(LARGE, b"x")
        there = there[:2] + LARGE.to_bytes(2, "big") + there[4:]
        sent.add(there)
        client.carry(there)
        if back:
            other = packet(SERVER, client.address, number)
            world.gateway.carry(other)
            sent.add(other)
        world.run(0.1)
    return sent - {*world.gateway.inside, *client.inside}


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


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("later", [0.0, 0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("first", ["client", "gateway"])
def test_of_two_successors_that_both_ends_ask_for_at_once_one_is_left(
    seed: int, later: float, first: str
) -> None:
    world = World(seed)
    client = connected(world)
    (session,) = world.gateway.table
    with world.shown_if_wrong():
        world.run(2 * CROSSING)
        ends = [(client, SESSION), (world.gateway, session.number)]
        for end, of in ends if first == "client" else reversed(ends):
            end.wear(PairWorn(of, 1))
            world.run(later)
        assert lost(world, client, 50, back=True) == set()
        world.run(2 * LINGER)
        for end in (client, world.gateway):
            came, went = end.told("quick.established"), end.told("quick.removed")
            assert len(came) - len(went) == 1
        assert len(session.spis) == 1
        assert world.passes_both_ways(client)


@pytest.mark.requirement("S3-13")
@pytest.mark.parametrize("whose", ["the client's", "the gateway's", "both's"])
def test_traffic_that_reaches_the_soft_volume_gets_a_new_sa_before_the_hard(whose: str) -> None:
    at_gateway, at_client = whose != "the client's", whose != "the gateway's"
    world = World(1, Terms(phase2_volume=VOLUME if at_gateway else 0))
    client = connected(world, VOLUME if at_client else 0)
    with world.shown_if_wrong():
        assert lost(world, client, 200, back=True) == set()
        world.run(10.0)
        # 200 packets of 1,000 octets and a little, renewed after 16 to 18 of 20 kB (hard), and, as
        # those last no 3 seconds, from then on after 10.
        renewals = len(client.told("quick.established")) - 1
        assert 200 // 18 <= renewals <= 200 // 10
        for end in (client, world.gateway):
            assert all(
                one.fields["life_kilobytes"] == VOLUME for one in end.told("quick.established")
            )
            assert len(end.told("quick.removed")) == renewals


@pytest.mark.requirement("S3-13")
def test_what_cannot_be_renewed_carries_no_more_than_the_hard_volume() -> None:
    world = World(1)
    client = connected(world, VOLUME)
    with world.shown_if_wrong():
        world.gateway.suspend()
        lost(world, client, 40, back=False)
        assert len(client.told("quick.removed")) == 1
        counters = client.plane.traffic(SESSION)
        assert counters.packets_out == VOLUME
        assert sum(counters.dropped_out.values()) + sum(client.plane.refused.values()) == 20
        world.gateway.resume()
        world.run(10.0)
        assert len(client.told("quick.established")) == 2
        assert world.passes_both_ways(client)


@pytest.mark.parametrize("early", [False, True], ids=["in peace", "at the end of its volume"])
def test_toward_a_stranger_the_old_pair_carries_until_message_3_must_have_come(early: bool) -> None:
    world = World(1)
    client = connected(world)
    with world.shown_if_wrong():
        ike_sa(client).phase1.features -= {"culvert"}
        old = spi_used(client)
        client.wear(PairWorn(SESSION, 1))
        world.run(SETTLING)  # less than an answer and that
        assert len(client.told("quick.established")) == 2
        assert spi_used(client) == old
        if early:
            client.wear(PairWorn(SESSION, 1, spent=True))
        else:
            world.run(SETTLING)
        assert spi_used(client) != old
        assert world.passes_both_ways(client)


def spi_used(client: ClientEnd) -> bytes:
    (burst,) = client.plane.from_tunnel([packet(client.address, SERVER, 1)], 0.0).bursts
    return burst.datagrams[0][:4]
