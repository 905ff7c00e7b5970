"""A lost connection comes back by itself, finds other gateways, and stays closed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.ends import ClientEnd
from simulation.world import GATEWAY, SERVER, Terms, World, packet, profile

SEED = 1
DEAD = "192.0.2.99"  # nobody is there
FIRST = "172.16.172.51"
STEP = 0.1


def connected(world: World, **changes: Any) -> ClientEnd:
    client = world.client(profile(reconnect=3600, **changes), behind=world.nat)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def sends_until(world: World, client: ClientEnd, count: int, *, within: float) -> float:
    """Something is sent all the time; how long until the client was up for the ``count``th time."""
    began = world.now
    while len(client.told("client.up")) < count or not client.up:
        assert world.now < began + within, client.core.snapshot
        if client.machine is not None:
            client.carry(packet_of(client))
        world.run(STEP)
    return world.now - began


def packet_of(client: ClientEnd) -> bytes:
    return packet(client.address or "40.1.1.1", SERVER, 1)


@pytest.mark.parametrize("away", [1.0, 10.0, 60.0, 200.0])
def test_a_client_that_sends_is_back_within_5_s_of_the_gateways_return(away: float) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        world.gateway.unplug()
        began = world.now
        while world.now < began + away:
            client.carry(packet_of(client))
            world.run(STEP)
        world.gateway.reboot()
        world.gateway.plug()
        assert sends_until(world, client, 2, within=60.0) <= 5.0
        assert world.passes_both_ways(client)
        assert len(world.gateway.table) == 1


def test_an_idle_client_is_back_soon_after_the_question_that_finds_it_forgotten() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world, dpd_delay=30)
        world.gateway.reboot()
        assert world.run_until(lambda: len(client.told("client.up")) == 2, within=36.0)


def test_a_line_that_is_dead_for_a_while_costs_no_login() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        world.gateway.unplug()
        for _ in range(300):
            client.carry(packet_of(client))
            world.run(STEP)
        world.gateway.plug()
        world.run(10.0)
        assert client.up
        assert world.passes_both_ways(client)
        assert len(client.told("xauth.accepted")) == 1
        assert not client.told("client.reconnecting")


def test_a_stream_one_way_only_is_asked_about_now_and_then_and_goes_on() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        before = len(client.told("live.question"))
        for _ in range(1000):
            client.carry(packet_of(client))
            world.run(STEP)
        assert 2 <= len(client.told("live.question")) - before <= 12
        assert len(client.told("xauth.accepted")) == 1


def test_the_machine_stays_as_it_is_while_the_connection_is_lost() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world, dpd_delay=10, dpd_timeout=30)
        before = client.machine
        world.gateway.unplug()
        assert world.run_until(lambda: client.core.state == "reconnecting", within=60.0)
        assert client.machine is before
        row = client.core.snapshot
        assert row["state"] == "reconnecting"
        assert row["attempt"] == 1
        assert row["next_attempt"]


def test_a_profile_may_have_the_machine_restored_while_the_connection_is_lost() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world, dpd_delay=10, dpd_timeout=30, fail_closed=False)
        world.gateway.unplug()
        assert world.run_until(lambda: client.core.state == "reconnecting", within=60.0)
        assert client.machine is None
        world.gateway.plug()
        assert world.run_until(lambda: client.up, within=10.0)
        assert client.machine is not None


def test_attempts_become_rarer_and_end_with_the_time_that_the_profile_gives() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(profile(reconnect=900, dpd_delay=10, dpd_timeout=30))
        client.connect()
        assert world.decided(client)
        world.gateway.unplug()
        assert world.run_until(lambda: client.core.state == "reconnecting", within=60.0)
        began = world.now
        assert world.run_until(lambda: client.down, within=1000.0)
        assert 850.0 <= world.now - began <= 910.0
        waits = [float(str(told.fields["wait"])) for told in client.told("client.reconnecting")]
        assert waits[0] <= 0.5
        assert max(waits[:40]) <= 3.0
        assert waits[-1] > 10.0
        assert client.machine is None
        world.run(100.0)
        assert world.left_over() == ["gateway: sessions"] or client.down


def test_who_disconnects_while_it_is_lost_is_down_at_once() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world, dpd_delay=10, dpd_timeout=30)
        world.gateway.unplug()
        assert world.run_until(lambda: client.core.state == "reconnecting", within=60.0)
        client.disconnect()
        assert client.down
        assert client.reason == "by-user"
        assert client.machine is None
        world.run(300.0)
        assert client.core.deadline == float("inf")


@pytest.mark.requirement("S4-20", part="backup servers in order")
@pytest.mark.parametrize("patience", [5, 20])
def test_the_next_gateway_is_tried_when_the_first_was_silent_for_its_time(patience: int) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        hosts = {"host": DEAD, "backup_hosts": ("192.0.2.98", GATEWAY), "peer_timeout": patience}
        client = world.client(profile(**hosts))
        client.connect()
        began = world.now
        assert world.decided(client)
        assert client.up, client.reason
        tried = [event.fields["host"] for event in client.told("client.next-gateway")]
        assert tried == ["192.0.2.98", GATEWAY]
        assert 2 * patience <= world.now - began < 2 * patience + 2
        assert client.core.snapshot["gateway"] == GATEWAY


def test_gateways_that_are_all_silent_end_the_attempt_after_one_round() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(profile(host=DEAD, backup_hosts=("192.0.2.98",), peer_timeout=5))
        client.connect()
        assert world.decided(client)
        assert client.reason == "no-answer"
        assert len(client.told("client.next-gateway")) == 1
        client.connect()
        assert world.decided(client)
        assert len(client.told("client.next-gateway")) == 2, "a second attempt is a second round"


def test_a_gateway_that_refuses_is_no_silent_one() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        kept = profile(host=GATEWAY, backup_hosts=(DEAD,))
        client = world.client(kept, person=("vpnclient1", "wrong"))
        client.connect()
        assert world.decided(client)
        assert client.reason == "auth-rejected"
        assert not client.told("client.next-gateway")


def test_a_lost_connection_comes_back_at_the_gateway_that_was_pushed() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        first = world.new_gateway("F", FIRST, Terms(backup_servers=(GATEWAY,)))
        client = connected(world, host=FIRST, dpd_delay=10, dpd_timeout=30)
        assert client.core.snapshot["gateway"] == FIRST
        first.unplug()
        assert world.run_until(lambda: len(client.told("client.up")) == 2, within=60.0)
        assert client.core.snapshot["gateway"] == GATEWAY
        assert client.machine is not None
        assert client.machine.settings.gateway == GATEWAY
        assert world.passes_both_ways(client)
