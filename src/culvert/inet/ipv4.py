"""IPv4 header (RFC 791 §3.1) and fragmentation (§3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from culvert.errors import MisuseError, WireError
from culvert.inet.checksum import checksum
from culvert.octets.cursor import Cursor

SMALLEST_HEADER = 20
SMALLEST_MTU = 68  # every link carries a full header and eight octets (RFC 791 §3.2)
DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET = 0x4000, 0x2000, 0x1FFF
COPIED = 0x80  # option goes into every fragment (RFC 791 §3.1)
END_OF_OPTIONS, NO_OPERATION = 0, 1


@dataclass(frozen=True, slots=True)
class Ipv4Header:
    """The fields that somebody here reads; ``fragment_offset`` in octets."""

    header_octets: int
    total_octets: int
    identification: int
    dont_fragment: bool
    more_fragments: bool
    fragment_offset: int
    time_to_live: int
    protocol: int
    source: bytes
    destination: bytes


def parse(packet: bytes) -> Ipv4Header:
    """The header of ``packet``, whose lengths agree with each other and with what is there.

    Raises WireError.
    """
    cursor = Cursor(packet)
    first = cursor.u8("version")
    header_octets = (first & 0x0F) * 4
    if first >> 4 != 4 or header_octets < SMALLEST_HEADER:
        raise WireError("not an IPv4 header", offset=0)
    cursor.take(1, "type of service")
    total_octets = cursor.u16("total length")
    if not header_octets <= total_octets <= len(packet):
        raise WireError(
            f"IPv4 length {total_octets} with header {header_octets} in {len(packet)} octets",
            offset=2,
        )
    identification = cursor.u16("identification")
    fragment = cursor.u16("fragment offset")
    time_to_live = cursor.u8("time to live")
    protocol = cursor.u8("protocol")
    cursor.take(2, "header checksum")
    return Ipv4Header(
        header_octets,
        total_octets,
        identification,
        bool(fragment & DONT_FRAGMENT),
        bool(fragment & MORE_FRAGMENTS),
        (fragment & OFFSET) * 8,
        time_to_live,
        protocol,
        cursor.octets(4, "source"),
        cursor.octets(4, "destination"),
    )


def build(
    protocol: int,
    source: bytes,
    destination: bytes,
    payload: bytes,
    *,
    time_to_live: int = 64,
    mark: int = 0,
) -> bytes:
    """A packet without options, of identification 0 and not to be fragmented (RFC 6864 §4.1)."""
    total = SMALLEST_HEADER + len(payload)
    head = bytearray(bytes((0x45, mark)) + total.to_bytes(2, "big") + b"\x00\x00\x40\x00")
    head += bytes((time_to_live, protocol, 0, 0)) + source + destination
    head[10:12] = checksum(head).to_bytes(2, "big")
    return bytes(head) + payload


def fragments(packet: bytes, mtu: int) -> list[bytes]:
    """``packet`` in pieces of at most ``mtu`` octets; one piece if it fits.

    Raises WireError for a packet that does not parse. Whether it may be cut (DF) is the caller's
    business.
    """
    if mtu < SMALLEST_MTU:
        raise MisuseError(f"no IPv4 link has an MTU of {mtu}")
    header = parse(packet)
    if header.total_octets <= mtu:
        return [packet[: header.total_octets]]
    return list(_pieces(packet, header, mtu))


def without_df(packet: bytes, identification: int) -> bytes:
    """The packet, which must not be cut, as one that may be, under this name (RFC 6864 §4.1: the
    identification of a packet with DF says nothing). Raises WireError."""
    header = parse(packet)
    made = bytearray(packet)
    made[4:6] = identification.to_bytes(2, "big")
    made[6] &= ~(DONT_FRAGMENT >> 8) & 0xFF
    made[10:12] = b"\x00\x00"
    made[10:12] = checksum(made[: header.header_octets]).to_bytes(2, "big")
    return bytes(made)


def _pieces(packet: bytes, header: Ipv4Header, mtu: int) -> Iterator[bytes]:
    head = packet[: header.header_octets]
    start, end = header.header_octets, header.total_octets
    while start < end:
        # Every piece but the last carries a multiple of eight octets (RFC 791 §3.2).
        room = mtu - len(head)
        stop = end if end - start <= room else start + room // 8 * 8
        offset = header.fragment_offset + start - header.header_octets
        more = header.more_fragments or stop < end
        yield _piece(head, offset, packet[start:stop], more=more)
        if start == header.header_octets:
            head = head[:SMALLEST_HEADER] + _copied_options(head[SMALLEST_HEADER:])
        start = stop


def _piece(head: bytes, offset: int, payload: bytes, *, more: bool) -> bytes:
    made = bytearray(head)
    made[0] = 0x40 | len(head) // 4
    made[2:4] = (len(head) + len(payload)).to_bytes(2, "big")
    made[6:8] = ((MORE_FRAGMENTS if more else 0) | offset // 8).to_bytes(2, "big")
    made[10:12] = b"\x00\x00"
    made[10:12] = checksum(made).to_bytes(2, "big")
    return bytes(made) + payload


def _copied_options(options: bytes) -> bytes:
    """What of the options every fragment repeats, padded to whole words. Raises WireError."""
    cursor = Cursor(options, base=SMALLEST_HEADER)
    kept = bytearray()
    while cursor.left:
        kind = cursor.u8("option")
        if kind == END_OF_OPTIONS:
            break
        if kind == NO_OPERATION:
            continue
        length = cursor.u8("option length")
        value = cursor.octets(length - 2, "option value")
        if kind & COPIED:
            kept += bytes((kind, length)) + value
    return bytes(kept) + bytes(-len(kept) % 4)
