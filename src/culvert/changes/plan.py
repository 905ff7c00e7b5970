"""What must change so that a tunnel carries what it should: pure, from what is wished and seen.

Order of a plan: device, address, the way to the gateway past the tunnel, exceptions, networks
through the tunnel. Name servers come last and are planned by their own back end.

A default route is never replaced. "Everything" is two routes, one per half of the address space:
they win over any default by being longer, whatever its metric, and the old default stays where
DHCP clients and network managers expect it (docs/decisions/0027).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from culvert.changes.change import AddressAdded, Change, LinkSet, RouteAdded, SysctlSet
from culvert.changes.closed import leases, opening, to_the_peer
from culvert.effects import TunnelSettings
from culvert.errors import MisuseError, PlatformError

METRIC = {4: 0, 6: 1}
"""The strongest metric of each family (IPv6 reads 0 as "the usual 1024")."""

LOOPBACK = "lo"
"""An address of this machine itself is found before any route is asked."""

FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Device:
    """The tunnel's interface as it is."""

    interface: str
    index: int
    mtu: int
    up: bool


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where packets for an address go now; ``via`` is empty when the address is a neighbour."""

    interface: str
    index: int
    via: str = ""


@dataclass(frozen=True, slots=True)
class SeenRoute:
    """A route of the main table. ``ours``: with our protocol number."""

    destination: str
    index: int
    via: str
    metric: int
    ours: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine before the tunnel is there. A hop is None where no packet could go."""

    device: Device
    hops: Mapping[str, NextHop | None]
    routes: tuple[SeenRoute, ...]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServedNetwork:
    """What a gateway's machine must look like while it serves.

    ``pools`` are reached through the tunnel device; ``forward`` asks for the kernel's switch that
    lets packets pass between interfaces, where it is off. ``address`` may be empty. ``peers`` end
    tunnels; one that is a pool itself is reached through its own.
    """

    name: str
    mtu: int
    pools: tuple[str, ...]
    address: str = ""
    prefix_length: int = 0
    forward: bool = True
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def plan_client(settings: TunnelSettings, seen: Surroundings) -> Plan:
    """Raises `PlatformError` when the gateway itself cannot be reached past the tunnel."""
    notes: list[str] = []
    gateway = _network(settings.gateway)
    wished = [network for network in _networks(settings.routes) if network != gateway]
    inside = list(wished)
    changes: list[Change] = [_link(seen.device, settings.mtu)]
    if settings.address:
        inside.append(_network(f"{settings.address}/{settings.prefix_length}"))
        changes.append(_address(seen.device, settings.address, settings.prefix_length))
    if settings.forward and seen.settings.get(FORWARDING[4]) == "0":
        changes.append(SysctlSet(FORWARDING[4], "0", "1"))
    device = seen.device
    if settings.leased:
        changes += leases(settings.gateway, device.interface, device.index, settings.leased)
    source = settings.own or settings.address
    if settings.closed:
        open_to = map(str, _outside(settings, seen, notes))
        way = opening(settings.gateway, device.interface, device.index, source, open_to)
        return Plan((*changes, *way), tuple(notes))
    if gateway in _networks(settings.routes):
        changes += to_the_peer(settings.gateway, device.interface, device.index, source)
    else:
        changes += _past_the_tunnel(settings.gateway, inside, seen)
    outside = _outside(settings, seen, notes)
    for excluded in outside:
        changes += _exception(excluded, inside, seen, notes)
    for network in (*wished, *_locals_inside(wished, outside, seen)):
        changes += _through_the_tunnel(network, seen, notes)
    notes += _servers_outside(settings.dns_servers, inside)
    return Plan(tuple(changes), tuple(notes))


def _outside(settings: TunnelSettings, seen: Surroundings, notes: list[str]) -> list[Network]:
    """What may be reached beside the tunnel: networks named, and those this machine is in. What
    the gateway names as its own never is (S4-22)."""
    found = _networks(settings.excluded)
    if settings.local_lan:
        local = _local_networks(seen)
        if not local:
            notes.append("this machine is in no local network that could stay reachable")
        found += local
    kept = _networks(settings.kept)
    outside: list[Network] = []
    for network in dict.fromkeys(found):
        if any(network.version == own.version and network.overlaps(own) for own in kept):
            notes.append(f"{network} is here and behind the gateway too; the tunnel has it")
        else:
            outside.append(network)
    return outside


def _local_networks(seen: Surroundings) -> list[Network]:
    """Those this machine is in."""
    found = [
        _network(route.destination)
        for route in seen.routes
        if not route.via and not route.ours and route.index != seen.device.index
    ]
    return [network for network in found if network.prefixlen]


def _locals_inside(
    wished: Iterable[Network], outside: Iterable[Network], seen: Surroundings
) -> list[Network]:
    """Networks of this machine that a tunnel for everything takes too: their own routes would win
    by being longer. Single addresses are those of neighbours on a line, never a network."""
    everything = {network.version for network in wished if not network.prefixlen}
    return [
        network
        for network in dict.fromkeys(_local_networks(seen))
        if network.version in everything
        and network.prefixlen < network.max_prefixlen
        and not network.is_link_local
        and not any(_covers(kept, network) for kept in outside)
    ]


