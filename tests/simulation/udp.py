"""UDP inside the tunnel: datagrams of this machine's own programs, as IPv4 packets."""

from __future__ import annotations

from struct import Struct

from culvert.inet import ipv4
from culvert.inet.address import Address

UDP = 17
HEADER = Struct("!HHHH")


def build(source: Address, to: Address, data: bytes) -> bytes:
    head = HEADER.pack(source[1], to[1], HEADER.size + len(data), 0)
    return ipv4.build(UDP, _octets(source[0]), _octets(to[0]), head + data)


def parse(packet: bytes) -> tuple[Address, Address, bytes] | None:
    """Source, destination and data; None: no UDP."""
    header = ipv4.parse(packet)
    payload = packet[header.header_octets : header.total_octets]
    if header.protocol != UDP or len(payload) < HEADER.size:
        return None
    source, to, _, _ = HEADER.unpack_from(payload)
    data = payload[HEADER.size :]
    return (_host(header.source), source), (_host(header.destination), to), data


def _octets(host: str) -> bytes:
    return bytes(int(part) for part in host.split("."))


def _host(octets: bytes) -> str:
    return ".".join(map(str, octets))
