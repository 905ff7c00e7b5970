"""Addresses by DHCP over IPsec behind an XAUTH login, in virtual time (S1-70, SonicWALL's way)."""

from __future__ import annotations

import pytest

from culvert.ike.wire.header import OCTETS, TRANSACTION
from culvert.ike.wire.message import parse_header
from culvert.inet import dhcp
from simulation.ends import ClientEnd
from simulation.journal import Seen
from simulation.network import Faults
from simulation.sonicwall import DNS, LEASE_SECONDS, SonicWorld

SEED = 7
LENT = "40.1.1.101"


def connected(world: SonicWorld, **changes: object) -> ClientEnd:
    client = world.leasing(**changes)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def test_a_login_comes_first_and_then_the_address_by_dhcp() -> None:
    world = SonicWorld(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        assert client.address == LENT
        assert client.told("xauth.accepted")
        assert client.told("config.requested") == [], "no Mode Config with such a gateway"
        assert world.wall.asked == [dhcp.DISCOVER, dhcp.ASK]
        (leased,) = client.told("client.leased")
        assert leased.fields["dns"] == (DNS,)
        assert world.passes_both_ways(client)


def test_a_wrong_password_gets_no_address() -> None:
    world = SonicWorld(SEED)
    client = world.leasing()
    client.person = ("vpnclient1", "not the password")
    client.connect()
    assert world.decided(client)
    assert client.down
    assert client.reason == "auth-rejected"
    assert world.wall.asked == []


def test_the_address_is_given_back_at_the_end_and_lent_again() -> None:
    world = SonicWorld(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        assert list(world.wall.lent.values()) == [LENT]
        client.disconnect()
        assert client.up, "a moment for the last message"
        assert world.run_until(lambda: client.down, within=1.0)
        assert client.reason == "by-user"
        assert world.wall.asked[-1] == dhcp.RELEASE
        assert world.wall.lent == {}
        assert len(client.told("client.lease-returned")) == 1
        world.run(300.0)
        assert world.left_over() == []
        client.connect()
        assert world.decided(client)
        assert client.address == LENT


def test_who_is_told_twice_to_end_does_so_at_once() -> None:
    world = SonicWorld(SEED)
    client = connected(world)
    client.disconnect()
    client.disconnect()
    assert client.down
    assert client.reason == "by-user"
    world.run(300.0)
    assert world.left_over() == []


def test_a_gateway_that_ends_it_meanwhile_changes_nothing_of_that() -> None:
    world = SonicWorld(SEED)
    client = connected(world)
    world.gateway.do(world.gateway.core.shutdown(now=world.now))
    client.disconnect()
    assert world.run_until(lambda: client.down, within=1.0)
    world.run(300.0)
    assert len(client.told("client.down")) == 1
    assert client.machine is None


def test_it_is_renewed_and_outlives_renewals_of_the_keys() -> None:
    world = SonicWorld(SEED)
    with world.shown_if_wrong():
        client = connected(world, phase2_lifetime=1800)
        world.run(2 * 3600.0)
        assert client.up, client.reason
        assert client.address == LENT
        assert world.wall.asked.count(dhcp.ASK) >= 2 * 3600 / LEASE_SECONDS
        assert world.passes_both_ways(client)


@pytest.mark.parametrize("seed", range(4))
def test_a_lossy_line_only_takes_longer(seed: int) -> None:
    world = SonicWorld(seed)
    client = world.leasing()
    assert client.link is not None
    client.link.faults = Faults(loss=0.2, jitter=0.1)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert client.address == LENT


def test_where_no_server_answers_it_ends_and_says_so() -> None:
    world = SonicWorld(SEED)
    world.wall.serves = False
    client = world.leasing()
    client.connect()
    assert world.decided(client, within=120.0)
    assert client.reason == "no-address"
    (failed,) = client.told("client.lease-failed")
    assert failed.fields["problem"] == "nobody answers"
    world.run(300.0)
    assert world.left_over() == []


def test_where_the_server_refuses_it_ends_and_says_so() -> None:
    world = SonicWorld(SEED)
    world.wall.refuses = True
    client = world.leasing()
    client.connect()
    assert world.decided(client, within=120.0)
    assert client.reason == "no-address"
    (failed,) = client.told("client.lease-failed")
    assert "NAK" in str(failed.fields["problem"])


def test_a_server_that_goes_silent_costs_the_connection_when_the_lease_runs_out() -> None:
    world = SonicWorld(SEED)
    client = connected(world)
    world.wall.serves = False
    assert world.run_until(lambda: client.down, within=2 * LEASE_SECONDS)
    assert client.reason == "no-address"
    (failed,) = client.told("client.lease-failed")
    assert "ran out" in str(failed.fields["problem"])


def test_a_quick_mode_that_overtakes_the_end_of_the_login_is_taken_when_said_again() -> None:
    """The client's last word of XAUTH gets lost, and what comes next does not."""
    world = SonicWorld(SEED)
    client = world.leasing()
    lost: list[Seen] = []

    def last_word(seen: Seen) -> bool:
        accepted = bool(world.gateway.told("xauth.accepted"))
        mine = seen.name == client.name and len(seen.message) >= OCTETS
        if lost or not (mine and accepted and parse_header(seen.message).exchange == TRANSACTION):
            return False
        lost.append(seen)
        return True

    assert client.link is not None
    client.link.drops = last_word
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client, within=15.0)
        assert client.up, client.reason
        assert len(lost) == 1
        refused = [event.fields["kind"] for event in world.gateway.told("ike.datagram-refused")]
        assert set(refused) == {"unexpected"}
