"""Transport addresses and paths."""

from __future__ import annotations

from typing import NamedTuple

Address = tuple[str, int]
"""Host as text, port; the shape sockets give and take. IPv6 without scope."""


class Path(NamedTuple):
    """Where a datagram went from and to, seen from our side.

    ``encapsulated``: the datagram travels on the NAT-T port, where IKE stands behind the
    non-ESP marker (RFC 3948 §2.2). IKE octets never include the marker outside the socket edge.
    """

    local: Address
    remote: Address
    encapsulated: bool = False


def text(address: Address) -> str:
    """``192.0.2.1:500`` or ``[2001:db8::1]:500``."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
