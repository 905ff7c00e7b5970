"""Faults of the network and of the gateway's machine, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import OCTETS
from culvert.ike.wire.message import parse_header
from faults.provoked import Provoked, over, provokes, say
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import NATT_PORT, ClientEnd, End
from simulation.journal import Seen
from simulation.nat import Depends
from simulation.network import NO_PORT, PERFECT, Faults
from simulation.world import GATEWAY, GROUP, SERVER, USERS, Terms, World, packet, profile

SEED = 4
STEP = 0.1
LOSSY = Faults(loss=0.3)
SHAKY = Faults(jitter=0.2)
MOVED_TO = "172.16.172.99"
MINUTES = 60.0
FORGOTTEN = 300.0
"""Seconds after which a gateway has noticed that a session is nobody's any more."""
HOURS = 4 * 3600.0
AWAY = 10.0
"""Seconds that a router or a gateway needs to start again."""


def up(world: World, client: ClientEnd) -> ClientEnd:
    client.connect()
    if not world.decided(client) or not client.up:
        raise AssertionError(f"not up: {client.reason}")
    return client


def talks(world: World, client: ClientEnd, seconds: float, *, every: float = STEP) -> None:
    """Both ends send something all the time."""
    until, number = world.now + seconds, 0
    while world.now < until:
        number += 1
        if client.machine is not None and client.address:
            client.carry(packet(client.address, SERVER, number))
            world.gateway.carry(packet(SERVER, client.address, number))
        world.run(every)


def back_after(world: World, client: ClientEnd, *, within: float = 120.0) -> float:
    """Seconds until a packet that was sent from now on has come through in each direction."""
    began, number = world.now, 0x10000
    there, back = len(world.gateway.inside), len(client.inside)
    while world.now < began + within:
        number += 1
        address = client.address or "40.1.1.1"
        client.carry(packet(address, SERVER, number))
        world.gateway.carry(packet(SERVER, address, number))
        world.run(STEP)
        if len(world.gateway.inside) > there and len(client.inside) > back:
            return round(world.now - began, 1)
    raise AssertionError(f"nothing passes {within} s later: {client.reason or client.core.state}")


def counted(world: World, client: ClientEnd) -> dict[str, int]:
    """What both ends can count of it."""
    return {
        "messages the client sent again": len(client.told("ike.retransmit")),
        "messages the gateway sent again": len(world.gateway.told("ike.retransmit")),
        "packets that came to the client": len(client.inside),
        "packets that came to the gateway": len(world.gateway.inside),
        "logins": len(client.told("xauth.accepted")),
    }


@provokes("loss")
def loss() -> Provoked:
    """For hours, so that keys are renewed over this line again and again."""
    world = World(SEED, Terms(phase2_lifetime=600))
    client = up(world, world.client(behind=world.nat, faults=LOSSY))
    talks(world, client, HOURS, every=5.0)
    return over(world, client, back_after(world, client), **counted(world, client))


@provokes("jitter")
def jitter() -> Provoked:
    world = World(SEED)
    client = up(world, world.client(behind=world.nat, faults=SHAKY))
    talks(world, client, MINUTES, every=0.01)
    return over(
        world,
        client,
        back_after(world, client),
        **counted(world, client),
        **{"packets dropped as replayed": _dropped(client) + _dropped(world.gateway)},
    )


def _dropped(end: End) -> int:
    return sum(sum(one.dropped_in.values()) for one in _counters(end))


def _counters(end: End) -> list[Any]:
    plane: Any = end.plane
    return [end.plane.traffic(session) for session in plane._sessions]


@provokes("pat-reboot")
def pat_reboot() -> Provoked:
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    talks(world, client, 5.0)
    world.nat.flush()
    took = back_after(world, client)
    talks(world, client, 5.0)
    moved = len(world.gateway.told("ike.peer-moved"))
    return over(world, client, took, **counted(world, client), **{"times the peer moved": moved})


def reconnecting(world: World, **changes: Any) -> ClientEnd:
    return up(world, world.client(profile(reconnect=3600, **changes), behind=world.nat))


@provokes("gateway-restart")
def gateway_restart() -> Provoked:
    world = World(SEED)
    client = reconnecting(world)
    talks(world, client, 5.0)
    gateway = world.gateway
    gateway.do(gateway.core.shutdown(now=world.now))
    say(gateway, "gateway.stopping", reason="SIGTERM")
    world.run(1.0)
    gateway.unplug()
    world.run(AWAY)
    return _again(world, client)


@provokes("gateway-replaced")
def gateway_replaced() -> Provoked:
    """What the new process writes; that it goes on is proved in interop/test_restarting.py."""
    world = World(SEED)
    client = reconnecting(world)
    talks(world, client, 5.0)
    say(world.gateway, "gateway.restarted", version="0", sessions=1, seconds="0.004")
    say(world.gateway, "gateway.started", version="0", listen=(f"{GATEWAY}:500",), engine="python")
    took = back_after(world, client)
    return over(world, client, took, **counted(world, client))


