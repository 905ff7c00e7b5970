"""Identification payload (RFC 2407 §4.6.2): type | protocol | port (2) | data."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from culvert.errors import WireError
from culvert.ike.wire.payload import ID, Part

IPV4_ADDR = 1
FQDN = 2
USER_FQDN = 3
IPV4_ADDR_SUBNET = 4
IPV6_ADDR = 5
IPV6_ADDR_SUBNET = 6
DER_ASN1_DN = 9
KEY_ID = 11

_ADDRESS_OCTETS = {IPV4_ADDR: 4, IPV6_ADDR: 16, IPV4_ADDR_SUBNET: 8, IPV6_ADDR_SUBNET: 32}


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity (phase 1) or one side of the traffic (phase 2)."""

    kind: int
    data: bytes
    protocol: int = 0
    port: int = 0

    @classmethod
    def parse(cls, part: Part) -> Self:
        cursor = part.cursor()
        kind = cursor.u8("identification type")
        protocol = cursor.u8("identification protocol")
        port = cursor.u16("identification port")
        data = cursor.rest()
        wanted = _ADDRESS_OCTETS.get(kind)
        if wanted is not None and len(data) != wanted:
            raise WireError(
                f"identification type {kind} with {len(data)} octets, not {wanted}",
                offset=part.offset + 4,
            )
        return cls(kind, data, protocol, port)

    def to_bytes(self) -> bytes:
        return bytes((self.kind, self.protocol)) + self.port.to_bytes(2, "big") + self.data

    def part(self) -> Part:
        return Part(ID, self.to_bytes())

    @classmethod
    def of_address(cls, address: str) -> Self:
        packed = ip_address(address).packed
        return cls(IPV4_ADDR if len(packed) == 4 else IPV6_ADDR, packed)

    @classmethod
    def of_network(
        cls, network: IPv4Network | IPv6Network, protocol: int = 0, port: int = 0
    ) -> Self:
        """A host is written as an address, anything wider as a subnet."""
        packed = network.network_address.packed
        if network.prefixlen == network.max_prefixlen:
            kind = IPV4_ADDR if network.version == 4 else IPV6_ADDR
            return cls(kind, packed, protocol, port)
        kind = IPV4_ADDR_SUBNET if network.version == 4 else IPV6_ADDR_SUBNET
        return cls(kind, packed + network.netmask.packed, protocol, port)

    @classmethod
    def of_group(cls, name: str) -> Self:
        """A Cisco group name: KEY_ID, no terminator, protocol 17 and port 500 as its clients."""
        return cls(KEY_ID, name.encode(), 17, 500)

    def network(self) -> IPv4Network | IPv6Network:
        """What an address or subnet stands for. Raises WireError for other kinds and bad masks."""
        try:
            match self.kind:
                case 1:
                    return ip_network(IPv4Address(self.data))
                case 5:
                    return ip_network(IPv6Address(self.data))
                case 4:
                    return IPv4Network((self.data[:4], _prefix(self.data[4:])))
                case 6:
                    return IPv6Network((self.data[:16], _prefix(self.data[16:])))
                case _:
                    raise WireError(f"identification type {self.kind} is no network", offset=0)
        except ValueError as error:
            raise WireError(f"identification: {error}", offset=0) from error

    def __str__(self) -> str:
        if self.kind in _ADDRESS_OCTETS:
            try:
                return str(self.network())
            except WireError:
                return self.data.hex()
        return self.data.decode("utf-8", "backslashreplace")


def _prefix(mask: bytes) -> int:
    """Raises ValueError for anything but ones followed by zeros."""
    bits = 8 * len(mask)
    ones = int.from_bytes(mask, "big").bit_count()
    if int.from_bytes(mask, "big") != (1 << bits) - (1 << bits - ones):
        raise ValueError(f"{mask.hex()} is no network mask")
    return ones
