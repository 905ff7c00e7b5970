"""One piece of an IKE message that was cut up (payload 132; Cisco's and Microsoft's, without RFC).

    ISAKMP header (its next payload is 132, not encrypted), then

    0        1        2        4              6        7       8
    | next 0 | 0      | length | fragment id  | number | flags | octets …

Numbers count from 1; flag 0x01 marks the last. The octets of all, joined, are the whole message
with its own header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from culvert.errors import WireError
from culvert.ike.wire.header import OCTETS, Header
from culvert.octets.cursor import Cursor

FRAGMENT = 132
LAST = 0x01
HEADER = 8
MOST = 255  # the number is one octet, and 0 is none


@dataclass(frozen=True, slots=True)
class Fragment:
    identifier: int
    number: int
    last: bool
    octets: bytes

    @classmethod
    def parse(cls, datagram: bytes, header: Header) -> Self:
        """The piece in a datagram with this header. Raises WireError."""
        cursor = Cursor(memoryview(datagram)[OCTETS : header.length], base=OCTETS)
        following = cursor.u8("next payload")
        cursor.u8("reserved octet")
        length = cursor.u16("payload length")
        identifier = cursor.u16("fragment id")
        number = cursor.u8("fragment number")
        flags = cursor.u8("fragment flags")
        if header.encrypted or following:
            raise WireError("a fragment is the only payload of a clear message", offset=OCTETS)
        if not number:
            raise WireError("fragments are numbered from 1", offset=OCTETS + 6)
        if length <= HEADER:
            raise WireError(f"a fragment of {length} octets holds nothing", offset=OCTETS + 2)
        octets = cursor.octets(length - HEADER, "fragment")
        return cls(identifier, number, bool(flags & LAST), octets)

    def message(self, header: Header) -> bytes:
        """The datagram that carries it."""
        length = HEADER + len(self.octets)
        head = replace(header, next_payload=FRAGMENT, flags=0)
        fields = length.to_bytes(2, "big") + self.identifier.to_bytes(2, "big")
        return (
            head.to_bytes(length)
            + bytes(2)
            + fields
            + bytes((self.number, LAST if self.last else 0))
            + self.octets
        )


def cut(octets: bytes, header: Header, identifier: int, largest: int) -> Iterator[bytes]:
    """A whole message as datagrams of at most ``largest`` octets; more, if else they were more
    than can be numbered."""
    piece = max(largest - OCTETS - HEADER, -(-len(octets) // MOST))
    starts = range(0, len(octets), piece)
    for number, at in enumerate(starts, start=1):
        last = number == len(starts)
        yield Fragment(identifier, number, last, octets[at : at + piece]).message(header)
