"""A gateway gets another address and says so itself: its peers follow, and look nothing up."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest

from culvert.driver.keys_door import KeysDoor, RemoteKeys
from culvert.driver.line import Line
from culvert.errors import ProtocolError
from culvert.eventlog.log import EventLog
from culvert.eventlog.render.lancom import Lancom
from culvert.gateway.dynamic import Dynamic
from culvert.ike.wire.announcement import Announcement
from culvert.ike.wire.before_ike import is_one
from culvert.inet.address import Path
from culvert.policy.group import Group
from culvert.policy.site import Site
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.vault.group_keys import GroupKeys
from simulation.ends import ClientEnd, End
from simulation.journal import Told
from simulation.test_sites import FAR, Pair, rows
from simulation.world import BEGAN, GATEWAY, Terms, World, profile

SEED = 1
MOVED_TO = "172.16.172.99"
THIRD = "172.16.172.100"


def connected(world: World, **changes: Any) -> ClientEnd:
    """In the public network: through a NAT nobody can be called from a new address."""
    client = world.client(profile("BUGFIX", reconnect=3600, **changes))
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def moves(world: World, to: str) -> None:
    """Another address from one moment to the next; the old one is nobody's."""
    gateway = world.gateway
    assert gateway.link is not None
    world.network.move(gateway.link, to, None)
    gateway.do(gateway.core.announce(now=world.now))


def trace(world: World, end: End) -> list[str]:
    log, rendering = EventLog(), Lancom()
    lines: list[str] = []
    for told in world.network.journal:
        if isinstance(told, Told) and told.name == end.name:
            at = BEGAN + timedelta(seconds=told.at)
            lines += rendering.render(log.record(told.event, at=at, now=told.at)).splitlines()
    return lines


@pytest.mark.requirement("S3-30")
def test_a_client_follows_its_gateway_without_a_look_up_or_a_login() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        world.run(5.0)
        moves(world, MOVED_TO)
        world.run(1.0)
        assert world.passes_both_ways(client, within=5.0)
        assert client.core.snapshot["gateway"] == MOVED_TO
        assert client.machine is not None
        assert client.machine.settings.gateway == MOVED_TO, "the way past the tunnel"
        assert len(client.told("client.resolved")) == 1, "nothing was looked up"
        assert len(client.told("xauth.accepted")) == 1
        assert not client.told("client.reconnecting")
        world.run(600.0)
        assert client.up, "and it stays"
        moves(world, THIRD)
        assert world.passes_both_ways(client, within=5.0)
        assert client.core.snapshot["gateway"] == THIRD
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


@pytest.mark.requirement("S3-30")
def test_an_announcement_that_is_lost_is_made_good_by_the_next() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        client.unplug()
        moves(world, MOVED_TO)
        world.run(1.0)
        client.plug()
        world.gateway.do(world.gateway.core.announce(now=world.now))
        assert world.passes_both_ways(client, within=5.0)
        assert len(client.told("client.resolved")) == 1


@pytest.mark.requirement("S3-30")
def test_a_recorded_announcement_moves_nobody() -> None:
    """Whoever saw it on its way could draw the traffic to himself."""
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        before = len(world.gateway.sent)
        moves(world, MOVED_TO)
        world.run(1.0)
        recorded = [octets for _, octets, _ in world.gateway.sent[before:]]
        moves(world, THIRD)
        world.run(1.0)
        for octets in recorded:
            client.datagram(octets, ("203.0.113.66", 4500), ("198.51.100.2", 4500))
            client.datagram(octets, ("203.0.113.66", 500), ("198.51.100.2", 500))
        assert client.core.snapshot["gateway"] == THIRD
        assert world.passes_both_ways(client, within=5.0)


@pytest.mark.requirement("S3-30")
def test_both_traces_have_the_records_of_dynamic_vpn() -> None:
    world = World(SEED, Terms(dns=("192.168.2.10", "192.168.2.11"), nbns=("192.168.2.12",)))
    client = connected(world)
    moves(world, MOVED_TO)
    world.run(1.0)
    servers = "DNS: 192.168.2.10, 192.168.2.11 NBNS: 192.168.2.12, 0.0.0.0"
    told = "\n".join(trace(world, world.gateway))
    assert "VPN: start dynamic VPN negotiation for vpnclient1 (198.51.100.2) via ICMP/UDP" in told
    assert f"VPN: create authentication packet for vpnclient1 (198.51.100.2) {servers}" in told
    heard = "\n".join(trace(world, client))
    assert f"VPN: received authentication packet from BUGFIX ({MOVED_TO}) {servers}" in heard
    assert client.core.snapshot["nbns"] == ["192.168.2.12"]


@pytest.mark.requirement("S3-31", part="announced")
def test_name_servers_that_are_announced_are_put_into_effect() -> None:
    world = World(SEED, Terms(dns=("192.168.2.10",)))
    client = connected(world)
    assert client.machine is not None
    assert client.machine.settings.dns_servers == ("192.168.2.10",)
    gateway: Any = world.gateway.core
    (number,) = gateway._clients
    sa = gateway._endpoint.get(number)
    told = gateway._endpoint.act(
        number, lambda _: sa.announce(("192.168.2.20",), ("192.168.2.21",), now=world.now)
    )
    world.gateway.do(gateway._carry(told, world.now))
    world.run(1.0)
    assert client.machine.settings.dns_servers == ("192.168.2.20",)
    row = client.core.snapshot
    assert (row["dns"], row["nbns"]) == (["192.168.2.20"], ["192.168.2.21"])
    assert client.up


