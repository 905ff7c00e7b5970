"""More sockets for a UDP port, one for each lane (`culvert.inet.lane`), by SO_REUSEPORT.

The kernel's own filter machine picks the socket: by the SPI, which stands first in ESP's datagrams;
IKE has zero there (RFC 3948 §2.2). Each socket has a queue of its own, so what a session sends too
much of is dropped by the kernel, from its lane, before it costs us anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable

from culvert.errors import PlatformError
from culvert.inet.lane import LANES
from culvert.netio.udp import UdpSocket

SO_ATTACH_REUSEPORT_CBPF = 51

# Offsets count from the payload; a datagram too short for the load goes to socket 0.
_BY_SPI = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x20, 0, 0, 0),  # A = the first four octets
        (0x15, 0, 1, 0),  # not zero: ESP
        (0x06, 0, 0, 0),  # IKE: socket 0
        (0x54, 0, 0, LANES - 1),  # A &= …
        (0x04, 0, 0, 1),  # A += 1
        (0x16, 0, 0, 0),  # socket A
    )
)
_INSTRUCTION = 8
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog of <linux/filter.h>

Given = Callable[[int], socket.socket | None]
"""The socket of a lane, if another process had it before."""


def with_lanes(first: UdpSocket, given: Given) -> list[UdpSocket]:
    """``first`` and the sockets of its lanes, in order; ``first`` alone where the kernel does not
    sort. Another program finds the port taken all the same: its first socket shares nothing."""
    inner = socket.socket(fileno=first.fileno())
    opened = [first]
    try:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for lane in range(1, 1 + LANES):
            had = given(lane)
            opened.append(
                UdpSocket(had, encapsulated=True, lane=lane)
                if had is not None
                else UdpSocket.bind(*first.local, encapsulated=True, lane=lane)
            )
        program = ctypes.create_string_buffer(_BY_SPI, len(_BY_SPI))
        count = len(_BY_SPI) // _INSTRUCTION
        told = _PROGRAM.pack(count, ctypes.addressof(program))
        inner.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, told)
    except (OSError, PlatformError):
        for one in opened[1:]:
            one.close()
        with contextlib.suppress(OSError):
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return [first]
    finally:
        inner.detach()
    for one in opened[1:]:
        one.remember_with(first)
    return opened
