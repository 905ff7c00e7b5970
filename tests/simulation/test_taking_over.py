"""A gateway's process is replaced by another one in the middle of everything: nobody notices."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from culvert.gateway.config import load
from culvert.gateway.parts import SCHEMA
from culvert.gateway.taking_over import UnknownSchemaError
from simulation.ends import ClientEnd, GatewayEnd
from simulation.network import Faults
from simulation.test_sites import REMOTE, Pair, rows
from simulation.world import GROUP, Terms, World, packet, profile

LIFE = 400
TERMS = Terms(phase1_lifetime=LIFE, phase2_lifetime=LIFE // 2)


def connected(world: World, client: ClientEnd) -> ClientEnd:
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def state(gateway: GatewayEnd) -> object:
    """Everything that would be handed over now."""
    return json.loads(json.dumps(list(gateway.core.handed(now=gateway.now))))


def same_after(gateway: GatewayEnd) -> None:
    """The process that took over would hand over the very same."""
    before = rounded(state(gateway))
    gateway.succeed()
    assert rounded(state(gateway)) == before


def sealed_twice(gateway: GatewayEnd) -> list[tuple[bytes, int]]:
    """SPI and sequence number of datagrams that a gateway sealed more than once."""
    esp = [octets[:8] for _, octets, _ in gateway.sent if len(octets) > 40 and any(octets[:4])]
    return [one for one in Counter(esp).items() if one[1] > 1 and len(one[0]) == 8]


@pytest.mark.parametrize("natted", [False, True], ids=["direct", "behind a NAT"])
@pytest.mark.parametrize("exchange", ["aggressive", "main"])
def test_a_tunnel_outlives_any_number_of_processes(natted: bool, exchange: str) -> None:
    terms = Terms(phase1_lifetime=LIFE, phase2_lifetime=LIFE // 2, main_mode=exchange == "main")
    world = World(1, terms)
    kept = profile(
        phase1_lifetime=LIFE, phase2_lifetime=LIFE // 2, exchange_mode=exchange, dpd_delay=10
    )
    client = connected(world, world.client(kept, behind=world.nat if natted else None))
    address = client.address
    (session,) = world.gateway.table
    with world.shown_if_wrong():
        for _ in range(60):
            world.run(29.0)
            same_after(world.gateway)
            assert world.passes_both_ways(client, within=1.0)
        assert client.up, client.reason
        assert client.address == address
        assert [one.number for one in world.gateway.table] == [session.number]
        assert [one.user for one in world.gateway.table] == [session.user]
        assert "session.ended" not in world.gateway.codes()
        assert client.codes().count("client.asking") == 1
        # Both phases were renewed, and questions of both ends answered, by all those processes.
        assert client.codes().count("ike.renewed") >= 3
        assert client.codes().count("quick.rekeying") >= 6
        assert "live.question-received" in world.gateway.codes()
        assert "live.peer-dead" not in (*client.codes(), *world.gateway.codes())
        client.disconnect()
        world.run(60.0)
        assert world.left_over() == []


def test_no_sequence_number_is_used_twice_under_one_key() -> None:
    world = World(2)
    client = connected(world, world.client(profile(), behind=world.nat))
    for number in range(200):
        world.gateway.carry(packet("192.168.2.10", client.address, number))
        world.run(0.05)
        world.gateway.succeed()
    assert sealed_twice(world.gateway) == []
    # The client's replay window took every one of them.
    assert len(client.inside) == 200


def test_a_packet_of_the_time_before_is_a_replay_for_the_next_process() -> None:
    world = World(3)
    client = connected(world, world.client(profile()))
    client.carry(packet(client.address, "192.168.2.10", 1))
    world.run(1.0)
    came = len(world.gateway.inside)
    when, recorded, to = client.sent[-1]
    assert to[1] == 0
    world.gateway.succeed()
    world.gateway.datagram(recorded, ("198.51.100.2", 0), to)
    assert len(world.gateway.inside) == came, when


def test_the_counters_of_a_session_go_on() -> None:
    world = World(4)
    client = connected(world, world.client(profile()))
    for number in range(10):
        client.carry(packet(client.address, "192.168.2.10", number))
        world.run(2.0)
        if number % 3 == 0:
            world.gateway.succeed()
    (session,) = world.gateway.table
    assert session.counters.packets_in == 10


@pytest.mark.parametrize("seed", range(5))
def test_at_any_moment_of_any_dialogue_the_next_process_knows_the_same(seed: int) -> None:
    """A bad network, three clients, processes replaced at random moments: a renewal of phase 1
    that is caught half way is tried again, for which there must be time."""
    life = 1000
    world = World(seed, Terms(phase1_lifetime=life, phase2_lifetime=life // 4))
    chance = random.Random(seed)
    faults = Faults(loss=0.1, jitter=0.2, duplication=0.1, reordering=0.1)
    clients = [
        world.client(
            profile(phase1_lifetime=life, phase2_lifetime=life // 4, reconnect=50),
            behind=world.nat if number else None,
            faults=faults,
        )
        for number in range(3)
    ]
    with world.shown_if_wrong():
        for client in clients:
            client.connect()
        for _ in range(50):
            world.run(chance.random() * 30.0)
            same_after(world.gateway)
        for client in clients:
            assert world.run_until(lambda client=client: client.up, within=300.0), client.reason
            assert world.passes_both_ways(client)
            client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


def came_back(world: World, client: ClientEnd) -> bool:
    """Who was half way through phase 1 when the last process went has to call again."""
    world.run_until(lambda: client.up or client.down, within=300.0)
    if client.down:
        client.connect()
    return world.run_until(lambda: client.up, within=300.0)


def test_who_is_half_way_through_a_login_is_not_taken_over_and_leaves_nothing() -> None:
    world = World(5)
    client = world.client(profile())
    client.connect()
    asked = world.run_until(lambda: "xauth.answered" in world.gateway.codes(), within=30.0)
    assert asked
    world.gateway.succeed()
    assert len(world.gateway.table) == 0
    world.run(300.0)
    assert world.left_over() == []


def test_a_group_that_is_gone_ends_its_sessions_in_words() -> None:
    world = World(6)
    client = connected(world, world.client(profile()))
    other = Terms().toml.replace(f'"{GROUP}"', '"other"')
    world.gateway.succeed(load(other, "gateway.toml"))
    world.run(5.0)
    assert not client.up
    assert client.reason == "by-administrator"
    (ended,) = world.gateway.told("session.ended")
    assert ended.fields["reason"] == "by-administrator"


def test_addresses_are_leased_on_where_the_other_process_stopped() -> None:
    world = World(7, Terms(addresses=4))
    first = connected(world, world.client(profile()))
    second = connected(world, world.client(profile()))
    gone = first.address
    first.disconnect()
    world.run(5.0)
    world.gateway.succeed()
    third = connected(world, world.client(profile()))
    assert third.address not in (second.address,)
    first.connect()
    assert world.decided(first)
    if third.address != gone:
        assert first.address == gone
    assert len({one.assigned for one in world.gateway.table}) == 3


@pytest.mark.parametrize("behind", [False, True], ids=["direct", "behind a NAT"])
def test_a_site_that_calls_and_one_that_is_called_go_on(behind: bool) -> None:
    world = Pair(behind=behind, more="")
    assert world.joined()
    with world.shown_if_wrong():
        for _ in range(20):
            world.run(1500.0)
            for end in (world.gateway, world.far):
                same_after(end)
        for end in (world.gateway, world.far):
            assert "session.ended" not in end.codes()
            assert len(rows(end)[0].spis) >= len(REMOTE)
        assert "quick.rekeying" in world.far.codes()


def test_a_site_being_called_is_called_again_by_the_next_process() -> None:
    world = Pair()
    world.run(0.01)
    world.far.succeed()
    world.gateway.succeed()
    assert world.joined(within=120.0)


def test_state_of_another_schema_is_refused_before_anything_else_is_read() -> None:
    world = World(8)
    connected(world, world.client(profile()))
    told: Any = state(world.gateway)
    told[0] = {"schema": SCHEMA + 1, "nonsense": True}
    world.gateway.reboot()
    with pytest.raises(UnknownSchemaError, match=f"form {SCHEMA + 1}"):
        world.gateway.core.resume(told, now=world.now)
    assert len(world.gateway.table) == 0


def test_moments_are_ages_and_fit_another_clock() -> None:
    world = World(9, TERMS)
    client = connected(world, world.client(profile(phase1_lifetime=LIFE)))
    assert client.up
    world.run(10.0)
    told = state(world.gateway)
    deadline = world.gateway.core.deadline - world.now
    world.gateway.reboot()
    ahead = world.now + 1_000_000.0
    world.gateway.core.resume(told, now=ahead)  # type: ignore[arg-type]  # JSON
    assert world.gateway.core.deadline - ahead == pytest.approx(deadline)
    again = json.loads(json.dumps(list(world.gateway.core.handed(now=ahead))))
    assert rounded(again) == rounded(told)


def rounded(value: object) -> object:
    """An age that becomes a moment, and an age again, may lose the last digits of a fraction."""
    match value:
        case float():
            return round(value, 3)
        case list():
            return [rounded(one) for one in value]
        case dict():
            return {key: rounded(one) for key, one in value.items()}
        case _:
            return value
