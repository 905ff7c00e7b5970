"""Super-packets of a TUN with virtio headers, for engines that see single packets.

    flags(1) kind(1) header length(2) segment(2) checksum start(2) offset(2) | packet up to 64 KB

The kernel hands over one packet for some forty TCP segments and takes as many joined; all of its
own work, routing, firewall, the socket, is then done once for all of them (<linux/virtio_net.h>).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from culvert.inet.checksum import checksum, sum_of

VIRTIO = struct.Struct("=BBHHHH")
NO_HEADER = bytes(VIRTIO.size)
NEEDS_CSUM = 1
TCP4, TCP6, UDP_L4, ECN = 1, 4, 5, 0x80

TCP, UDP = 6, 17
FIN, SYN, PSH, ACK, CWR = 1, 2, 8, 16, 128
DF = 0x40
IPV6_HEADER = 40
TCP_SUM, UDP_SUM = 16, 6  # where the checksum stands in the transport header

MOST_SEGMENTS = 1500
"""Of one super-packet: 64 KB at TCP's smallest MSS of 48 are 1365."""
MOST_JOINED = 65000
"""Octets of a joined packet."""

Frame = Sequence[bytes]
"""What one write to the TUN consists of."""


# --- from the TUN ------------------------------------------------------------------------------


def packets_of(frames: Iterable[bytes]) -> tuple[list[bytes], int]:
    """The packets that these frames stand for, complete with lengths and checksums, in order;
    and how many frames made no sense."""
    found: list[bytes] = []
    refused = 0
    for frame in frames:
        try:
            flags, kind, _, segment, start, offset = VIRTIO.unpack_from(frame)
        except struct.error:
            refused += 1
            continue
        packet = frame[VIRTIO.size :]
        if kind & ~ECN:
            pieces = _cut(packet, kind & ~ECN, segment, start)
            refused += not pieces
            found += pieces
        elif flags & NEEDS_CSUM and start + offset + 2 <= len(packet):
            found.append(_summed(packet, start, start + offset))
        else:
            found.append(packet)
    return found, refused


def _summed(packet: bytes, start: int, at: int) -> bytes:
    """The kernel left the pseudo-header's sum in the checksum's place."""
    made = checksum(packet[start:]) or 0xFFFF
    return packet[:at] + made.to_bytes(2, "big") + packet[at + 2 :]


def _cut(packet: bytes, kind: int, segment: int, start: int) -> list[bytes]:
    """The segments of a super-packet; none if it is no such thing."""
    six = bool(packet) and packet[0] >> 4 == 6
    udp = kind == UDP_L4
    if len(packet) < (IPV6_HEADER if six else 20) or not segment:
        return []
    if not udp and kind != (TCP6 if six else TCP4):
        return []
    l4 = start if six else (packet[0] & 15) * 4
    packet = packet[: _total(packet, six=six)]
    least = l4 + (8 if udp else 20)
    if l4 < (IPV6_HEADER if six else 20) or least > len(packet):
        return []
    header = least if udp else l4 + (packet[l4 + 12] >> 4) * 4
    if not least <= header < len(packet) or len(packet) - header > MOST_SEGMENTS * segment:
        return []
    ip = _Ipv6Heads(packet[:l4]) if six else _Ipv4Heads(packet[:l4])
    cut = _udp_segments if udp else _tcp_segments
    return list(cut(packet, ip, l4, header, segment))


def _total(packet: bytes, *, six: bool) -> int:
    at = 4 if six else 2
    return (packet[at] << 8 | packet[at + 1]) + (IPV6_HEADER if six else 0)


class _Ipv4Heads:
    """IPv4 headers of consecutive segments; ``pseudo`` is the sum of both addresses."""

    def __init__(self, header: bytes) -> None:
        self._ends = header[:2], header[6:10], header[12:]
        self._name = header[4] << 8 | header[5]
        self._fixed = sum_of(header[:2] + header[6:10] + header[12:])
        self.pseudo = sum_of(header[12:20])

    def head(self, total: int, number: int) -> bytes:
        first, middle, last = self._ends
        name = (self._name + number) & 0xFFFF
        folded = (self._fixed + total + name) % 0xFFFF or 0xFFFF
        return b"%b%b%b%b%b" % (
            first,
            (total << 16 | name).to_bytes(4, "big"),
            middle,
            (0xFFFF - folded).to_bytes(2, "big"),
            last,
        )


