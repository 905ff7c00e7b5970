"""Names of hosts, by the system's resolver; and what this machine knows of the way there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from culvert.effects import Resolve, Resolved
from culvert.netio.path_mtu import path_mtu
from culvert.netio.whereabouts import network_towards


async def resolve(order: Resolve) -> Resolved:
    """The system resolver's word (in a thread: it may take many seconds)."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(order.host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        return Resolved(order.ticket, (), problem=error.strerror or str(error))
    addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    widest = await asyncio.to_thread(path_mtu, _called(addresses))
    network = await asyncio.to_thread(network_towards, _called(addresses))
    return Resolved(order.ticket, addresses, path_mtu=widest, network=network)


def _called(addresses: Sequence[str]) -> str:
    """The address a client takes: the first of IPv4."""
    return next((one for one in addresses if ":" not in one), addresses[0])
