"""How large a packet may be on the way to a host (RFC 1191), found by asking with DF set.

One datagram as long as the way is thought to be wide goes to the discard port (RFC 863), where
nobody takes it for anything. A router that finds it too long says so (ICMP "fragmentation needed"),
the kernel notes that, and the next datagram is as long as the router said. Where routers are mute
or ICMP is dropped it stays at what the first link takes, as it would be without asking.
"""

from __future__ import annotations

import errno
import select
import socket
import time

ETHERNET = 1500
DISCARD = 9
PATIENCE = 0.15
"""Seconds for an answer to one datagram. A narrow link is near a client more often than far away;
connecting must not wait for what hardly ever comes."""
ROUNDS = 4
"""Each narrower link takes one; every plausible way (a tunnel over DSL over a tunnel) has fewer."""

_UDP_AND_IPV4 = 28
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DO = 2
_IP_MTU = 14


def path_mtu(host: str) -> int:
    """Of the way to ``host``, and no more than Ethernet has. For a thread: it may take half a
    second. Plain ESP and NAT traversal are over IPv4 mostly; for IPv6 it stays with Ethernet's."""
    if ":" in host:
        return ETHERNET
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
            asking.connect((host, DISCARD))
            return _asked(asking)
    except OSError:
        return ETHERNET  # no way there at all: connecting tells why


def _asked(asking: socket.socket) -> int:
    known = _known(asking)
    for _ in range(ROUNDS):
        try:
            asking.send(bytes(known - _UDP_AND_IPV4))
            _wait(asking)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ECONNREFUSED):
                return known
        if (now := _known(asking)) >= known:
            break
        known = now
    return known


def _known(asking: socket.socket) -> int:
    return min(asking.getsockopt(socket.IPPROTO_IP, _IP_MTU), ETHERNET)


def _wait(asking: socket.socket) -> None:
    """Until there is an answer, which is an error of the socket, or it is late."""
    listening = select.poll()
    listening.register(asking, select.POLLIN)
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        if listening.poll(left * 1000):
            problem = asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            raise OSError(problem, "an answer by ICMP")