def test_to_a_stranger_the_question_alone_is_put() -> None:
    """It needs none of our words: that the question is authentic is enough to follow."""
    world = World(SEED)
    client = connected(world)
    gateway: Any = world.gateway.core
    (sa,) = (gateway._endpoint.get(number) for number in gateway._clients)
    sa.phase1.features -= {"culvert"}
    moves(world, MOVED_TO)
    world.run(1.0)
    assert not client.told("dynamic.received")
    assert client.core.snapshot["gateway"] == MOVED_TO


def test_an_announcement_is_read_back_and_a_cut_one_is_refused() -> None:
    told = Announcement(7, ("192.0.2.1", "192.0.2.2"), ("192.0.2.3",))
    octets = told.to_bytes()
    assert Announcement.parse(octets) == told
    for length in (0, 3, 5, len(octets) - 1):
        with pytest.raises(ProtocolError):
            Announcement.parse(octets[:length])


NEW_FAR = "198.51.100.201"


@pytest.mark.requirement("S3-30")
def test_a_gateway_follows_the_other_and_calls_it_where_it_went() -> None:
    """Neither knows the other by a name that could be looked up."""
    world = Pair(far_calls=False, west_calls=True)
    with world.shown_if_wrong():
        assert world.joined()
        far = world.far
        assert far.link is not None
        world.network.move(far.link, NEW_FAR, None)
        far.do(far.core.announce(now=world.now))
        world.run(1.0)
        assert world.all_networks_talk()
        (row,) = rows(world.gateway)
        assert row.public[0] == NEW_FAR
        assert world.gateway.told("dynamic.received")[0].fields["peer"] == f"{NEW_FAR}:500"
        far.do(far.core.logout(rows(far)[0].number, now=world.now))
        world.run(1.0)
        assert not rows(world.gateway)
        assert world.joined(within=30.0), "called again, at the new address"
        assert world.all_networks_talk()


@pytest.mark.requirement("S3-30")
@pytest.mark.parametrize("west_calls", [False, True])
def test_a_gateway_that_forgot_all_is_known_at_its_new_address(west_calls: bool) -> None:
    """It was started anew there; main mode alone would not find its key."""
    world = Pair(far_calls=not west_calls, west_calls=west_calls, more="dynamic = true")
    with world.shown_if_wrong():
        assert world.joined()
        far = world.far
        assert far.link is not None
        world.network.move(far.link, NEW_FAR, None)
        far.reboot()
        far.do(far.core.announce(now=world.now))
        far.do(far.core.tick(now=world.now))
        assert world.run_until(
            lambda: any(row.public[0] == NEW_FAR for row in rows(world.gateway)), within=5.0
        )
        assert world.joined(within=5.0)
        assert world.all_networks_talk()
        told = world.gateway.told("dynamic.received")[-1]
        assert told.fields["peer"] == f"{NEW_FAR}:500"


def test_each_of_several_sites_is_known_by_its_own_key_through_the_vaults_door() -> None:
    """The door answers a pair of nonces once."""
    at = BEGAN
    sites = [
        Site(Group(name), peer, (), (), dynamic=True)
        for name, peer in (("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3"))
    ]
    secrets = {site.name: Secret(f"the key of site {site.name}") for site in sites}
    keys = GroupKeys(secrets, SeededRandom(1), by_address={site.peer: site.name for site in sites})
    here, there = socket.socketpair()
    serving = KeysDoor(keys.skeyid, lambda: 0.0).serve(there)
    with here:
        ours = Dynamic(sites, RemoteKeys(Line(here), SeededRandom(2)), SeededRandom(3))
        for site in sites:
            theirs = Dynamic([site], keys, SeededRandom(int(site.peer[-1])))
            said = theirs.announcement(site, at)
            heard = ours.heard(said, at)
            assert heard is not None
            assert heard[0].name == site.name
            assert ours.heard(said, at) is None, "an echo"
            late = at + timedelta(seconds=301)
            assert ours.heard(theirs.announcement(site, late), at) is None
    serving.join(5)


def test_without_the_key_or_late_or_twice_nobody_is_believed() -> None:
    world = Pair(more="dynamic = true")
    with world.shown_if_wrong():
        assert world.joined()
        gateway = world.gateway
        announced = [octets for _, octets, _ in world.far.sent if is_one(octets)]
        assert announced, "before it called"
        elsewhere = Path((GATEWAY, 500), ("203.0.113.66", 500))
        before = len(gateway.told("dynamic.received"))
        for octets in (announced[0], announced[0][:-1] + bytes((announced[0][-1] ^ 1,))):
            gateway.do(gateway.core.receive(octets, elsewhere, now=world.now))
        assert len(gateway.told("dynamic.received")) == before
        gateway.reboot()
        world.run(400.0)
        before = len(gateway.told("dynamic.refused"))
        gateway.do(gateway.core.receive(announced[0], elsewhere, now=world.now))
        assert len(gateway.told("dynamic.refused")) == before + 1
        for length in range(len(announced[0])):
            gateway.do(gateway.core.receive(announced[0][:length], elsewhere, now=world.now))
        assert len(gateway.told("dynamic.received")) <= before + 3


@pytest.mark.requirement("S3-30")
def test_one_that_is_back_where_it_was_is_found_there() -> None:
    world = Pair(far_calls=False, west_calls=True)
    with world.shown_if_wrong():
        assert world.joined()
        far = world.far
        assert far.link is not None
        world.network.move(far.link, NEW_FAR, None)
        far.do(far.core.announce(now=world.now))
        world.run(5.0)
        assert world.all_networks_talk()
        world.network.move(far.link, FAR, None)
        far.reboot()  # and says nothing
        assert world.joined(within=900.0)
        assert world.all_networks_talk()
