"""Selector: which packets an IPsec SA carries on one side (RFC 4301 §4.4.1, tunnel mode)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

ANY = ip_network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Selector:
    """A network, and a protocol and port where they are narrowed (0 = any)."""

    network: Network
    protocol: int = 0
    port: int = 0

    def covers(self, other: Selector) -> bool:
        """Whether everything ``other`` selects is selected here too."""
        if self.network.version != other.network.version:
            return False
        inside = other.network.subnet_of(self.network)  # type: ignore[arg-type]  # same version
        return inside and self.protocol in (0, other.protocol) and self.port in (0, other.port)

    def __str__(self) -> str:
        narrowed = f" protocol {self.protocol}" if self.protocol else ""
        narrowed += f" port {self.port}" if self.port else ""
        return f"{self.network}{narrowed}"
