"""TCP and UDP packets of both families, and how a super-packet is cut: written a second time.

Slow and plain on purpose: it is what the compiled engine's segmentation is compared with.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import checksum
from culvert.inet.packet import addresses, whole

TCP, UDP = 6, 17
NEEDS_CSUM = 1
GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP = 0, 1, 4, 5
FIN, SYN, PSH, ACK, CWR = 1, 2, 8, 16, 128
VNET = struct.Struct("=BBHHHH")


@dataclass(frozen=True)
class Flow:
    """Both ends; addresses as octets, of one family."""

    source: bytes
    destination: bytes
    ports: bytes = b"\x1f\x90\x00\x50"

    @property
    def six(self) -> bool:
        return len(self.source) == 16

    def tcp(
        self,
        payload: bytes,
        sequence: int = 1,
        flags: int = ACK,
        *,
        options: bytes = b"",
        acknowledged: int = 77,
        window: int = 500,
        identification: int = 0,
        fragmentable: bool = False,
    ) -> bytes:
        offset = (20 + len(options)) // 4 << 4
        head = self.ports + struct.pack(
            ">IIBBHHH", sequence % 2**32, acknowledged, offset, flags, window, 0, 0
        )
        packet = self._packet(TCP, head + options + payload)
        return summed(_named(packet, identification, fragmentable))

    def udp(self, payload: bytes) -> bytes:
        head = self.ports + (8 + len(payload)).to_bytes(2, "big") + b"\0\0"
        return summed(self._packet(UDP, head + payload))

    def _packet(self, protocol: int, octets: bytes) -> bytes:
        make = ipv6.build if self.six else ipv4.build
        return make(protocol, self.source, self.destination, octets)


def _named(packet: bytes, identification: int, fragmentable: bool) -> bytes:
    if packet[0] >> 4 == 6:
        return packet
    changed = bytearray(packet)
    changed[4:6] = identification.to_bytes(2, "big")
    changed[6] = 0 if fragmentable else 0x40
    return bytes(changed)


def start_of(packet: bytes) -> int:
    return (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40


def pseudo(packet: bytes, protocol: int) -> bytes:
    size = len(packet) - start_of(packet)
    return addresses(packet) + struct.pack(">II", size, protocol)


def summed(packet: bytes) -> bytes:
    """With all its sums computed."""
    made = bytearray(packet)
    start = start_of(packet)
    protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
    if packet[0] >> 4 == 4:
        made[10:12] = b"\0\0"
        made[10:12] = checksum(made[:start]).to_bytes(2, "big")
    at = start + (16 if protocol == TCP else 6)
    made[at : at + 2] = b"\0\0"
    found = checksum(pseudo(packet, protocol) + made[start:])
    made[at : at + 2] = (found or (0xFFFF if protocol == UDP else 0)).to_bytes(2, "big")
    return bytes(made)


def offered(packet: bytes, segment: int = 0) -> bytes:
    """The packet as the kernel leaves it to us: its sum not computed, to be cut if ``segment``."""
    start = start_of(packet)
    protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
    offset = 16 if protocol == TCP else 6
    made = bytearray(packet)
    made[start + offset : start + offset + 2] = (
        checksum(pseudo(packet, protocol)) ^ 0xFFFF
    ).to_bytes(2, "big")
    kind = GSO_NONE
    if segment:
        tcp = GSO_TCP4 if packet[0] >> 4 == 4 else GSO_TCP6
        kind = GSO_UDP if protocol == UDP else tcp
    header = 8 if protocol == UDP else (packet[start + 12] >> 4) * 4
    return VNET.pack(NEEDS_CSUM, kind, start + header, segment, start, offset) + bytes(made)


def cut(frame: bytes) -> list[bytes]:
    """The packets that a frame of a TUN with virtio headers stands for."""
    flags, kind, _, segment, start, offset = VNET.unpack_from(frame)
    packet = whole(frame[VNET.size :])
    if kind & 0x7F == GSO_NONE:
        if not flags & NEEDS_CSUM:
            return [packet]
        made = bytearray(packet)
        found = checksum(made[start:])
        made[start + offset : start + offset + 2] = (found or 0xFFFF).to_bytes(2, "big")
        return [bytes(made)]
    udp = kind & 0x7F == GSO_UDP
    header = start + (8 if udp else (packet[start + 12] >> 4) * 4)
    places = range(header, len(packet), segment)
    return [
        _segment(packet, start, header, number, at, packet[at : at + segment], udp=udp)
        for number, at in enumerate(places)
    ]


def _segment(
    packet: bytes, start: int, header: int, number: int, at: int, payload: bytes, *, udp: bool
) -> bytes:
    made = bytearray(packet[:header] + payload)
    if packet[0] >> 4 == 4:
        made[2:4] = len(made).to_bytes(2, "big")
        name = int.from_bytes(packet[4:6], "big") + number
        made[4:6] = (name % 2**16).to_bytes(2, "big")
    else:
        made[4:6] = (len(made) - 40).to_bytes(2, "big")
    if udp:
        made[start + 4 : start + 6] = (len(made) - start).to_bytes(2, "big")
    else:
        sequence = int.from_bytes(packet[start + 4 : start + 8], "big") + at - header
        made[start + 4 : start + 8] = (sequence % 2**32).to_bytes(4, "big")
        if at + len(payload) < len(packet):
            made[start + 13] &= ~(FIN | PSH)
        if number:
            made[start + 13] &= ~CWR & 0xFF
    return summed(bytes(made))
