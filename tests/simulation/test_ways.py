"""`transport = "auto"`: whatever is blocked, the client finds the way that is not, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from culvert.ike.carriage import UDP_PORT
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import NATT_PORT, ClientEnd
from simulation.journal import Seen
from simulation.judged import verdicts
from simulation.network import NO_PORT, Faults
from simulation.world import GATEWAY, GROUP, SERVER, USERS, Terms, World, packet, profile

SEARCHED = 30.0
"""Seconds in which a way is found, whatever is blocked."""
SILENCE = 25.0
"""And seconds until a tunnel that brings nothing back is known as such."""

Blocks = Callable[[Seen], bool]


def at(*ports: int) -> Blocks:
    return lambda seen: bool({seen.source[1], seen.to[1]} & {*ports})


def everything(_: Seen) -> bool:
    return True


def nothing(_: Seen) -> bool:
    return False


def searching(
    world: World, blocks: Blocks, *, natted: bool = True, tcp: bool = True, **changes: Any
) -> ClientEnd:
    every = {"ipsec_over_udp": True, "ipsec_over_tcp": True, "transport": "auto", **changes}
    client = world.client(profile(**every), behind=world.nat if natted else None)
    client.streams_to = world.gateway if tcp else None
    assert client.link is not None
    client.link.drops = blocks
    return client


def way(client: ClientEnd) -> object:
    return client.core.snapshot["transport"]


def blocked(client: ClientEnd) -> list[object]:
    return [event.fields["blocked"] for event in client.told("client.way-blocked")]


@pytest.mark.parametrize(
    ("blocks", "found", "told"),
    [
        (nothing, "nat-t", []),
        (at(NATT_PORT), "udp", ["UDP 4500"]),
        (at(NATT_PORT, UDP_PORT), "tcp", ["UDP 4500", "ESP over UDP"]),
        (everything, "tcp", ["UDP"]),
    ],
    ids=["nothing", "4500", "4500 and 10000", "all UDP"],
)
def test_behind_a_nat_the_way_that_passes_is_found(
    blocks: Blocks, found: str, told: list[str]
) -> None:
    world = World(3, Terms(over_udp=True))
    client = searching(world, blocks)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client, within=SEARCHED)
        talks(world, client, 2 * SILENCE)
        assert world.passes_both_ways(client)
        assert way(client) == found
        assert blocked(client) == told
        for event in client.told("client.way-blocked"):
            assert int(str(event.fields["out"])) > 0
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


def talks(world: World, client: ClientEnd, seconds: float) -> None:
    until, number = world.now + seconds, 0
    while world.now < until:
        number += 1
        if client.machine is not None and client.address:
            client.carry(packet(client.address, SERVER, number))
            world.gateway.carry(packet(SERVER, client.address, number))
        world.run(1.0)


@pytest.mark.parametrize("reconnect", [0, 3600])
def test_bare_esp_that_is_blocked_goes_into_udp(reconnect: int) -> None:
    world = World(3, Terms())
    client = searching(world, at(NO_PORT), natted=False, reconnect=reconnect)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client, within=SEARCHED)
        assert way(client) == "esp"
        talks(world, client, 2 * SILENCE)
        assert client.up, client.reason
        assert way(client) == "nat-t"
        assert blocked(client) == ["ESP"]
        (told,) = client.told("client.way-blocked")
        assert int(str(told.fields["out"])) >= 3
        assert told.fields["came"] == 0
        assert world.passes_both_ways(client)
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


@pytest.mark.parametrize(
    "terms",
    [
        Terms(over_udp=True, session_limit=1),
        Terms(over_udp=True, max_logins=1),
        Terms(over_udp=True, addresses=1),
    ],
    ids=["sessions", "logins", "addresses"],
)
@pytest.mark.parametrize("ports", [(NATT_PORT,), (NATT_PORT, UDP_PORT)], ids=["udp", "tcp"])
def test_another_way_is_not_refused_for_the_clients_own_session_by_the_last(
    terms: Terms, ports: tuple[int, ...]
) -> None:
    """The gateway cannot know yet that nothing comes over the old one any more."""
    world = World(3, terms)
    client = searching(world, nothing, reconnect=3600)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client, within=SEARCHED)
        first, address = way(client), client.address
        assert client.link is not None
        talks(world, client, 10.0)
        client.link.drops = at(*ports)
        talks(world, client, 4 * SILENCE)
        assert client.up, client.reason
        assert way(client) != first
        assert client.address == address
        assert len(world.gateway.table) == 1
        assert {one.ending.id for one in world.gateway.table.closed} <= {"replaced", "by-user"}
        assert world.passes_both_ways(client)


def test_long_messages_that_are_lost_go_over_tcp() -> None:
    world = World(3, Terms(authentication=("rsa",), main_mode=True), vault=gateway_vault(GATEWAY))
    kept = profile(
        authentication="rsa",
        exchange_mode="main",
        transport="auto",
        ipsec_over_tcp=True,
        ike_fragmentation=False,
    )
    faults = Faults(mtu=1280, black_hole=True)
    client = world.client(kept, vault=person_vault(USERS[0], GROUP), faults=faults)
    client.streams_to = world.gateway
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client, within=SEARCHED)
        assert client.up, client.reason
        assert way(client) == "tcp"
        assert blocked(client) == ["A message in IP fragments"]


def test_what_got_through_is_tried_first_the_next_time_and_only_there() -> None:
    world = World(3, Terms(over_udp=True))
    client = searching(world, everything)
    client.where = "a hotel"
    client.connect()
    assert world.decided(client, within=SEARCHED)
    (found,) = client.told("client.way-found")
    assert (found.fields["network"], found.fields["transport"]) == ("a hotel", "tcp")
    client.disconnect()
    world.run(10.0)
    client.connect()
    assert world.decided(client, within=2.0)
    assert (way(client), len(blocked(client))) == ("tcp", 1)
    client.disconnect()
    world.run(10.0)
    client.where = "at home"
    assert client.link is not None
    client.link.drops = nothing
    client.connect()
    assert world.decided(client, within=2.0)
    assert way(client) == "nat-t"


def test_what_an_earlier_connection_found_is_tried_first() -> None:
    world = World(3)
    client = searching(world, nothing)
    client.where, client.remembered = "a hotel", "tcp"
    client.connect()
    assert world.decided(client, within=2.0)
    assert way(client) == "tcp"


def test_a_gateway_that_starts_again_is_not_a_way_that_is_blocked() -> None:
    world = World(3, Terms(over_udp=True))
    client = searching(world, nothing, reconnect=3600)
    client.connect()
    assert world.decided(client)
    world.gateway.reboot()
    assert world.run_until(lambda: client.told("client.reconnecting") != [], within=300.0)
    assert world.run_until(lambda: client.up, within=60.0)
    assert way(client) == "nat-t"
    assert blocked(client) == []


@pytest.mark.parametrize(("udp", "tcp"), list(product((False, True), repeat=2)))
def test_what_the_profile_does_not_allow_is_not_tried(udp: bool, tcp: bool) -> None:
    world = World(3, Terms(over_udp=True))
    client = searching(world, at(NATT_PORT), ipsec_over_udp=udp, ipsec_over_tcp=tcp)
    client.connect()
    assert world.decided(client)
    assert client.up == (udp or tcp)
    assert way(client) == ("udp" if udp else "tcp" if tcp else "")


def test_where_nothing_gets_through_it_ends_and_says_what_was_tried() -> None:
    world = World(3)
    client = searching(world, everything, tcp=False, peer_timeout=30)
    client.connect()
    assert world.decided(client, within=60.0)
    assert client.down
    assert client.reason == "no-answer"
    assert blocked(client) == ["UDP", "TCP"]
    told, _ = verdicts(world, client)
    assert (told.id, told.what) == (
        "p1.no-response",
        "Nothing at all came back, over any transport",
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_lossy_line_keeps_nobody_out(seed: int) -> None:
    world = World(seed, Terms(over_udp=True))
    every = {"ipsec_over_udp": True, "ipsec_over_tcp": True, "transport": "auto"}
    faults = Faults(loss=0.3, jitter=0.2)
    client = world.client(profile(**every), behind=world.nat, faults=faults)
    client.streams_to = world.gateway
    client.connect()
    assert world.decided(client)
    assert client.up
    assert world.passes_both_ways(client)
