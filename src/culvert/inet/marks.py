"""The octet of DSCP and ECN (RFC 2474, RFC 3168) of a packet in a tunnel: RFC 6040, normal mode.

    DSCP(6) ECN(2)     ECN: 00 not capable · 10 ECT(0) · 01 ECT(1) · 11 congestion experienced

In IPv4 it is the second octet of the header, TOS once; in IPv6 it lies across the first two.
"""

from __future__ import annotations

from culvert.inet.checksum import updated

ECN = 0x03
DSCP = 0xFC
ALL = DSCP | ECN

NOT_CAPABLE, ECT_1, ECT_0, CONGESTED = 0, 1, 2, 3


def chosen(*, dscp: bool, ecn: bool) -> int:
    """The bits of both, as an engine wants to know which to copy."""
    return (DSCP if dscp else 0) | (ECN if ecn else 0)


def of(packet: bytes) -> int:
    """That of a packet that is `culvert.inet.packet.whole`."""
    if packet[0] >> 4 == 4:
        return packet[1]
    return (packet[0] << 4 | packet[1] >> 4) & 0xFF


def decapsulated(packet: bytes, outer: int) -> bytes | None:
    """The packet with the ECN that it has behind the tunnel, its DSCP as it was; None: to be
    dropped (RFC 6040 §4.2, figure 4).

    A router wanted to drop it, and its sender would not hear of it in any other way.
    """
    mark, inner = outer & ECN, of(packet) & ECN
    if mark == CONGESTED:
        if inner == NOT_CAPABLE:
            return None
    elif mark != ECT_1 or inner != ECT_0:
        return packet
    return packet if mark == inner else _with_ecn(packet, mark)


def _with_ecn(packet: bytes, ecn: int) -> bytes:
    changed = bytearray(packet)
    if packet[0] >> 4 == 4:
        changed[1] = changed[1] & DSCP | ecn
        # Not made anew: an error from before the tunnel must not be healed by it.
        was, now, found = (
            int.from_bytes(one, "big") for one in (packet[:2], changed[:2], packet[10:12])
        )
        changed[10:12] = updated(found, was, now).to_bytes(2, "big")
    else:
        changed[1] = changed[1] & ~(ECN << 4) | ecn << 4
    return bytes(changed)
