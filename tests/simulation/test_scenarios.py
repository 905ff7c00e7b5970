"""Stories over the simulated network, each of them a thing that happens to people's connections."""

from __future__ import annotations

import pytest

from simulation.ends import KEEPALIVE, ClientEnd
from simulation.journal import Seen
from simulation.nat import Depends
from simulation.network import Faults
from simulation.world import GATEWAY, SERVER, Terms, World, packet, profile

SEED = 1
A_BAD_LINE = Faults(loss=0.2, duplication=0.1, reordering=0.1, delay=0.05, jitter=0.05)


def connected(world: World, *clients: ClientEnd) -> None:
    for client in clients:
        client.connect()
    for client in clients:
        assert world.decided(client)
        assert client.up, client.reason


def goodbye(world: World) -> None:
    for client in world.clients:
        client.disconnect()
    world.run(300.0)
    assert world.left_over() == []


def outside_ports(world: World, client: ClientEnd, port: int) -> frozenset[int]:
    assert client.link is not None
    return world.nat.outside_ports((client.link.address, port))


def test_two_clients_behind_one_address_collide_on_port_500_and_both_are_up() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        one, two = world.client(behind=world.nat), world.client(behind=world.nat)
        connected(world, one, two)
        assert outside_ports(world, one, 500) == {500}
        assert outside_ports(world, two, 500).isdisjoint({500})
        assert one.address != two.address
        assert world.passes_both_ways(one)
        assert world.passes_both_ways(two)
        one.disconnect()
        world.run(5.0)
        assert len(world.gateway.table) == 1
        assert world.passes_both_ways(two), "the other one is not disturbed"
        goodbye(world)


def test_two_clients_come_back_with_swapped_ports() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        one, two = world.client(behind=world.nat), world.client(behind=world.nat)
        connected(world, one, two)
        for client in (one, two):
            client.disconnect()
        world.run(1.0)
        world.nat.flush()
        world.nat.preserves = True
        connected(world, two)
        connected(world, one)
        assert outside_ports(world, two, 500) == {500}
        assert outside_ports(world, one, 500).isdisjoint({500})
        assert world.passes_both_ways(one)
        assert world.passes_both_ways(two)
        goodbye(world)


def test_twelve_clients_behind_one_address_and_a_bad_line_are_kept_apart() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        clients = [world.client(behind=world.nat, faults=A_BAD_LINE) for _ in range(12)]
        for client in clients:
            client.connect()
        for client in clients:
            world.decided(client)
        up = [client for client in clients if client.up]
        assert len(up) >= 10
        assert len({client.address for client in up}) == len(up)
        for client in up:
            assert world.passes_both_ways(client)
        goodbye(world)


def test_a_flushed_nat_in_mid_transfer_costs_less_than_ten_seconds() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        clients = [world.client(behind=world.nat), world.client(behind=world.nat)]
        connected(world, *clients)
        number = 0
        for _ in range(20):
            number = transfer(world, clients, number)
        world.nat.flush()
        flushed = world.now
        missing = {client.name for client in clients}
        while missing:
            assert world.now < flushed + 10.0, f"{missing} hear nothing yet"
            number = transfer(world, clients, number)
            missing -= {
                client.name
                for client in clients
                if packet(SERVER, client.address, number) in client.inside
                and packet(client.address, SERVER, number) in world.gateway.inside
            }
        assert "ike.peer-moved" in world.gateway.codes()
        goodbye(world)


def transfer(world: World, clients: list[ClientEnd], number: int) -> int:
    """A tenth of a second of traffic in both directions."""
    for client in clients:
        client.carry(packet(client.address, SERVER, number + 1))
        world.gateway.carry(packet(SERVER, client.address, number + 1))
    world.run(0.1)
    return number + 1


