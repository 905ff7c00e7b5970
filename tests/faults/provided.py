"""What a gateway is to provide and does not: addresses by DHCP, names, answers that make sense."""

from __future__ import annotations

from collections import Counter
from typing import Any

from culvert.inet import dhcp
from faults.on_the_way import back_after, up
from faults.provoked import Provoked, over, provokes
from simulation import broken
from simulation.ends import ClientEnd
from simulation.sonicwall import LEASE_SECONDS, SonicWall, SonicWorld
from simulation.world import Terms, World

SEED = 4
GIVEN_UP = 60.0
ABSENT = "192.168.2.99"
KINDS = {
    dhcp.DISCOVER: "questions for a server",
    dhcp.ASK: "requests for an address",
    dhcp.RELEASE: "addresses given back",
}


def without_lease(world: SonicWorld, client: ClientEnd, *, within: float) -> Provoked:
    if not world.run_until(lambda: client.down, within=within):
        raise AssertionError(f"still {client.core.state}")
    world.run(GIVEN_UP)
    came = Counter(KINDS[kind] for kind in world.wall.asked)
    sent = {"DHCP messages the client sent": len(client.inquiries)}
    return over(world, client, **sent, **{f"{kind} that came": n for kind, n in came.items()})


def asked_in_vain(world: SonicWorld) -> Provoked:
    client = world.leasing()
    client.connect()
    return without_lease(world, client, within=120.0)


@provokes("dhcp-no-server")
def dhcp_no_server() -> Provoked:
    world = SonicWorld(SEED)
    world.wall.serves = False
    return asked_in_vain(world)


class Mute(SonicWall):
    """Its answers do not get into the tunnel."""

    def carry(self, packet: bytes) -> None:
        pass


@provokes("dhcp-no-answer")
def dhcp_no_answer() -> Provoked:
    world = SonicWorld(SEED, wall=Mute)
    return asked_in_vain(world)


@provokes("dhcp-refused")
def dhcp_refused() -> Provoked:
    world = SonicWorld(SEED)
    world.wall.refuses = True
    return asked_in_vain(world)


@provokes("dhcp-run-out")
def dhcp_run_out() -> Provoked:
    world = SonicWorld(SEED)
    client = up(world, world.leasing())
    world.wall.serves = False
    return without_lease(world, client, within=2.0 * LEASE_SECONDS)


@provokes("dns-silent")
def dns_silent() -> Provoked:
    """The tunnel works: only names are not found."""
    world = World(SEED, Terms(dns=(ABSENT,), split_include=()))
    client = up(world, world.client(behind=world.nat))
    world.run(GIVEN_UP)
    asked = sum(order.to == (ABSENT, 53) for order in client.inquiries)
    return over(world, client, back_after(world, client), **{"questions about a name": asked})


@provokes("senseless-answer")
def senseless_answer() -> Provoked:
    world = World(SEED)
    client = world.client(behind=world.nat)
    broken.answers(world, client, broken.CUT_SHORT)
    if not world.run_until(lambda: client.down, within=GIVEN_UP):
        raise AssertionError(f"still {client.core.state}")
    world.run(GIVEN_UP)
    said: list[Any] = client.told("quick.refused")
    return over(world, client, **{"answers that were refused": len(said)})
