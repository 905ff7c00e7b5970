"""Transport mode (RFC 4303 §3.1.1): the ESP payload is what the IP packet carried, and its header
stays behind. Who opens it builds a new one between the two ends as known here.

A NAT on the way leaves checksums that were made over other addresses; the payload has just proved
authentic, so they are made anew instead of checked (RFC 3948 §3.1.2 a).
"""

from __future__ import annotations

from culvert.errors import WireError
from culvert.inet import ipv4
from culvert.inet.checksum import checksum

TCP, UDP = 6, 17
CHECKSUM_AT = {TCP: 16, UDP: 6}
SHORTEST = {TCP: 20, UDP: 8}

FRAGMENT = "fragment"
"""Why a packet was dropped: what is in pieces has no transport header to protect (RFC 4301 §7)."""

UNCUT = 9000
"""MTU of the device in transport mode, in octets (a jumbo frame): packets should come whole, and
the ESP packet is cut instead; fragments have no transport header to protect."""

Payload = tuple[int, bytes]
"""IP protocol, octets."""


def without_header(packet: bytes) -> Payload | None:
    """What an IPv4 packet carries; None for a fragment. Raises WireError for anything else."""
    header = ipv4.parse(packet)
    if header.more_fragments or header.fragment_offset:
        return None
    return header.protocol, packet[header.header_octets : header.total_octets]


def with_header(payload: Payload, source: bytes, destination: bytes, mark: int = 0) -> bytes:
    """The packet from ``source`` to ``destination`` that carries it, its DSCP and ECN those of the
    one that carried it here. Raises WireError."""
    protocol, octets = payload
    if len(octets) + ipv4.SMALLEST_HEADER > LONGEST:
        raise WireError("too long for an IPv4 packet", offset=0)
    body = _summed(protocol, octets, source + destination)
    return ipv4.build(protocol, source, destination, body, mark=mark)


LONGEST = 65535  # octets of an IPv4 packet


def _summed(protocol: int, octets: bytes, ends: bytes) -> bytes:
    at = CHECKSUM_AT.get(protocol)
    if at is None or len(octets) < SHORTEST[protocol]:
        return octets
    if protocol == UDP and octets[at : at + 2] == b"\0\0":
        return octets  # sent without one
    clean = octets[:at] + b"\0\0" + octets[at + 2 :]
    pseudo = ends + bytes((0, protocol)) + len(octets).to_bytes(2, "big")
    made = checksum(pseudo + clean)
    if protocol == UDP and not made:
        made = 0xFFFF  # RFC 768: zero says that there is none
    return octets[:at] + made.to_bytes(2, "big") + octets[at + 2 :]
