"""ICMP "fragmentation needed" (RFC 792, 1191 §4) and ICMPv6 "packet too big" (RFC 4443 §3.2)."""

from __future__ import annotations

from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import checksum

ICMP, ICMPV6 = 1, 58
LONGEST_ANSWER = 576  # RFC 1812 §4.3.2.3
ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))  # RFC 1122 §3.2.2
ICMPV6_INFORMATIONAL = 128  # types below are errors (RFC 4443 §2.1)


def too_big(packet: bytes, mtu: int) -> bytes | None:
    """The answer to the sender of a packet that does not fit ``mtu``; None where none is allowed.

    It is said in the name of the packet's destination: the answer enters the machine through the
    TUN, and Linux drops what comes in with one of its own addresses as source
    (docs/decisions/0022). Raises WireError for a packet that does not parse.
    """
    return _too_big4(packet, mtu) if packet[0] >> 4 == 4 else _too_big6(packet, mtu)


def _too_big4(packet: bytes, mtu: int) -> bytes | None:
    header = ipv4.parse(packet)
    first = packet[header.header_octets : header.header_octets + 1]
    about_error = header.protocol == ICMP and (not first or first[0] in ICMP_ERRORS)
    if about_error or header.fragment_offset or not _single4(header):
        return None
    quoted = packet[: LONGEST_ANSWER - ipv4.SMALLEST_HEADER - 8]
    body = bytearray(b"\x03\x04\x00\x00\x00\x00" + mtu.to_bytes(2, "big") + quoted)
    body[2:4] = checksum(body).to_bytes(2, "big")
    return ipv4.build(ICMP, header.destination, header.source, bytes(body))


def _too_big6(packet: bytes, mtu: int) -> bytes | None:
    header = ipv6.parse(packet)
    first = packet[ipv6.HEADER_OCTETS : ipv6.HEADER_OCTETS + 1]
    about_error = header.next_header == ICMPV6 and (not first or first[0] < ICMPV6_INFORMATIONAL)
    # The RFC allows an answer about multicast, but it could not be said in a multicast's name.
    if about_error or header.destination[0] == 0xFF or _nobody(header.source):
        return None
    quoted = packet[: ipv6.SMALLEST_MTU - ipv6.HEADER_OCTETS - 8]
    body = bytearray(b"\x02\x00\x00\x00" + mtu.to_bytes(4, "big") + quoted)
    source, destination = header.destination, header.source
    pseudo = source + destination + len(body).to_bytes(4, "big") + bytes((0, 0, 0, ICMPV6))
    body[2:4] = checksum(pseudo + body).to_bytes(2, "big")
    return ipv6.build(ICMPV6, source, destination, bytes(body))


def _single4(header: ipv4.Ipv4Header) -> bool:
    """Whether both ends are one host each: not multicast, broadcast or unspecified."""
    return all(0 < address[0] < 224 for address in (header.source, header.destination))


def _nobody(address: bytes) -> bool:
    return address[0] == 0xFF or not any(address)