def plan_gateway(served: ServedNetwork, seen: Surroundings) -> Plan:
    notes: list[str] = []
    pools = _networks(served.pools)
    changes: list[Change] = [_link(seen.device, served.mtu)]
    if served.address:
        changes.append(_address(seen.device, served.address, served.prefix_length))
        own = _network(f"{served.address}/{served.prefix_length}")
        pools = [pool for pool in pools if pool != own]  # the address brings that route
    peers = {_network(peer) for peer in served.peers}
    for pool in pools:
        if pool in peers:
            host = str(pool.network_address)
            changes += to_the_peer(host, seen.device.interface, seen.device.index)
        else:
            changes += _through_the_tunnel(pool, seen, notes)
    if served.forward:
        keys = {FORWARDING[pool.version]: None for pool in _networks(served.pools)}
        before = ((key, seen.settings.get(key, "1")) for key in keys)
        changes += [SysctlSet(key, value, "1") for key, value in before if value == "0"]
    return Plan(tuple(changes), tuple(notes))


def destinations(settings: TunnelSettings) -> tuple[str, ...]:
    """Addresses whose next hop a plan wants to know: the gateway's and one of each exception."""
    firsts = (str(network.network_address) for network in _networks(settings.excluded))
    return (settings.gateway, *firsts)


def _link(device: Device, mtu: int) -> LinkSet:
    return LinkSet(device.interface, device.index, mtu, device.mtu, device.up)


def _address(device: Device, address: str, prefix_length: int) -> AddressAdded:
    return AddressAdded(device.interface, device.index, address, prefix_length)


def _past_the_tunnel(
    gateway: str, inside: Iterable[Network], seen: Surroundings
) -> Iterator[RouteAdded]:
    """A host route to the gateway by today's next hop, when the tunnel would swallow it."""
    host = _network(gateway)
    if not any(_covers(network, host) for network in inside):
        return
    hop = seen.hops.get(gateway)
    if hop is None:
        raise PlatformError(
            f"no route to the gateway {gateway}",
            action="check the connection to the Internet",
        )
    route = _route(host, hop)
    if hop.interface != LOOPBACK and not _held_by_another(route, seen):
        yield route


def _exception(
    excluded: Network, inside: Iterable[Network], seen: Surroundings, notes: list[str]
) -> Iterator[RouteAdded]:
    if not any(_covers(network, excluded) for network in inside):
        return
    hop = seen.hops.get(str(excluded.network_address))
    if hop is None:
        notes.append(f"{excluded} is to stay outside the tunnel, but there is no route to it")
        return
    route = _route(excluded, hop)
    if not _held_by_another(route, seen):
        yield route


def _through_the_tunnel(
    network: Network, seen: Surroundings, notes: list[str]
) -> Iterator[RouteAdded]:
    """One route, or two halves where another already has the same destination.

    What the tunnel is to carry must not leave in clear text, so a local network of the same
    numbers loses. Only a single address cannot be halved.
    """
    route = _route(network, NextHop(seen.device.interface, seen.device.index))
    if network.prefixlen and not _held_by_another(route, seen):
        yield route
        return
    if network.prefixlen == network.max_prefixlen:
        notes.append(f"{network} has a route already; it does not go through the tunnel")
        return
    if network.prefixlen:
        notes.append(f"{network} is in use here too; now the tunnel has it")
    for half in network.subnets():
        yield from _through_the_tunnel(half, seen, notes)


def _held_by_another(route: RouteAdded, seen: Surroundings) -> bool:
    """Whether a route of ours would clash with, or hide behind, what stands in the table."""
    return any(
        held.destination == route.destination
        and held.metric <= route.metric
        and not (held.ours and held.index == route.index and held.via == route.via)
        for held in seen.routes
    )


def _route(network: Network, hop: NextHop) -> RouteAdded:
    metric = METRIC[network.version]
    return RouteAdded(str(network), hop.interface, hop.index, hop.via, metric)


def _servers_outside(servers: Iterable[str], inside: Iterable[Network]) -> Iterator[str]:
    for server in servers:
        if ipaddress.ip_address(server).is_loopback:
            continue  # our own, which passes questions on
        if not any(_covers(network, _network(server)) for network in inside):
            yield f"the name server {server} lies outside the tunnel's networks"


def _covers(network: Network, part: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(part, ipaddress.IPv4Network) and part.subnet_of(network)
    return isinstance(part, ipaddress.IPv6Network) and part.subnet_of(network)


def _networks(texts: Iterable[str]) -> list[Network]:
    """Each once, in the order given."""
    return list(dict.fromkeys(_network(text) for text in texts))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise MisuseError(f"{text!r} is neither an address nor a prefix") from error