@provokes("gateway-killed")
def gateway_killed() -> Provoked:
    world = World(SEED)
    client = reconnecting(world)
    talks(world, client, 5.0)
    world.gateway.unplug()
    talks(world, client, AWAY)
    return _again(world, client)


def _again(world: World, client: ClientEnd) -> Provoked:
    """The gateway answers again, without any memory."""
    gateway = world.gateway
    gateway.reboot()
    gateway.plug()
    say(gateway, "gateway.started", version="0", listen=(f"{GATEWAY}:500",), engine="python")
    took = back_after(world, client)
    talks(world, client, 5.0)
    return over(world, client, took, **counted(world, client))


@provokes("gateway-announced")
def gateway_announced() -> Provoked:
    """Who is in the public network can be told."""
    world = World(SEED)
    client = world.client(profile(reconnect=3600))
    up(world, client)
    talks(world, client, 5.0)
    link = world.gateway.link
    if link is None:
        raise AssertionError("the gateway is joined to no network")
    world.network.move(link, MOVED_TO, None)
    world.gateway.do(world.gateway.core.announce(now=world.now))
    return over(world, client, back_after(world, client), **counted(world, client))


@provokes("gateway-moved")
def gateway_moved() -> Provoked:
    """Its name has another address from now on, as with a dynamic address."""
    world = World(SEED)
    world.nat.preserves, world.nat.mapping = False, Depends.ADDRESS_AND_PORT
    client = reconnecting(world, dpd_delay=10, dpd_timeout=60)
    talks(world, client, 5.0)
    link = world.gateway.link
    if link is None:
        raise AssertionError("the gateway is joined to no network")
    world.network.move(link, MOVED_TO, None)
    client._gateway = MOVED_TO
    took = back_after(world, client)
    talks(world, client, FORGOTTEN, every=1.0)
    return over(world, client, took, **counted(world, client))


def _blocked_4500(terms: Terms | None = None, **changes: Any) -> Provoked:
    world = World(SEED, terms)
    client = world.client(profile(**changes), behind=world.nat)
    drop(client, lambda seen: NATT_PORT in (seen.source[1], seen.to[1]))
    client.connect()
    world.decided(client)
    world.run(MINUTES)
    lost = sum(seen.fate == "x" for seen in world.network.seen)
    return over(world, client, **{"datagrams lost at port 4500": lost}, **counted(world, client))


@provokes("blocked-4500")
def blocked_4500() -> Provoked:
    return _blocked_4500()


@provokes("blocked-4500-main")
def blocked_4500_main() -> Provoked:
    return _blocked_4500(Terms(main_mode=True), exchange_mode="main")


@provokes("blocked-esp")
def blocked_esp() -> Provoked:
    """There is no address translation, so ESP is not in UDP, and something drops it."""
    world = World(SEED)
    client = world.client()
    drop(client, lambda seen: NO_PORT in (seen.source[1], seen.to[1]))
    up(world, client)
    talks(world, client, MINUTES, every=1.0)
    return over(world, client, **_packets(world, client))


def _searching(drops: Callable[[Seen], bool], *, natted: bool = True, tcp: bool = True) -> Provoked:
    """The client may go by any way, and finds the one that passes by itself."""
    world = World(SEED, Terms(over_udp=True))
    allowed = {"transport": "auto", "ipsec_over_udp": True, "ipsec_over_tcp": True}
    kept = profile(**allowed, peer_timeout=30)
    client = world.client(kept, behind=world.nat if natted else None)
    client.streams_to = world.gateway if tcp else None
    drop(client, drops)
    client.connect()
    world.decided(client)
    return _searched(world, client)


def _searched(world: World, client: ClientEnd) -> Provoked:
    talks(world, client, MINUTES, every=1.0)
    blocked = client.told("client.way-blocked")
    counts = {
        "ways that are blocked": len(blocked),
        "sent there": sum(int(str(event.fields["out"])) for event in blocked),
        "came from there": sum(int(str(event.fields["came"])) for event in blocked),
    }
    back = back_after(world, client) if client.up else None
    return over(world, client, back, **counts)


@provokes("blocked-4500-searched")
def blocked_4500_searched() -> Provoked:
    return _searching(lambda seen: NATT_PORT in (seen.source[1], seen.to[1]))


@provokes("blocked-esp-searched")
def blocked_esp_searched() -> Provoked:
    return _searching(lambda seen: NO_PORT in (seen.source[1], seen.to[1]), natted=False)


@provokes("blocked-udp-searched")
def blocked_udp_searched() -> Provoked:
    return _searching(lambda _: True)


@provokes("blocked-all-searched")
def blocked_all_searched() -> Provoked:
    return _searching(lambda _: True, tcp=False)


