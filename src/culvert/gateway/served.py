"""What a gateway's machine must look like for a worker: its interface and the routes to it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address, summarize_address_range

from culvert.changes.plan import ServedNetwork
from culvert.datapath.fragmentation import Policy
from culvert.datapath.mtu import ETHERNET
from culvert.datapath.transport import UNCUT
from culvert.gateway.config import RestartSettings
from culvert.ike.selector import Network
from culvert.policy.pool import PoolPlan, dealt

PAIR = 2
"""Networks of so many addresses hand out both of them (RFC 3021)."""

SCOPE = "gateway"
"""The name under which the undo log keeps what a gateway changed."""


def served(restart: RestartSettings, worker: int) -> ServedNetwork:
    """Of several workers each has the routes to its part of the pools."""
    pools = [dealt(pool, restart.workers)[worker] for pool in restart.pools]
    return ServedNetwork(
        f"{SCOPE} {worker + 1}" if worker else SCOPE,
        _device_mtu(restart),
        (
            *(network for pool in pools for network in networks(pool)),
            *(str(network) for site in restart.sites for network in site.remote),
        ),
        forward=restart.forwarding,
        peers=tuple(site.peer for site in restart.sites),
    )


def networks(pool: PoolPlan) -> Iterator[str]:
    """The prefixes to route for a pool: of a whole network one, else the fewest that fit."""
    for part in pool.ranges:
        kind = IPv4Address if part.version == 4 else IPv6Address
        first, last = kind(part.first), kind(part.last)
        try:
            # A network's own and its broadcast address are not handed out, but belong to it.
            whole: list[Network] = list(summarize_address_range(first - 1, last + 1))
        except AddressValueError:
            whole = []
        if len(whole) == 1 and whole[0].num_addresses > PAIR:
            yield str(whole[0])
        else:
            yield from map(str, summarize_address_range(first, last))


def _device_mtu(restart: RestartSettings) -> int:
    """What the tunnel cuts itself must get into it first, as long as it is elsewhere."""
    if any(site.transport for site in restart.sites):
        return UNCUT
    if restart.cut is Policy.BEFORE_WITH_ICMP:
        return restart.mtu
    return max(restart.mtu, ETHERNET)
