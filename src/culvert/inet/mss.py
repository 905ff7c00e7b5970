"""TCP MSS clamp: both ends learn with the SYN what the tunnel carries (RFC 9293 §3.7.1).

Without it every connection begins with packets that are too large, and where ICMP is filtered it
never gets further.
"""

from __future__ import annotations

from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import updated

TCP = 6
SYN = 0x02
TCP_HEADER = 20
END_OF_OPTIONS, NO_OPERATION, MAXIMUM_SEGMENT_SIZE = 0, 1, 2  # RFC 9293 §3.2


def clamp(packet: bytes, mtu: int) -> bytes:
    """A `whole` packet, with its MSS lowered to what fits ``mtu`` if it is a SYN with more.

    TCP behind IPv6 extension headers passes as it is: no SYN in the wild has them.
    """
    if packet[0] >> 4 == 4:
        if packet[9] != TCP or (packet[6] << 8 | packet[7]) & ipv4.OFFSET:
            return packet
        start = (packet[0] & 0x0F) * 4
        most = mtu - ipv4.SMALLEST_HEADER - TCP_HEADER
    else:
        if packet[6] != TCP:
            return packet
        start = ipv6.HEADER_OCTETS
        most = mtu - ipv6.HEADER_OCTETS - TCP_HEADER
    if len(packet) < start + TCP_HEADER or not packet[start + 13] & SYN:
        return packet
    return _lowered(packet, start, most)


def _lowered(packet: bytes, start: int, most: int) -> bytes:
    at = _mss_offset(packet, start)
    if not at:
        return packet
    offered = packet[at] << 8 | packet[at + 1]
    if offered <= most:
        return packet
    changed = bytearray(packet)
    changed[at : at + 2] = most.to_bytes(2, "big")
    sum_at = start + 16
    old = int.from_bytes(packet[sum_at : sum_at + 2], "big")
    new = updated(old, offered, most, odd=(at - start) % 2 == 1)
    changed[sum_at : sum_at + 2] = new.to_bytes(2, "big")
    return bytes(changed)


def _mss_offset(packet: bytes, start: int) -> int:
    """Where the MSS stands; 0 if there is none or the options are broken (not ours to judge)."""
    end = min(start + (packet[start + 12] >> 4) * 4, len(packet))
    at = start + TCP_HEADER
    while at + 4 <= end:
        kind, length = packet[at], packet[at + 1]
        if kind == MAXIMUM_SEGMENT_SIZE and length == 4:
            return at + 2
        if kind == END_OF_OPTIONS:
            return 0
        if kind != NO_OPERATION and length < 2:
            return 0
        at += 1 if kind == NO_OPERATION else length
    return 0
