"""Phase 1 is renewed before its keys are too old: the tunnels go on as if nothing had happened."""

from __future__ import annotations

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from simulation.ends import ClientEnd
from simulation.meddler import ike_sa
from simulation.network import Faults
from simulation.world import Terms, World, packet, profile

LIFE = 400
TERMS = Terms(phase1_lifetime=LIFE, phase2_lifetime=28_800)


class Nobody:
    """A judge who lets nobody in any more."""

    def judge(self, order: Judge, *, now: float) -> tuple[Judged, LogEvent]:
        word = Judged(order.ticket, accepted=False, reason="auth-rejected", cause="account closed")
        fields = {"user": order.user, "group": order.group, "source": order.source}
        return word, LogEvent("auth.wrong-password", fields)


def connected(world: World, client: ClientEnd) -> ClientEnd:
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def cookies(client: ClientEnd) -> bytes:
    return ike_sa(client).channel.cookies


@pytest.mark.parametrize("natted", [False, True], ids=["direct", "behind a NAT"])
@pytest.mark.parametrize("exchange", ["aggressive", "main"])
def test_tunnels_outlive_the_keys_of_phase_1(natted: bool, exchange: str) -> None:
    terms = Terms(phase1_lifetime=LIFE, main_mode=exchange == "main")
    world = World(1, terms)
    kept = profile(phase1_lifetime=LIFE, exchange_mode=exchange)
    client = connected(world, world.client(kept, behind=world.nat if natted else None))
    first, address = cookies(client), client.address
    (session,) = world.gateway.table
    with world.shown_if_wrong():
        for _ in range(5):
            before = cookies(client)
            world.run(LIFE)
            assert client.up, client.reason
            assert cookies(client) != before
            assert world.passes_both_ways(client, within=1.0)
        assert cookies(client) != first
        assert client.address == address
        assert [one.number for one in world.gateway.table] == [session.number]
        # One life: never ended, asked for a password once, configured once.
        assert client.codes().count("client.asking") == 1
        assert client.codes().count("client.machine-configured") == 1
        assert "session.ended" not in world.gateway.codes()
        assert client.codes().count("ike.renewed") >= 5
        client.disconnect()
        world.run(60.0)
        assert world.left_over() == []


def test_not_one_packet_is_lost_in_a_renewal() -> None:
    world = World(1, TERMS)
    client = connected(world, world.client(profile(phase1_lifetime=LIFE), behind=world.nat))
    sent: list[bytes] = []
    for number in range(2 * LIFE):
        there = packet(client.address, "192.168.2.10", number)
        back = packet("192.168.2.10", client.address, number)
        client.carry(there)
        world.gateway.carry(back)
        sent += [there, back]
        world.run(1.0)
    assert "ike.renewed" in client.codes()
    assert set(sent) <= {*world.gateway.inside, *client.inside}


@pytest.mark.parametrize("seed", range(8))
def test_a_bad_network_does_not_keep_it_from_being_renewed(seed: int) -> None:
    world = World(seed, TERMS)
    faults = Faults(loss=0.2, jitter=0.1)
    kept = profile(phase1_lifetime=LIFE, dpd_delay=0)
    client = connected(world, world.client(kept, faults=faults))
    with world.shown_if_wrong():
        world.run(3 * LIFE)
        assert client.up, client.reason
        assert len(world.gateway.table) == 1
        assert client.codes().count("ike.renewed") >= 2


def test_a_gateway_that_is_silent_when_keys_grow_old_is_asked_again() -> None:
    world = World(1, TERMS)
    kept = profile(phase1_lifetime=LIFE, dpd_delay=0)
    client = connected(world, world.client(kept))
    world.run(LIFE * 0.79)
    world.gateway.suspend()
    world.run(LIFE * 0.13)  # the first try goes nowhere
    assert "ike.rekeying" in client.codes()
    assert "ike.renewed" not in client.codes()
    assert client.up
    world.gateway.resume()
    world.run(LIFE * 0.13)
    assert client.up, client.reason
    assert "ike.renewed" in client.codes()
    assert world.passes_both_ways(client, within=5.0)


def test_whoever_is_not_let_in_again_stays_until_the_old_keys_end() -> None:
    """A user whose account ends meanwhile: the renewal is refused, the old life runs out."""
    world = World(1, TERMS)
    client = connected(world, world.client(profile(phase1_lifetime=LIFE)))
    world.gateway.judge = Nobody()
    world.run(LIFE * 0.95)
    assert client.up
    world.run(LIFE * 0.1)
    assert not client.up
    assert client.reason == "lifetime-expired"


def test_keys_are_renewed_where_they_already_float() -> None:
    """S4-10: later phase 1 exchanges use the ports that NAT traversal has found."""
    world = World(1, TERMS)
    client = connected(world, world.client(profile(phase1_lifetime=LIFE), behind=world.nat))
    at = len(client.sent)
    world.run(2 * LIFE)
    assert "ike.renewed" in client.codes()
    assert {to[1] for _, _, to in client.sent[at:]} == {4500}
