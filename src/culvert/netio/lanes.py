"""More sockets for a UDP port, one for each lane (`culvert.inet.lane`), by SO_REUSEPORT.

The kernel's own filter machine picks the socket: by the SPI, which stands first in ESP's datagrams;
IKE has zero there (RFC 3948 §2.2). Each socket has a queue of its own, so what a session sends too
much of is dropped by the kernel, from its lane, before it costs us anything.

Of several workers (`culvert.inet.lane.Share`) each has a set of sockets, and the program finds the
one by the responder's cookie, which is ours, or by bits of the SPI. Only a first message has none
yet: the initiator's cookie picks any of them, and a repetition the same one.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from culvert.errors import PlatformError
from culvert.inet.lane import LANES
from culvert.netio.udp import UdpSocket

SO_ATTACH_REUSEPORT_CBPF = 51


class Step(NamedTuple):
    """struct sock_filter of <linux/filter.h>."""

    code: int
    value: int = 0
    then: int = 0
    otherwise: int = 0


Program = tuple[Step, ...]

_LOAD, _TO_X, _JUMP, _IF_EQUAL, _RETURN, _SOCKET_A = 0x20, 0x07, 0x05, 0x15, 0x06, 0x16
_ADD, _ADD_X, _TIMES, _OR_X, _AND, _SHIFT, _MODULO = 0x04, 0x0C, 0x24, 0x4C, 0x54, 0x74, 0x94
_LANE_BITS = LANES.bit_length() - 1
_SET = 1 + LANES
"""Sockets of one worker on a port that carries ESP: one for IKE, and its lanes."""
_MARKER = 4
"""Octets of zero before IKE there (RFC 3948 §2.2)."""

# Offsets count from the payload; a datagram too short for a load goes to socket 0.
_BY_SPI: Program = (
    Step(_LOAD, 0),
    Step(_IF_EQUAL, 0, 0, 1),  # not zero: ESP
    Step(_RETURN, 0),  # IKE
    Step(_AND, LANES - 1),
    Step(_ADD, 1),
    Step(_SOCKET_A),
)


def _by_cookie(at: int, workers: int, sockets: int) -> Program:
    """IKE that begins at this offset. ``sockets``: of each worker."""
    return (
        Step(_LOAD, at + 8),
        Step(_TO_X),
        Step(_LOAD, at + 12),
        Step(_OR_X),
        Step(_IF_EQUAL, 0, 0, 2),
        Step(_LOAD, at + 4),  # no cookie of ours: a first message
        Step(_JUMP, 1),
        Step(_LOAD, at + 12),
        Step(_MODULO, workers),
        Step(_TIMES, sockets),
        Step(_SOCKET_A),
    )


def _on_natt_port(workers: int) -> Program:
    """As `_BY_SPI`, for so many workers."""
    esp = (
        Step(_SHIFT, _LANE_BITS),
        Step(_MODULO, workers),
        Step(_TIMES, _SET),
        Step(_TO_X),
        Step(_LOAD, 0),
        Step(_AND, LANES - 1),
        Step(_ADD_X),
        Step(_ADD, 1),
        Step(_SOCKET_A),
    )
    first = (Step(_LOAD, 0), Step(_IF_EQUAL, 0, len(esp), 0))
    return (*first, *esp, *_by_cookie(_MARKER, workers, _SET))


def _on_ike_port(workers: int) -> Program:
    """Where the initiator's cookie is zero, ESP begins behind it (NAT-T drafts 00 and 01)."""
    esp = (Step(_LOAD, 8), Step(_SHIFT, _LANE_BITS), Step(_MODULO, workers), Step(_SOCKET_A))
    first = (
        Step(_LOAD, 0),
        Step(_TO_X),
        Step(_LOAD, 4),
        Step(_OR_X),
        Step(_IF_EQUAL, 0, 0, len(esp)),
    )
    return (*first, *esp, *_by_cookie(0, workers, 1))


_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog of <linux/filter.h>

Given = Callable[[int], socket.socket | None]
"""The socket of a lane, if another process had it before."""


def with_lanes(first: UdpSocket, given: Given) -> list[UdpSocket]:
    """``first`` and the sockets of its lanes, in order; ``first`` alone where the kernel does not
    sort. Another program finds the port taken all the same: its first socket shares nothing."""

    def rest() -> Iterator[UdpSocket]:
        for lane in range(1, 1 + LANES):
            had = given(lane)
            yield (
                UdpSocket(had, encapsulated=True, lane=lane)
                if had is not None
                else UdpSocket.bind(*first.local, encapsulated=True, lane=lane)
            )

    opened, problem = _sorted_by(_BY_SPI, first, rest())
    if not problem:
        for one in opened[1:]:
            one.remember_with(first)
    return opened


def with_workers(first: UdpSocket, workers: int, *, lanes: bool) -> list[list[UdpSocket]]:
    """The sockets of each worker on the port of ``first``, with those of its ``lanes``. Raises
    `PlatformError`."""

    def rest() -> Iterator[UdpSocket]:
        for number in range(1, workers * size):
            yield UdpSocket.bind(*first.local, encapsulated=lanes, lane=number % size, shared=True)

    size = _SET if lanes else 1
    program = _on_natt_port(workers) if lanes else _on_ike_port(workers)
    opened, problem = _sorted_by(program, first, rest())
    if problem:
        raise PlatformError(
            f"UDP port {first.local[1]} cannot be shared by several workers: {problem}",
            action="set workers = 1",
        )
    groups = [opened[at : at + size] for at in range(0, len(opened), size)]
    for group in groups:
        for one in group[1:]:
            one.remember_with(group[0])
    return groups


def _sorted_by(
    program: Program, first: UdpSocket, rest: Iterator[UdpSocket]
) -> tuple[list[UdpSocket], str]:
    """``first`` and the others, among which the kernel chooses by ``program``; or ``first`` alone,
    and why."""
    inner = socket.socket(fileno=first.fileno())
    opened = [first]
    try:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened += rest
        code = b"".join(_INSTRUCTION.pack(s.code, s.then, s.otherwise, s.value) for s in program)
        held = ctypes.create_string_buffer(code, len(code))
        told = _PROGRAM.pack(len(program), ctypes.addressof(held))
        inner.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, told)
    except (OSError, PlatformError) as error:
        for one in opened[1:]:
            one.close()
        with contextlib.suppress(OSError):
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return [first], str(error)
    finally:
        inner.detach()
    return opened, ""
