"""Rules and a routing table of our own, for what routes in the main table cannot say.

Two things need them (docs/decisions/0100): packets to the gateway itself that belong into the
tunnel, while IKE and ESP to the same address do not; and a machine that is closed, where nothing
passes beside the tunnel even when the tunnel's device has gone with its process.

priority   what it catches                     where it goes
9700       IKE and ESP to the gateway          main table
9700       DHCP with the gateway (leased)      our table: the tunnel
9701       DHCP (closed only)                  main table
9702       the gateway / everything (closed)   our table: the tunnel, else unreachable
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from culvert.changes.change import Change, RuleAdded, TableRoute

MAIN_TABLE = 254
CLOSED_TABLE = 9700
"""One machine is closed for one connection: two could not both carry everything."""
HOST_TABLES = 9800
"""With the number of the device added: each tunnel's own table for the gateway itself."""

LEASE_TABLES = 9900
"""With the number of the device added: each tunnel's own table for its DHCP."""

PAST, LEASES, INTO = 9700, 9701, 9702

UDP, ESP = 17, 50
IKE_PORTS = (500, 4500)
DHCP = {4: 67, 6: 547}
EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
LAST = 0x7FFFFFFF
"""The weakest metric: what is unreachable if nothing else in the table is a way."""


def guard() -> Iterator[Change]:
    """Nothing passes, in either family, but DHCP. Outlives the device and our process."""
    for version in (4, 6):
        yield TableRoute(EVERYTHING[version], CLOSED_TABLE, how="unreachable", metric=LAST)
        yield RuleAdded(LEASES, MAIN_TABLE, version, carries=UDP, port=DHCP[version])
        yield RuleAdded(INTO, CLOSED_TABLE, version)


def opening(
    gateway: str, interface: str, index: int, source: str, outside: Iterable[str]
) -> Iterator[Change]:
    """What passes all the same: the tunnel, what carries it, and networks allowed ``outside``."""
    yield from _past(gateway)
    for network in outside:
        yield TableRoute(network, CLOSED_TABLE, how="throw")
    yield TableRoute(EVERYTHING[4], CLOSED_TABLE, interface, index, source=source)


def to_the_peer(peer: str, interface: str, index: int, source: str = "") -> Iterator[Change]:
    """Packets to the far end itself go through the tunnel that ends there."""
    yield from _past(peer)
    table = HOST_TABLES + index
    yield TableRoute(f"{peer}/32", table, interface, index, source=source)
    yield RuleAdded(INTO, table, 4, f"{peer}/32")


def leases(gateway: str, interface: str, index: int, source: str) -> Iterator[Change]:
    """DHCP with the gateway goes through the tunnel (RFC 3456), and nothing else to it does."""
    table = LEASE_TABLES + index
    host = f"{gateway}/32"
    yield TableRoute(host, table, interface, index, source=source)
    yield RuleAdded(PAST, table, 4, host, carries=UDP, port=DHCP[4])


def _past(gateway: str) -> Iterator[Change]:
    version = ipaddress.ip_address(gateway).version
    host = str(ipaddress.ip_network(gateway))
    for port in IKE_PORTS:
        yield RuleAdded(PAST, MAIN_TABLE, version, host, UDP, port)
        # A NAT in front of the far end shows any port; then ours tells.
        yield RuleAdded(PAST, MAIN_TABLE, version, host, UDP, source_port=port)
    yield RuleAdded(PAST, MAIN_TABLE, version, host, ESP)
