"""What cannot be had with several workers (docs/decisions/0157-several-workers.md), in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from culvert.gateway.reading import Table
from culvert.policy.pool import PoolPlan

MOST_ADDRESSES = 12
"""To listen at: each takes ten sockets of each worker."""
LONGEST_TUN = 13
"""Characters of the first interface's name: the others have a dash and their number behind it."""


def device(tun: str, worker: int) -> str:
    """The name of the tunnel interface of a worker."""
    return f"{tun}-{worker + 1}" if worker else tun


def check_workers(
    gateway: Table,
    pools: Iterable[PoolPlan],
    *,
    sites: Sequence[Table],
    over_udp: Sequence[Table],
    not_in_udp: Sequence[Table],
) -> None:
    workers = gateway.number("workers")
    if workers == 1:
        return
    alone = "; set workers = 1, or run another gateway for that"

    def refuse(what: str, why: str) -> None:
        gateway.problem("workers", f"workers = {workers} and {what}: {why}{alone}")

    if sites:
        why = "where we call a site, its answer could reach any of the workers"
        refuse(f"{len(sites)} [[site]]", why)
    if gateway.flag("ipsec_over_tcp"):
        refuse("ipsec_over_tcp", "its streams have no cookie of ours in the first packet")
    if over_udp:
        refuse("ipsec_over_udp", "its port is not shared among workers")
    if not_in_udp:
        why = "plain ESP has no ports by which a worker is chosen, so its clients could not connect"
        refuse('nat_traversal = "off"', why)
    if gateway.texts("listen")[MOST_ADDRESSES:]:
        refuse(f"more than {MOST_ADDRESSES} addresses in listen", "that takes too many sockets")
    if len(gateway.text("tun")) > LONGEST_TUN:
        what = f"tun is longer than {LONGEST_TUN} characters, and each worker has its interface"
        gateway.problem("tun", f"workers = {workers}: {what}; shorten it")
    for pool in pools:
        if pool.size < workers:
            what = f"pool {pool.name} has {pool.size} addresses, less than one for each worker"
            gateway.problem("workers", f"workers = {workers}: {what}; give it more")