@provokes("blocked-all")
def blocked_all() -> Provoked:
    """IPsec over TCP comes first, and UDP after it; there is nothing to search."""
    world = World(SEED)
    client = world.client(profile(ipsec_over_tcp=True, peer_timeout=30), behind=world.nat)
    drop(client, lambda _: True)
    client.connect()
    world.decided(client)
    return over(world, client, **{"TCP streams that failed": len(client.told("client.tcp-failed"))})


@provokes("natt-off")
def natt_off() -> Provoked:
    """Bare ESP behind an address translator that cannot pass it."""
    world = World(SEED)
    client = up(world, world.client(profile(nat_traversal="off"), behind=world.nat))
    talks(world, client, MINUTES, every=1.0)
    return over(world, client, **_packets(world, client))


def _packets(world: World, client: ClientEnd) -> dict[str, int]:
    """By the counters that both ends show."""
    shown = client.core.snapshot
    row = next(row for row in world.gateway.table if row.assigned == client.address)
    return {
        "packets the client sent": int(str(shown["packets_out"])),
        "packets the gateway got": row.counters.packets_in,
        "packets the gateway sent": row.counters.packets_out,
        "packets the client got": int(str(shown["packets_in"])),
    }


RSA = Terms(authentication=("rsa",), aggressive_certificates=True, main_mode=True)


def _certified(terms: Terms, faults: Faults = PERFECT, **changes: Any) -> tuple[World, ClientEnd]:
    """Certificates make messages longer than the path."""
    world = World(SEED, terms, vault=gateway_vault(GATEWAY))
    client = world.client(
        profile(authentication="rsa", exchange_mode="main", **changes),
        vault=person_vault(USERS[0], GROUP),
        faults=faults,
    )
    return world, client


def _of_pieces(world: World, client: ClientEnd) -> dict[str, int]:
    events = [*client.told("ike.fragmented"), *world.gateway.told("ike.fragmented")]
    return {
        "IKE fragments sent": sum(int(str(event.fields["pieces"])) for event in events),
        "messages longer than a packet": len(client.told("ike.unfragmented")),
        "datagrams lost": sum(seen.fate == "x" for seen in world.network.seen),
    }


@provokes("fragments-dropped")
def fragments_dropped() -> Provoked:
    world, client = _certified(RSA, Faults(black_hole=True))
    up(world, client)
    talks(world, client, 5.0)
    return over(world, client, back_after(world, client), **_of_pieces(world, client))


@provokes("fragments-dropped-whole")
def fragments_dropped_whole() -> Provoked:
    world, client = _certified(replace(RSA, ike_fragmentation=False), Faults(black_hole=True))
    client.connect()
    world.decided(client)
    world.run(MINUTES)
    return over(world, client, **_of_pieces(world, client))


@provokes("fragments-dropped-searched")
def fragments_dropped_searched() -> Provoked:
    every = {"transport": "auto", "ipsec_over_tcp": True, "ike_fragmentation": False}
    world, client = _certified(RSA, Faults(mtu=1280, black_hole=True), **every)
    client.streams_to = world.gateway
    client.connect()
    world.decided(client)
    return _searched(world, client)


@provokes("fragments-pieces")
def fragments_pieces() -> Provoked:
    world, client = _certified(RSA)
    drop(client, _is_second_piece)
    client.connect()
    world.decided(client)
    world.run(MINUTES)
    return over(world, client, **_of_pieces(world, client))


def _is_second_piece(seen: Seen) -> bool:
    if len(seen.message) < OCTETS:
        return False
    header = parse_header(seen.message)
    return header.next_payload == FRAGMENT and Fragment.parse(seen.message, header).number == 2


@provokes("no-route-back")
def no_route_back() -> Provoked:
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    for number in range(60):
        client.carry(packet(client.address, SERVER, number))
        world.run(1.0)
    return over(world, client, **_packets(world, client))


@provokes("two-behind-pass-through")
def two_behind_pass_through() -> Provoked:
    world = World(SEED)
    world.nat.pass_through = True
    kept = profile(nat_traversal="off")
    first, second = (up(world, world.client(kept, behind=world.nat)) for _ in range(2))
    talks(world, first, 5.0, every=1.0)
    talks(world, second, 5.0, every=1.0)
    world.run(MINUTES)
    return over(world, second, **_packets(world, second))


@provokes("gateway-silent")
def gateway_silent() -> Provoked:
    world = World(SEED)
    client = world.client(behind=world.nat)
    world.gateway.unplug()
    client.connect()
    world.decided(client)
    return over(world, client, **{"messages the client sent": len(client.sent)})


def drop(client: ClientEnd, drops: Callable[[Seen], bool]) -> None:
    """From now on, in both directions."""
    if client.link is None:
        raise AssertionError("the client is joined to no network")
    client.link.drops = drops
