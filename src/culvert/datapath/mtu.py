"""How large a packet may be inside the tunnel, by suite and path (RFC 4303 §2.4)."""

from __future__ import annotations

from enum import IntEnum

from culvert.crypto.packet import HEADER_OCTETS, PacketSuite

TRAILER_OCTETS = 2  # pad length and next header
ETHERNET = 1500
IKE_PORT = 500
OUTER_IPV4, OUTER_IPV6 = 20, 40


class Carriage(IntEnum):
    """What ESP travels in, as octets between the outer IP header and it."""

    BARE = 0
    UDP = 8  # RFC 3948
    EARLY_UDP = 16  # drafts 00 and 01 of it: eight zero octets behind the UDP header
    TCP = 36  # Cisco's TCP encapsulation: header 20, trailer 16


def carriage_of(local_port: int) -> Carriage:
    """What the data path sends in from this port of ours; plain ESP has none."""
    if local_port == IKE_PORT:
        return Carriage.EARLY_UDP
    return Carriage.UDP if local_port else Carriage.BARE


def inner_mtu(
    suite: PacketSuite,
    *,
    path_mtu: int = ETHERNET,
    carriage: Carriage = Carriage.UDP,
    outer_header: int = OUTER_IPV4,
) -> int:
    """The largest inner packet whose datagram still fits the path in one piece."""
    around = outer_header + carriage + HEADER_OCTETS
    return fitting(path_mtu - around, suite.cipher.iv + suite.icv, suite.cipher.align)


def fitting(room: int, overhead: int, align: int) -> int:
    """The largest packet that, padded to ``align`` with its trailer, fits beside ``overhead``."""
    return (room - overhead) // align * align - TRAILER_OCTETS


def largest_inside(fitting_: int, *chosen: int) -> int:
    """No more than fits, or what was chosen if that is less (0: nothing was). Whoever chooses more
    than Ethernet has says that the way is as wide: then that counts."""
    wanted = min(filter(None, chosen), default=fitting_)
    return wanted if wanted > ETHERNET else min(fitting_, wanted)
