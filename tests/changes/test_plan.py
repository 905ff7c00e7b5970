"""The planner: which changes make a tunnel carry what it should, from what the machine is."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.changes.change import AddressAdded, LinkSet, RouteAdded, SysctlSet
from culvert.changes.plan import (
    Device,
    NextHop,
    SeenRoute,
    ServedNetwork,
    Surroundings,
    destinations,
    plan_client,
    plan_gateway,
)
from culvert.effects import TunnelSettings
from culvert.errors import MisuseError, PlatformError

SETTINGS = TunnelSettings(
    connection="work",
    address="10.1.0.5",
    prefix_length=32,
    mtu=1300,
    routes=("10.0.0.0/8",),
    excluded=(),
    dns_servers=(),
    search_domains=(),
    split_domains=(),
    gateway="192.0.2.1",
)
ROUTER = NextHop("eth0", 2, "198.51.100.1")
LAN = SeenRoute("198.51.100.0/24", 2, "", 0, ours=False)
SEEN = Surroundings(
    Device("culvert0", 7, 1500, up=False),
    {"192.0.2.1": ROUTER, "203.0.113.0": ROUTER},
    (LAN, SeenRoute("0.0.0.0/0", 2, "198.51.100.1", 0, ours=False)),
    {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0"},
)


def routes_of(settings: TunnelSettings, seen: Surroundings = SEEN) -> list[RouteAdded]:
    changes = plan_client(settings, seen).changes
    return [change for change in changes if isinstance(change, RouteAdded)]


def test_the_device_comes_first_then_its_address_then_routes() -> None:
    assert plan_client(SETTINGS, SEEN).changes == (
        LinkSet("culvert0", 7, 1300, 1500, False),
        AddressAdded("culvert0", 7, "10.1.0.5", 32),
        RouteAdded("10.0.0.0/8", "culvert0", 7),
    )


def test_everything_is_two_halves_and_the_gateway_keeps_its_way() -> None:
    assert routes_of(replace(SETTINGS, routes=("0.0.0.0/0",))) == [
        RouteAdded("192.0.2.1/32", "eth0", 2, "198.51.100.1"),
        RouteAdded("0.0.0.0/1", "culvert0", 7),
        RouteAdded("128.0.0.0/1", "culvert0", 7),
        RouteAdded("198.51.100.0/25", "culvert0", 7),
        RouteAdded("198.51.100.128/25", "culvert0", 7),
    ]


def test_the_local_network_is_left_out_of_everything_where_that_is_allowed() -> None:
    everything = replace(SETTINGS, routes=("0.0.0.0/0",), local_lan=True)
    inside = [each.destination for each in routes_of(everything) if each.interface == "culvert0"]
    assert inside == ["0.0.0.0/1", "128.0.0.0/1"]
    own = plan_client(replace(everything, kept=("198.51.0.0/16",)), SEEN)
    assert "198.51.100.0/25" in [
        each.destination for each in own.changes if isinstance(each, RouteAdded)
    ]
    assert "here and behind the gateway too" in own.notes[0]


def test_everything_of_ipv6_is_two_halves_with_the_strongest_metric() -> None:
    assert routes_of(replace(SETTINGS, routes=("::/0",))) == [
        RouteAdded("::/1", "culvert0", 7, metric=1),
        RouteAdded("8000::/1", "culvert0", 7, metric=1),
    ]


def test_a_gateway_outside_the_tunnels_networks_needs_no_route() -> None:
    assert not any(route.interface == "eth0" for route in routes_of(SETTINGS))


def test_a_gateway_that_cannot_be_reached_stops_the_plan() -> None:
    seen = replace(SEEN, hops={"192.0.2.1": None})
    with pytest.raises(PlatformError, match="no route to the gateway"):
        plan_client(replace(SETTINGS, routes=("192.0.0.0/8",)), seen)


def test_a_gateway_on_this_machine_needs_no_route() -> None:
    seen = replace(SEEN, hops={"192.0.2.1": NextHop("lo", 1)})
    assert [r.interface for r in routes_of(replace(SETTINGS, routes=("192.0.0.0/8",)), seen)] == [
        "culvert0"
    ]


def test_an_exception_keeps_its_way_only_where_the_tunnel_would_take_it() -> None:
    excluded = replace(SETTINGS, excluded=("203.0.113.0/24",))
    assert RouteAdded("203.0.113.0/24", "eth0", 2, "198.51.100.1") not in routes_of(excluded)
    everything = replace(excluded, routes=("0.0.0.0/0",))
    assert RouteAdded("203.0.113.0/24", "eth0", 2, "198.51.100.1") in routes_of(everything)
    assert destinations(everything) == ("192.0.2.1", "203.0.113.0")


def test_an_exception_nobody_can_reach_is_told() -> None:
    settings = replace(SETTINGS, excluded=("10.5.0.0/16",))
    assert "no route to it" in plan_client(settings, SEEN).notes[0]


def test_a_local_network_of_the_same_numbers_loses_and_is_told() -> None:
    plan = plan_client(replace(SETTINGS, routes=("198.51.100.0/24",)), SEEN)
    found = [c.destination for c in plan.changes if isinstance(c, RouteAdded)]
    assert found == ["198.51.100.0/25", "198.51.100.128/25"]
    assert "in use here too" in plan.notes[0]


def test_a_single_address_with_a_route_of_its_own_is_left_and_told() -> None:
    seen = replace(SEEN, routes=(SeenRoute("10.3.0.1/32", 2, "", 0, ours=False),))
    plan = plan_client(replace(SETTINGS, routes=("10.3.0.1/32",)), seen)
    assert not any(isinstance(change, RouteAdded) for change in plan.changes)
    assert "does not go through the tunnel" in plan.notes[0]


def test_a_weaker_route_of_another_does_not_stand_in_the_way() -> None:
    seen = replace(SEEN, routes=(replace(LAN, destination="10.0.0.0/8", metric=100),))
    assert [route.destination for route in routes_of(SETTINGS, seen)] == ["10.0.0.0/8"]


def test_the_gateways_route_of_our_other_connection_is_shared() -> None:
    held = SeenRoute("192.0.2.1/32", 2, "198.51.100.1", 0, ours=True)
    everything = replace(SETTINGS, routes=("0.0.0.0/0",))
    pinned = RouteAdded("192.0.2.1/32", "eth0", 2, "198.51.100.1")
    assert pinned in routes_of(everything, replace(SEEN, routes=(held,)))
    foreign = replace(held, ours=False)
    assert pinned not in routes_of(everything, replace(SEEN, routes=(foreign,)))


def test_each_network_is_routed_once_whatever_its_host_bits() -> None:
    settings = replace(SETTINGS, routes=("10.2.3.4/16", "10.2.0.0/16"))
    assert [route.destination for route in routes_of(settings)] == ["10.2.0.0/16"]


def test_name_servers_outside_the_tunnel_are_told() -> None:
    settings = replace(SETTINGS, dns_servers=("10.0.0.1", "8.8.8.8"))
    assert plan_client(settings, SEEN).notes == (
        "the name server 8.8.8.8 lies outside the tunnel's networks",
    )


def test_what_is_no_network_is_our_callers_mistake() -> None:
    with pytest.raises(MisuseError, match="neither an address nor a prefix"):
        plan_client(replace(SETTINGS, routes=("10.0.0.0/33",)), SEEN)


prefixes = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: ipaddress.ip_network(pair, strict=False)
)


@given(st.lists(prefixes, max_size=4), st.lists(prefixes, max_size=4))
def test_what_is_wished_is_covered_and_never_collides(
    wished: list[ipaddress.IPv4Network], held: list[ipaddress.IPv4Network]
) -> None:
    seen = replace(SEEN, routes=tuple(SeenRoute(str(n), 2, "", 0, ours=False) for n in held))
    settings = replace(SETTINGS, routes=tuple(map(str, wished)))
    plan = plan_client(settings, seen)
    added = [c for c in plan.changes if isinstance(c, RouteAdded) and c.interface == "culvert0"]
    assert not {route.destination for route in added} & set(map(str, held))
    assert "0.0.0.0/0" not in {route.destination for route in added}
    covered = sum(
        network.num_addresses
        for network in ipaddress.collapse_addresses(
            ipaddress.IPv4Network(route.destination) for route in added
        )
    )
    wished_size = sum(n.num_addresses for n in ipaddress.collapse_addresses(wished))
    assert wished_size - covered <= len(held)  # single addresses that cannot be halved


SERVED = ServedNetwork("gateway", 1400, ("10.99.0.0/24", "2001:db8::/64"), "10.99.0.1", 24)


def test_a_gateway_routes_its_pools_and_turns_forwarding_on_where_it_is_off() -> None:
    assert plan_gateway(SERVED, SEEN).changes == (
        LinkSet("culvert0", 7, 1400, 1500, False),
        AddressAdded("culvert0", 7, "10.99.0.1", 24),
        RouteAdded("2001:db8::/64", "culvert0", 7, metric=1),
        SysctlSet("net/ipv4/ip_forward", "0", "1"),
        SysctlSet("net/ipv6/conf/all/forwarding", "0", "1"),
    )


def test_forwarding_that_is_on_or_not_asked_for_is_not_touched() -> None:
    on = replace(SEEN, settings={"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": ""})
    for plan in (plan_gateway(SERVED, on), plan_gateway(replace(SERVED, forward=False), SEEN)):
        assert not any(isinstance(change, SysctlSet) for change in plan.changes)


def test_a_gateway_without_an_inner_address_routes_all_its_pools() -> None:
    plan = plan_gateway(replace(SERVED, address="", prefix_length=0), SEEN)
    assert [c.destination for c in plan.changes if isinstance(c, RouteAdded)] == [
        "10.99.0.0/24",
        "2001:db8::/64",
    ]