@pytest.mark.parametrize("preserves", [True, False])
@pytest.mark.parametrize("filtering", Depends)
@pytest.mark.parametrize("mapping", Depends)
def test_every_kind_of_nat_is_passed_and_kept_open_while_nobody_speaks(
    mapping: Depends, filtering: Depends, preserves: bool
) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        nat = world.new_nat(
            "203.0.113.7", mapping=mapping, filtering=filtering, preserves=preserves
        )
        client = world.client(behind=nat)
        connected(world, client)
        world.run(900.0)
        call = packet(SERVER, client.address, 1)
        world.gateway.carry(call)
        world.run(1.0)
        assert call in client.inside, "after a quarter of an hour the gateway still reaches it"
        goodbye(world)


def test_a_late_repeat_on_port_500_takes_nobody_back_from_4500() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        assert client.link is not None
        client.link.drops = lambda seen: seen.source[1] == 4500 and len(client.sent) == 2
        client.connect()
        assert world.run_until(lambda: len(client.sent) == 2, within=1.0)
        _, answer, _ = world.gateway.sent[0]
        world.run(0.5)
        client.datagram(answer, (GATEWAY, 500), (client.link.address, 500))
        assert "ike.duplicate-answered" in client.codes()
        assert world.decided(client)
        assert client.up
        assert {to[1] for _, _, to in client.sent[1:]} == {4500}
        assert world.passes_both_ways(client, within=1.0)
        goodbye(world)


def test_a_client_that_roams_goes_on_from_its_new_address() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        assert client.link is not None
        elsewhere = world.new_nat("203.0.113.99")
        world.network.move(client.link, "192.168.178.20", elsewhere)
        assert world.passes_both_ways(client, within=10.0)
        session = next(iter(world.gateway.table))
        assert session.public[0] == "203.0.113.99"
        world.network.move(client.link, "198.51.100.77", None)
        assert world.passes_both_ways(client, within=10.0)
        goodbye(world)


def test_a_short_sleep_is_survived() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        client.suspend()
        world.run(25.0)
        client.resume()
        assert world.passes_both_ways(client, within=10.0)
        goodbye(world)


def test_a_long_sleep_ends_at_both_ends_and_the_next_attempt_is_up() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        client.suspend()
        world.run(3600.0)
        assert [row.ending.id for row in world.gateway.table.closed] == ["lost-peer"]
        client.resume()
        assert world.run_until(lambda: client.down, within=100.0)
        assert client.reason == "lost-peer"
        connected(world, client)
        assert world.passes_both_ways(client)
        goodbye(world)


def test_a_gateway_that_lost_its_memory_is_noticed_within_the_dpd_time() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        world.gateway.reboot()
        died = world.now
        assert world.run_until(lambda: client.down, within=300.0)
        assert world.now <= died + client.profile.dpd_timeout + 1.0
        assert client.reason == "lost-peer"
        connected(world, client)
        assert world.passes_both_ways(client)
        goodbye(world)


def test_a_client_that_lost_its_memory_comes_back_in_place_of_itself() -> None:
    world = World(SEED, Terms(max_logins=1))
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        address = client.address
        client.reboot()
        connected(world, client)
        assert client.address == address, "the same user gets the same address again"
        assert len(world.gateway.table) == 1
        assert [row.ending.id for row in world.gateway.table.closed] == ["replaced"]
        goodbye(world)


def test_large_first_messages_travel_in_fragments() -> None:
    world = World(SEED, Terms(phase1=("aes256-sha2_512-modp8192",)))
    with world.shown_if_wrong():
        kept = profile(phase1=("aes256-sha2_512-modp8192",))
        client = world.client(kept, behind=world.nat, faults=Faults(mtu=600))
        connected(world, client)
        goodbye(world)


def test_a_black_hole_for_large_datagrams_ends_with_no_answer() -> None:
    world = World(SEED, Terms(phase1=("aes256-sha2_512-modp8192",)))
    with world.shown_if_wrong():
        kept = profile(phase1=("aes256-sha2_512-modp8192",))
        client = world.client(kept, faults=Faults(mtu=600, black_hole=True))
        client.connect()
        assert world.decided(client)
        assert client.reason == "no-answer"
        assert world.gateway.events == []


