"""Signs of life as a VPN 3000 concentrator and its clients were measured to send them (S4-63)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulation.ends import ClientEnd, End
from simulation.journal import Told
from simulation.world import Terms, World, profile

SEED = 1
CONCENTRATOR = Terms(vpn3000_vendor_id=True)


def two_clients(world: World, **changes: Any) -> tuple[ClientEnd, ClientEnd]:
    """Both behind the PAT, as in the sample."""
    first, second = (world.client(profile(**changes), behind=world.nat) for _ in range(2))
    for client in (first, second):
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
    return first, second


def keepalives(end: End) -> list[float]:
    """When it sent NAT keepalives."""
    return [at for at, octets, _ in end.sent if octets == b"\xff"]


def told_at(world: World, end: End, code: str) -> list[float]:
    return [
        one.at
        for one in world.network.journal
        if isinstance(one, Told) and one.name == end.name and one.event.code == code
    ]


def apart(times: list[float]) -> set[float]:
    return {round(later - sooner, 3) for sooner, later in pairwise(times)}


@pytest.mark.requirement("S4-63")
def test_the_defaults_are_10_s_and_20_s_and_the_gateway_takes_both_for_life() -> None:
    world = World(SEED, CONCENTRATOR)
    with world.shown_if_wrong():
        clients = two_clients(world, dpd_delay=0)
        world.run(200.0)
        for client in clients:
            assert apart(keepalives(client)) == {10.0}
            assert apart(told_at(world, client, "live.heartbeat-sent")) == {20.0}
        heard = told_at(world, world.gateway, "live.heartbeat-received")
        assert 2 * 9 <= len(heard) <= 2 * 10
        assert not world.gateway.told("live.question"), "who beats is not asked"
        assert not world.gateway.told("ike.notify-received"), "and nobody complains"
        assert len(world.gateway.table) == 2
        world.run(0.5)
        for client in clients:
            client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


@pytest.mark.requirement("S4-63")
def test_both_timers_are_settable_and_0_is_none() -> None:
    world = World(SEED, CONCENTRATOR)
    client, _ = two_clients(world, keepalive_interval=7, heartbeat_interval=15, dpd_delay=0)
    world.run(100.0)
    assert apart(keepalives(client)) == {7.0}
    assert apart(told_at(world, client, "live.heartbeat-sent")) == {15.0}
    world = World(SEED, CONCENTRATOR)
    client, _ = two_clients(world, keepalive_interval=0, heartbeat_interval=0, dpd_delay=0)
    world.run(100.0)
    assert not keepalives(client)
    assert not client.told("live.heartbeat-sent")


@pytest.mark.requirement("S4-63")
def test_a_gateway_behind_a_nat_sends_its_pair_every_9_s() -> None:
    world = World(SEED, Terms(vpn3000_vendor_id=True, keepalive_interval=9))
    with world.shown_if_wrong():
        nat = world.new_nat("172.16.172.50")
        world.put_gateway_behind(nat)
        two_clients(world, dpd_delay=0)
        world.run(100.0)
        times = sorted(keepalives(world.gateway))
        for first in (0, 1):
            assert apart(times[first::2]) == {9.0}


@pytest.mark.requirement("S4-63")
def test_a_question_is_answered_at_once_with_its_own_number() -> None:
    world = World(SEED, CONCENTRATOR)
    client, _ = two_clients(world, heartbeat_interval=0, dpd_delay=0)
    world.run(100.0)
    (question, *_), (asked, *_) = (
        client.told("live.question-received"),
        told_at(world, client, "live.question-received"),
    )
    (answer, *_), (answered, *_) = (
        client.told("live.answer-sent"),
        told_at(world, client, "live.answer-sent"),
    )
    assert question.fields["sequence"] == answer.fields["sequence"]
    assert answered - asked <= 0.01


@pytest.mark.requirement("S4-63")
def test_a_client_that_falls_silent_is_found_by_dpd() -> None:
    world = World(SEED, CONCENTRATOR)
    with world.shown_if_wrong():
        client, other = two_clients(world)
        world.run(60.0)
        client.unplug()
        assert world.run_until(lambda: len(world.gateway.table) == 1, within=300.0)
        assert world.gateway.told("live.peer-dead")
        assert world.gateway.told("session.ended")[0].fields["reason"] == "lost-peer"
        world.run(60.0)
        assert other.up


def test_who_does_not_show_the_concentrators_id_gets_no_heartbeat() -> None:
    world = World(SEED)
    client, _ = two_clients(world)
    world.run(100.0)
    assert not client.told("live.heartbeat-sent")
    assert "altiga" not in [told.fields["feature"] for told in client.told("ike.peer-supports")]
