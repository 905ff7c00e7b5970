"""Announcement of an end of ours that has another address now: private notify 33101.

    sequence (4) | attributes: DNS server (1), NBNS server (2), four octets each

It travels in an informational exchange under the keys of the IKE SA, from the new address; that the
peer believes it is therefore no weaker than the connection itself. Sent only to peers that showed
our vendor id. ``sequence`` rises: one that was recorded announces nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Self

from culvert.ike.wire.attribute import Attribute, join, parse_attributes
from culvert.octets.cursor import Cursor

ANNOUNCEMENT = 33101  # of the range that RFC 2408 §3.14.1 leaves to private use

DNS, NBNS = 1, 2

MOST_SERVERS = 8
"""Of one kind; a resolver asks three at most."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """``dns`` and ``nbns`` are IPv4 addresses as text."""

    sequence: int
    dns: tuple[str, ...] = ()
    nbns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Attributes it does not know are passed over: a later version may say more."""
        cursor = Cursor(data)
        sequence = cursor.u32("announcement number")
        found: dict[int, list[str]] = {DNS: [], NBNS: []}
        for attribute in parse_attributes(cursor):
            servers = found.get(attribute.kind, [])
            if len(attribute.value) == 4 and len(servers) < MOST_SERVERS:
                servers.append(str(IPv4Address(attribute.value)))
        return cls(sequence, tuple(found[DNS]), tuple(found[NBNS]))

    def to_bytes(self) -> bytes:
        return self.sequence.to_bytes(4, "big") + join(list(self._attributes()))

    def _attributes(self) -> Iterator[Attribute]:
        for kind, servers in ((DNS, self.dns), (NBNS, self.nbns)):
            for server in servers[:MOST_SERVERS]:
                yield Attribute.octets(kind, IPv4Address(server).packed)
