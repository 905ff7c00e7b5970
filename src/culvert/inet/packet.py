"""Any IP packet: is it whole, where from, where to. Runs per packet, so it reads few octets."""

from __future__ import annotations

from culvert.errors import WireError
from culvert.inet import ipv4, ipv6


def whole(packet: bytes) -> bytes:
    """``packet`` cut to the length its header tells (RFC 4303 §2.7 lets a sender append octets).

    Raises WireError for what is no complete IPv4 or IPv6 packet.
    """
    size = len(packet)
    version = packet[0] >> 4 if size else 0
    if version == 4 and size >= ipv4.SMALLEST_HEADER:
        total = packet[2] << 8 | packet[3]
        smallest = max((packet[0] & 0x0F) * 4, ipv4.SMALLEST_HEADER)
    elif version == 6 and size >= ipv6.HEADER_OCTETS:
        total = ipv6.HEADER_OCTETS + (packet[4] << 8 | packet[5])
        smallest = ipv6.HEADER_OCTETS
    else:
        raise WireError(f"{size} octets of version {version} are no IP packet", offset=0)
    if smallest <= total <= size:
        return packet if total == size else packet[:total]
    raise WireError(f"IP length {total} in {size} octets", offset=2 if version == 4 else 4)


def addresses(packet: bytes) -> bytes:
    """Source and destination side by side (8 or 32 octets) of a packet that is `whole`."""
    return packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
