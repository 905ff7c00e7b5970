"""Rules (ip-rule(8)) and the routes of our own tables that they lead to.

Both are marked with our protocol number, so that an undo removes what we made and nothing else.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from culvert.changes.change import RuleAdded, TableRoute
from culvert.netio.netlink import KernelRefused, code_of, kernel
from culvert.netio.route import PROTOCOL

_GONE = {errno.ESRCH, errno.ENODEV, errno.ENOENT, errno.ENXIO}


def add(change: RuleAdded) -> bool:
    with kernel(f"rule {change.priority} to table {change.table}") as k:
        try:
            k.rule("add", **_rule(change))
        except KernelRefused as error:
            if code_of(error) != errno.EEXIST:
                raise
            return False
    return True


def undo_add(change: RuleAdded) -> str:
    with kernel(f"rule {change.priority} to table {change.table}") as k:
        try:
            k.rule("del", **_rule(change))
        except KernelRefused as error:
            if code_of(error) not in _GONE:
                raise
    return ""


def add_route(change: TableRoute) -> bool:
    with kernel(f"route to {change.destination} in table {change.table}") as k:
        try:
            k.route("add", **_route(change))
        except KernelRefused as error:
            if code_of(error) != errno.EEXIST:
                raise
            return False
    return True


def undo_add_route(change: TableRoute) -> str:
    with kernel(f"route to {change.destination} in table {change.table}") as k:
        try:
            k.route("del", **_route(change))
        except KernelRefused as error:
            if code_of(error) not in _GONE:
                raise
    return ""


def _family(version: int) -> int:
    return socket.AF_INET6 if version == 6 else socket.AF_INET


def _rule(change: RuleAdded) -> dict[str, object]:
    values: dict[str, object] = {
        "family": _family(change.version),
        "priority": change.priority,
        "table": change.table,
        "protocol": PROTOCOL,
    }
    if change.destination:
        network = ipaddress.ip_network(change.destination)
        values |= {"dst": str(network.network_address), "dst_len": network.prefixlen}
    if change.carries:
        values["ip_proto"] = change.carries
    if change.port:
        values["dport_range"] = f"{change.port}:{change.port}"
    if change.source_port:
        values["sport_range"] = f"{change.source_port}:{change.source_port}"
    return values


def _route(change: TableRoute) -> dict[str, object]:
    values: dict[str, object] = {
        "family": _family(ipaddress.ip_network(change.destination).version),
        "dst": change.destination,
        "type": change.how,
        "priority": change.metric,
        "proto": PROTOCOL,
        "table": change.table,
    }
    if change.index:
        values["oif"] = change.index
    if change.source:
        values["prefsrc"] = change.source
    return values
