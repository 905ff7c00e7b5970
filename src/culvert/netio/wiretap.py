"""What passes this machine's network cards of IKE and ESP: a packet socket with a filter.

It sees what arrived before any firewall of this machine, and what left after it. Linux packet
sockets are what tcpdump uses; the filter is in the kernel, so that other traffic costs nothing.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from culvert.errors import PlatformError
from culvert.netio.udp import SO_ATTACH_FILTER

ETH_P_ALL = 3
PACKET_OUTGOING = 4
LOOPBACK = "lo"
ESP, TCP, UDP = 50, 6, 17
FRAGMENT_HEADER = 44
LARGEST = 65_535
QUEUE = 16 << 20
"""Octets that wait to be read; what comes beyond is missing, and the kernel counts it."""

_LOAD8, _LOAD16, _LOAD16_X, _HEADER4 = 0x30, 0x28, 0x48, 0xB1
_SHIFT, _EQUAL, _ANY_BIT, _RETURN = 0x74, 0x15, 0x45, 0x06
_STATISTICS = struct.Struct("=II")
SOL_PACKET, PACKET_STATISTICS = 263, 6


class WireTap:
    """`read` gives the IP packets of ESP, and those of TCP and UDP with one of ``ports``.

    Raises PlatformError where this process may not (it takes CAP_NET_RAW).
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    @classmethod
    def open(cls, ports: Iterable[int]) -> Self:
        try:
            opened = socket.socket(
                socket.AF_PACKET,
                socket.SOCK_DGRAM | socket.SOCK_NONBLOCK,
                socket.htons(ETH_P_ALL),
            )
        except OSError as error:
            raise PlatformError(
                f"packets cannot be captured: {error.strerror}",
                action="Run as root, or leave the capture to another program.",
            ) from error
        made = program(ports)
        held = ctypes.create_string_buffer(made, len(made))
        filter_ = struct.pack("@HP", len(made) // 8, ctypes.addressof(held))
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        made_tap = cls(opened)
        while made_tap.read() is not None:
            pass  # what came before the filter stood
        return made_tap

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes | None:
        """One IP packet; None when there is none now."""
        while True:
            try:
                octets, (device, _, way, *_) = self._socket.recvfrom(LARGEST)
            except OSError:
                return None
            # Within this machine a packet is seen as it leaves and as it arrives.
            if device != LOOPBACK or way != PACKET_OUTGOING:
                return octets

    @property
    def missed(self) -> int:
        """Packets that came faster than they were read, since the last look."""
        found = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        return int(_STATISTICS.unpack(found)[1])

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class _Step:
    """An instruction of classic BPF; ``yes`` and ``no`` are labels to go to, empty for the next."""

    code: int
    value: int = 0
    yes: str = ""
    no: str = ""


def program(ports: Iterable[int]) -> bytes:
    """Offsets count from the IP header. A later piece of a packet has no ports: all are taken."""
    wanted = [_Step(_EQUAL, port, "take") for port in sorted(set(ports))]
    return _assembled(
        (
            _Step(_LOAD8, 0),
            _Step(_SHIFT, 4),
            _Step(_EQUAL, 6, "six"),
            _Step(_EQUAL, 4, no="drop"),
            _Step(_LOAD8, 9),
            _Step(_EQUAL, ESP, "take"),
            _Step(_EQUAL, UDP, "ports"),
            _Step(_EQUAL, TCP, no="drop"),
            "ports",
            _Step(_LOAD16, 6),
            _Step(_ANY_BIT, 0x1FFF, "take"),
            _Step(_HEADER4),
            _Step(_LOAD16_X, 0),
            *wanted,
            _Step(_LOAD16_X, 2),
            *wanted,
            _Step(_RETURN, 0),
            "six",
            _Step(_LOAD8, 6),
            _Step(_EQUAL, ESP, "take"),
            _Step(_EQUAL, FRAGMENT_HEADER, "take"),
            _Step(_EQUAL, UDP, "ports6"),
            _Step(_EQUAL, TCP, no="drop"),
            "ports6",
            _Step(_LOAD16, 40),
            *wanted,
            _Step(_LOAD16, 42),
            *wanted,
            "drop",
            _Step(_RETURN, 0),
            "take",
            _Step(_RETURN, LARGEST),
        )
    )


def _assembled(written: Sequence[_Step | str]) -> bytes:
    """Labels to distances, which count from the instruction after the jump."""
    places: dict[str, int] = {}
    steps: list[_Step] = []
    for one in written:
        if isinstance(one, str):
            places[one] = len(steps)
        else:
            steps.append(one)
    made = b""
    for number, step in enumerate(steps):
        yes, no = (places[label] - number - 1 if label else 0 for label in (step.yes, step.no))
        made += struct.pack("=HBBI", step.code, yes, no, step.value)
    return made
