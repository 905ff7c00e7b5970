"""Connections that were up and end, in virtual time."""

from __future__ import annotations

from typing import Any

from culvert.ike.wire.header import AGGRESSIVE, OCTETS
from culvert.ike.wire.message import parse_header
from faults.on_the_way import drop, talks, up
from faults.provoked import Provoked, over, provokes
from simulation.ends import ClientEnd
from simulation.test_renewal import Nobody
from simulation.world import SERVER, Terms, World, profile

SEED = 4
SETTLING = 120.0


def ends(world: World, client: ClientEnd, *, within: float) -> Provoked:
    began = world.now
    if not world.run_until(lambda: client.down, within=within):
        raise AssertionError(f"still {client.core.state}")
    took = round(world.now - began)
    world.run(SETTLING)
    closed = world.gateway.table.closed
    counters = {
        "seconds until the client's end": took,
        "sessions that the gateway closed": len(closed),
    }
    return over(world, client, **counters)


def of(terms: Terms | None = None, **changes: Any) -> tuple[World, ClientEnd]:
    world = World(SEED, terms)
    client = up(world, world.client(profile(**changes), behind=world.nat))
    talks(world, client, 5.0)
    return world, client


@provokes("lost-peer")
def lost_peer() -> Provoked:
    world, client = of(dpd_delay=10, dpd_timeout=30)
    world.gateway.unplug()
    return ends(world, client, within=200.0)


@provokes("polled-target-dead")
def polled_target_dead() -> Provoked:
    """The gateway is there and answers every question of its own."""
    world = World(SEED)
    world.gateway.pingable = {SERVER}
    client = up(world, world.client(profile(polling=(SERVER,)), behind=world.nat))
    talks(world, client, 5.0)
    world.gateway.pingable.clear()
    return ends(world, client, within=100.0)


@provokes("lost-client")
def lost_client() -> Provoked:
    """The same, seen from the gateway."""
    world, client = of()
    client.unplug()
    return ends(world, client, within=400.0)


@provokes("lifetime-expired")
def lifetime_expired() -> Provoked:
    """Nothing of the negotiation of new keys comes through, everything else does."""
    world, client = of(Terms(phase1_lifetime=400), phase1_lifetime=400)
    drop(client, lambda seen: _is_phase_1(seen.message))
    return ends(world, client, within=500.0)


def _is_phase_1(message: bytes) -> bool:
    return len(message) >= OCTETS and parse_header(message).exchange == AGGRESSIVE


@provokes("renewal-refused")
def renewal_refused() -> Provoked:
    """The account was closed while its owner was connected."""
    world, client = of(Terms(phase1_lifetime=400), phase1_lifetime=400)
    world.gateway.judge = Nobody()
    return ends(world, client, within=500.0)


@provokes("idle-timeout")
def idle_timeout() -> Provoked:
    world, client = of(Terms(idle_timeout=300))
    return ends(world, client, within=700.0)


@provokes("max-connect-time")
def max_connect_time() -> Provoked:
    world, client = of(Terms(max_connect_time=600))
    return ends(world, client, within=700.0)


@provokes("administrator-logout")
def administrator_logout() -> Provoked:
    world, client = of()
    (session,) = world.gateway.table
    gateway = world.gateway
    gateway.do(gateway.core.logout(session.number, now=world.now))
    return ends(world, client, within=10.0)


@provokes("gateway-shutdown")
def gateway_shutdown() -> Provoked:
    world, client = of()
    gateway = world.gateway
    gateway.do(gateway.core.shutdown(now=world.now))
    return ends(world, client, within=10.0)