class _Ipv6Heads:
    """IPv6 headers of consecutive segments."""

    def __init__(self, header: bytes) -> None:
        self._ends = header[:4], header[6:]
        self.pseudo = sum_of(header[8:40])

    def head(self, total: int, number: int) -> bytes:
        first, last = self._ends
        return b"%b%b%b" % (first, (total - IPV6_HEADER).to_bytes(2, "big"), last)


def _tcp_segments(
    packet: bytes, ip: _Ipv4Heads | _Ipv6Heads, l4: int, header: int, segment: int
) -> Iterator[bytes]:
    ports, mid = packet[l4 : l4 + 4], packet[l4 + 8 : l4 + 13]
    sequence = int.from_bytes(packet[l4 + 4 : l4 + 8], "big")
    flags, window, tail = packet[l4 + 13], packet[l4 + 14 : l4 + 16], packet[l4 + 18 : header]
    # Everything of the pseudo-header and the TCP header that is the same in all segments.
    same = ip.pseudo + TCP + sum_of(ports) + sum_of(mid[:4]) + sum_of(window) + sum_of(tail)
    offset = mid[4] << 8
    last = len(packet) - segment
    for number, at in enumerate(range(header, len(packet), segment)):
        payload = packet[at : at + segment]
        total = header + len(payload)
        marks = flags & ~CWR if number else flags  # CWR: once per reduction (RFC 3168 §6.1.2)
        if at < last:
            marks &= ~(FIN | PSH)
        place = (sequence + at - header) & 0xFFFFFFFF
        found = same + total - l4 + (place >> 16) + (place & 0xFFFF) + offset + marks
        found = 0xFFFF - ((found + sum_of(payload)) % 0xFFFF or 0xFFFF)
        yield b"%b%b%b%b%b%b%b%b%b" % (
            ip.head(total, number),
            ports,
            place.to_bytes(4, "big"),
            mid,
            marks.to_bytes(1, "big"),
            window,
            found.to_bytes(2, "big"),
            tail,
            payload,
        )


def _udp_segments(
    packet: bytes, ip: _Ipv4Heads | _Ipv6Heads, l4: int, header: int, segment: int
) -> Iterator[bytes]:
    ports = packet[l4 : l4 + 4]
    same = ip.pseudo + UDP + sum_of(ports)
    for number, at in enumerate(range(header, len(packet), segment)):
        payload = packet[at : at + segment]
        size = 8 + len(payload)
        found = 0xFFFF - ((same + 2 * size + sum_of(payload)) % 0xFFFF or 0xFFFF)
        yield b"%b%b%b%b" % (
            ip.head(l4 + size, number),
            ports,
            (size << 16 | (found or 0xFFFF)).to_bytes(4, "big"),
            payload,
        )


# --- to the TUN --------------------------------------------------------------------------------


