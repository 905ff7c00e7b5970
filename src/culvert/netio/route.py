"""Routes of the main table, ours marked with a protocol number, and the way packets go now."""

from __future__ import annotations

import errno
import ipaddress
import socket

from culvert.changes.change import RouteAdded
from culvert.changes.plan import NextHop, SeenRoute
from culvert.netio.netlink import Kernel, KernelRefused, Message, code_of, kernel

PROTOCOL = 97
"""rtm_protocol of our routes: free in rtnetlink.h and /etc/iproute2/rt_protos. It lets an undo
delete exactly what we made, never a route of the same shape that someone else added."""

MAIN_TABLE = 254

ONLINK = 4  # RTNH_F_ONLINK: the kernel itself named this next hop, even if no prefix covers it

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES}
_NOT_THERE = {errno.ESRCH, errno.ENODEV, errno.ENOENT, errno.ENXIO}


def next_hops(addresses: tuple[str, ...]) -> dict[str, NextHop | None]:
    """Where packets for each address go now; None where they can not."""
    with kernel("reading the routes") as k:
        return {address: _next_hop(k, address) for address in addresses}


def see_routes() -> tuple[SeenRoute, ...]:
    """The main tables of both families, single next hops only (the others cannot be ours)."""
    with kernel("reading the routes") as k:
        return tuple(
            seen
            for family in (socket.AF_INET, socket.AF_INET6)
            for message in k.get_routes(family=family, table=MAIN_TABLE)
            if (seen := _seen(message)) is not None
        )


def add(change: RouteAdded) -> bool:
    with kernel(f"route to {change.destination} on {change.interface}") as k:
        try:
            k.route("add", **_route(change))
        except KernelRefused as error:
            if code_of(error) != errno.EEXIST:
                raise
            return _is_ours(k, change)
    return True


def point(change: RouteAdded) -> None:
    """As `add`, in place of the route that led elsewhere, if there is one."""
    with kernel(f"route to {change.destination} on {change.interface}") as k:
        k.route("replace", **_route(change))


def undo_add(change: RouteAdded) -> str:
    with kernel(f"route to {change.destination} on {change.interface}") as k:
        try:
            k.route("del", **_route(change))
        except KernelRefused as error:
            if code_of(error) not in _NOT_THERE:
                raise
    return ""


def _next_hop(k: Kernel, address: str) -> NextHop | None:
    try:
        messages = k.route("get", dst=address)
    except KernelRefused as error:
        if code_of(error) in _UNREACHABLE:
            return None
        raise
    for message in messages:
        index = message.get_attr("RTA_OIF")
        if isinstance(index, int):
            return NextHop(socket.if_indextoname(index), index, _via(message))
    return None


def _is_ours(k: Kernel, change: RouteAdded) -> bool:
    """The one that stands in the way is the very route, made for another connection of ours."""
    family = _family(change.destination)
    wanted = SeenRoute(change.destination, change.index, change.via, change.metric, ours=True)
    return any(
        _seen(message) == wanted for message in k.get_routes(family=family, table=MAIN_TABLE)
    )


def _seen(message: Message) -> SeenRoute | None:
    index = message.get_attr("RTA_OIF")
    if not isinstance(index, int):
        return None
    everything = "::" if message["family"] == socket.AF_INET6 else "0.0.0.0"  # noqa: S104
    destination = f"{message.get_attr('RTA_DST') or everything}/{message['dst_len']}"
    metric = message.get_attr("RTA_PRIORITY")
    return SeenRoute(
        destination,
        index,
        _via(message),
        metric if isinstance(metric, int) else 0,
        ours=message["proto"] == PROTOCOL,
    )


def _via(message: Message) -> str:
    via = message.get_attr("RTA_GATEWAY")
    return via if isinstance(via, str) else ""


def _route(change: RouteAdded) -> dict[str, object]:
    values: dict[str, object] = {
        "family": _family(change.destination),
        "dst": change.destination,
        "oif": change.index,
        "priority": change.metric,
        "proto": PROTOCOL,
        "table": MAIN_TABLE,
    }
    if change.via:
        values |= {"gateway": change.via, "flags": ONLINK}
    return values


def _family(destination: str) -> int:
    version = ipaddress.ip_network(destination).version
    return socket.AF_INET6 if version == 6 else socket.AF_INET