@pytest.mark.requirement("S4-11")
@pytest.mark.parametrize("gateway_behind", [False, True])
@pytest.mark.parametrize("client_behind", [False, True])
def test_each_end_knows_who_is_behind_a_nat_and_wraps_esp_only_then(
    client_behind: bool, gateway_behind: bool
) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        host = GATEWAY
        if gateway_behind:
            host = "203.0.113.1"
            world.put_gateway_behind(world.new_nat(host))
        client = world.client(behind=world.nat if client_behind else None, host=host)
        connected(world, client)
        assert world.passes_both_ways(client, within=1.0)
        detected = [end.told("ike.nat-detected")[-1].fields for end in (client, world.gateway)]
        assert [(found["local"], found["remote"]) for found in detected] == [
            (client_behind, gateway_behind),
            (gateway_behind, client_behind),
        ]
        (session,) = world.gateway.table
        wrapped = client_behind or gateway_behind
        assert session.transport == ("nat-t" if wrapped else "esp")
        assert client.core.snapshot["transport"] == session.transport
        goodbye(world)


@pytest.mark.requirement("S4-12")
@pytest.mark.parametrize("behind", [False, True])
def test_only_the_end_behind_a_nat_keeps_it_open(behind: bool) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat if behind else None)
        connected(world, client)
        world.run(600.0)
        assert ("nat-t" if behind else "esp") == client.core.snapshot["transport"]
        assert [o for _, o, _ in world.gateway.sent if o == KEEPALIVE] == []
        kept_open = [o for _, o, _ in client.sent if o == KEEPALIVE]
        assert len(kept_open) == (60 if behind else 0)
        goodbye(world)


@pytest.mark.parametrize("lost", range(12))
def test_the_loss_of_any_one_message_is_made_good(lost: int) -> None:
    """Whichever datagram of the set-up it is, from either end."""
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        assert client.link is not None
        assert world.gateway.link is not None
        seen: list[Seen] = []

        def drops(datagram: Seen) -> bool:
            seen.append(datagram)
            return len(seen) == lost + 1

        client.link.drops = drops
        connected(world, client)
        assert world.now < 3.0
        assert world.passes_both_ways(client)
        assert len(seen) > lost
        goodbye(world)


def test_a_day_of_traffic_with_rekeying_loses_no_packet() -> None:
    world = World(SEED, Terms(phase2_lifetime=3600))
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        for minute in range(23 * 60):
            there = packet(client.address, SERVER, minute)
            back = packet(SERVER, client.address, minute)
            client.carry(there)
            world.gateway.carry(back)
            world.run(60.0)
            assert client.up, f"over after {minute} minutes: {client.reason}"
            assert there in world.gateway.inside, f"lost in minute {minute}"
            assert back in client.inside, f"lost in minute {minute}"
            world.gateway.inside.clear()
            client.inside.clear()
        assert len(client.told("quick.rekeying")) >= 23
        goodbye(world)


@pytest.mark.requirement("S1-177")
def test_a_phase_1_of_an_hour_outlives_five_phases_2_of_ten_minutes_without_loss() -> None:
    world = World(SEED, Terms(phase1_lifetime=3600, phase2_lifetime=600))
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        began = world.now
        number = 0
        while len(client.told("quick.rekeying")) < 5 or number % 100:
            number += 1
            there = packet(client.address, SERVER, number)
            back = packet(SERVER, client.address, number)
            client.carry(there)
            world.gateway.carry(back)
            world.run(1.0)
            assert client.up, client.reason
            assert world.gateway.inside[-1:] == [there], f"lost after {number} s"
            assert client.inside[-1:] == [back], f"lost after {number} s"
        assert world.now < began + 3600.0
        assert len(client.told("quick.established")) == 6
        assert len(client.told("ike.phase1-established")) == 1
        goodbye(world)


def test_twenty_hours_of_silence_end_nothing() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        connected(world, client)
        world.run(20 * 3600.0)
        assert world.passes_both_ways(client)
        goodbye(world)