class _Run:
    """TCP segments, each going on where the one before ended."""

    __slots__ = ("closed", "header", "l4", "length", "next", "packets", "segment")

    def __init__(self, packet: bytes, l4: int, header: int) -> None:
        self.packets = [packet]
        self.l4, self.header = l4, header
        self.length = len(packet)
        self.segment = len(packet) - header
        self.next = int.from_bytes(packet[l4 + 4 : l4 + 8], "big") + self.segment
        self.closed = bool(packet[l4 + 13] & PSH)

    def continues(self, packet: bytes, l4: int, header: int) -> bool:
        """Whether cutting the joined packet again would give this segment."""
        first, payload = self.packets[0], len(packet) - header
        if (
            self.closed
            or header != self.header
            or l4 != self.l4
            or int.from_bytes(packet[l4 + 4 : l4 + 8], "big") != self.next & 0xFFFFFFFF
            or payload > self.segment
            or self.length + payload > MOST_JOINED
        ):
            return False
        if l4 == IPV6_HEADER:
            if packet[:4] != first[:4] or packet[6:l4] != first[6:l4]:
                return False
        else:
            steps = (packet[4] << 8 | packet[5]) - (first[4] << 8 | first[5])
            if (
                packet[:2] != first[:2]
                or packet[6:10] != first[6:10]
                or packet[12:l4] != first[12:l4]
                or (steps & 0xFFFF != len(self.packets) and not packet[6] & DF)
            ):
                return False
        return (
            packet[l4 : l4 + 4] == first[l4 : l4 + 4]
            and packet[l4 + 8 : l4 + 13] == first[l4 + 8 : l4 + 13]
            and packet[l4 + 14 : l4 + 16] == first[l4 + 14 : l4 + 16]
            and packet[l4 + 18 : header] == first[l4 + 18 : header]
        )

    def add(self, packet: bytes) -> None:
        payload = len(packet) - self.header
        self.packets.append(packet)
        self.length += payload
        self.next += payload
        self.closed = payload < self.segment or bool(packet[self.l4 + 13] & PSH)

    def frame(self) -> Frame:
        packets, l4, header = self.packets, self.l4, self.header
        if len(packets) == 1:
            return NO_HEADER, packets[0]
        head = bytearray(packets[0][:header])
        head[l4 + 13] |= packets[-1][l4 + 13] & PSH
        size = self.length - l4
        if l4 == IPV6_HEADER:
            head[4:6] = (self.length - IPV6_HEADER).to_bytes(2, "big")
            kind, ends = TCP6, head[8:40]
        else:
            head[2:4] = self.length.to_bytes(2, "big")
            head[10:12] = b"\0\0"
            head[10:12] = checksum(head[:l4]).to_bytes(2, "big")
            kind, ends = TCP4, head[12:20]
        pseudo = (sum_of(ends) + TCP + size) % 0xFFFF
        head[l4 + TCP_SUM : l4 + TCP_SUM + 2] = pseudo.to_bytes(2, "big")
        virtio = VIRTIO.pack(NEEDS_CSUM, kind, header, self.segment, l4, TCP_SUM)
        return virtio, bytes(head), *[packet[header:] for packet in packets]


def frames_of(packets: Iterable[bytes]) -> list[Frame]:
    """Packets for the TUN, TCP segments that follow each other joined, in order."""
    frames: list[Frame] = []
    run: _Run | None = None
    for packet in packets:
        l4, header = _joinable(packet)
        if run is not None:
            if header and run.continues(packet, l4, header) and _good(packet, l4):
                run.add(packet)
                continue
            frames.append(run.frame())
            run = None
        if header and _good(packet, l4):
            run = _Run(packet, l4, header)
        else:
            frames.append((NO_HEADER, packet))
    if run is not None:
        frames.append(run.frame())
    return frames


def _joinable(packet: bytes) -> tuple[int, int]:
    """Where transport header and payload of a plain TCP segment with payload begin; (0, 0): it is
    none. No options of IP, no fragment, no flags but ACK and PSH."""
    if packet[0] == 0x45:
        l4 = 20
        if packet[9] != TCP or packet[6] & ~DF or packet[7]:
            return 0, 0
    elif packet[0] >> 4 == 6:
        l4 = IPV6_HEADER
        if packet[6] != TCP:
            return 0, 0
    else:
        return 0, 0
    if len(packet) < l4 + 20 or packet[l4 + 13] & ~PSH != ACK:
        return 0, 0
    header = l4 + (packet[l4 + 12] >> 4) * 4
    return (l4, header) if l4 + 20 <= header < len(packet) else (0, 0)


def _good(packet: bytes, l4: int) -> bool:
    """Whether the TCP checksum is right: the kernel computes that of a joined packet anew, and an
    error made before the tunnel must not be healed by it."""
    ends = packet[12:20] if l4 == 20 else packet[8:40]
    return (sum_of(ends) + TCP + len(packet) - l4 + sum_of(packet[l4:])) % 0xFFFF == 0
