"""IPv6 header (RFC 8200 §3)."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

HEADER_OCTETS = 40
SMALLEST_MTU = 1280  # RFC 8200 §5


@dataclass(frozen=True, slots=True)
class Ipv6Header:
    total_octets: int
    next_header: int
    hop_limit: int
    source: bytes
    destination: bytes


def parse(packet: bytes) -> Ipv6Header:
    """The fixed header of ``packet``; jumbograms are refused. Raises WireError."""
    cursor = Cursor(packet)
    if cursor.u8("version") >> 4 != 6:
        raise WireError("not an IPv6 header", offset=0)
    cursor.take(3, "traffic class and flow label")
    total = HEADER_OCTETS + cursor.u16("payload length")
    if total > len(packet):
        raise WireError(f"IPv6 length {total} in {len(packet)} octets", offset=4)
    return Ipv6Header(
        total,
        cursor.u8("next header"),
        cursor.u8("hop limit"),
        cursor.octets(16, "source"),
        cursor.octets(16, "destination"),
    )


def build(
    next_header: int, source: bytes, destination: bytes, payload: bytes, *, hop_limit: int = 64
) -> bytes:
    """A packet without extension headers."""
    head = b"\x60\x00\x00\x00" + len(payload).to_bytes(2, "big") + bytes((next_header, hop_limit))
    return head + source + destination + payload
