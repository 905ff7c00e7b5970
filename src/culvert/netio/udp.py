"""UDP sockets for IKE and ESP: batches in, batches out, the local address of every datagram known.

A socket bound to all addresses answers each peer from the address that peer called (IP_PKTINFO,
ip(7)): NATs and firewalls drop answers that come from elsewhere. Trains of equal datagrams cross
the kernel border in one call where it can (UDP_GRO, UDP_SEGMENT, udp(7)). Nothing a network does
raises here: what could not be sent or read is counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from culvert.errors import PlatformError
from culvert.inet.address import Address, Path
from culvert.inet.address import text as address_text
from culvert.netio.port_holder import holder_of_udp_port
from culvert.netio.xfrm import OTHER_ENGINE

BATCH = 64
"""Datagrams per `UdpSocket.read_batch`: enough to spread the cost of a wake-up, few enough that
timers and the other sockets get their turn within a fraction of a millisecond."""

LARGEST_DATAGRAM = 65535

SOCKET_BUFFER = 4 << 20
"""Octets of kernel buffer each way: some 25 ms at 1 Gbit/s, while Python is busy elsewhere."""

MAX_TRAIN = 64
"""UDP_MAX_SEGMENTS of older kernels (newer ones allow 128)."""

MAX_TRAIN_OCTETS = 65000
"""All segments together must stay one UDP datagram (65507 in IPv4, less with IPv6 options)."""

MAX_CALLED = 65536
"""Peers whose called address is remembered; the one silent for longest is forgotten first."""

# Not in Python's socket module: <linux/in.h>, <linux/in6.h>, <linux/udp.h>, <asm/socket.h>.
IP_PKTINFO = 8
IP_RECVTOS = 13
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
IPV6_RECVTCLASS, IPV6_TCLASS = 66, 67
UDP_SEGMENT = 103
UDP_GRO = 104
UDP_ENCAP, UDP_ENCAP_ESPINUDP = 100, 2
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_ATTACH_FILTER = 26

_PKTINFO4 = struct.Struct("=i4s4s")  # interface, address to answer from, address called
_PKTINFO6 = struct.Struct("=16si")  # address called, interface
_SEGMENT = struct.Struct("=H")
_NO_SUCH_SOURCE = {errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH}  # by kernel and family
_FILTER = struct.Struct("@HP")  # struct sock_fprog of <linux/filter.h>

# NAT keepalives, one octet 0xFF (RFC 3948 §2.3), end in the kernel: a thousand idle clients send
# fifty a second, and each would wake us for nothing. Offsets count from the UDP header.
_NO_KEEPALIVES = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x80, 0, 0, 0),  # A = length
        (0x15, 0, 2, 9),  # not header and one octet: take it
        (0x30, 0, 0, 8),  # A = that octet
        (0x15, 1, 0, 0xFF),  # a keepalive: drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
        (0x06, 0, 0, 0),  # drop
    )
)
_INSTRUCTION = 8

_MARK = struct.Struct("=i")
_CMSG_SPACE = socket.CMSG_SPACE(_PKTINFO6.size) + 2 * socket.CMSG_SPACE(4)

Ancillary = list[tuple[int, int, bytes]]
_UNMARKED: Ancillary = []


class Fragmentation(IntEnum):
    """Who may cut a datagram that is too long (values of IP_MTU_DISCOVER)."""

    ANYONE = 0
    """We and every router: nothing is lost to a black hole. The default, as in other VPN clients:
    the inner MTU keeps ESP small enough, and long IKE messages must get through."""
    SENDER = 1
    """We, by what is known of the path; DF is set."""
    NOBODY = 2
    """DF is set and what is too long is refused and counted: to find a path's MTU."""


@dataclass(slots=True)
class UdpCounters:
    """What happened at this socket since it was opened."""

    datagrams_in: int = 0
    datagrams_out: int = 0
    read_errors: int = 0
    full: int = 0  # our send buffer or the device's queue
    refused: int = 0  # the peer's machine says nobody listens there
    too_long: int = 0
    not_sent: int = 0  # no route, no such address, forbidden by a firewall …
    trains_refused: int = 0


class UdpSocket:
    """One bound, non-blocking UDP socket. `fileno` is for a selector."""

    def __init__(self, bound: socket.socket, *, encapsulated: bool, lane: int = 0) -> None:
        self._socket = bound
        self.lane = lane
        """See `culvert.netio.lanes`."""
        self._encapsulated = encapsulated
        name = bound.getsockname()
        self.local: Address = (name[0], name[1])
        self._called: dict[Address, Ancillary] = {}
        self._last_source: object = None
        self._last_info = b""
        self._path = Path(self.local, ("", 0))
        self._buffer = bytearray(LARGEST_DATAGRAM)
        self._view = memoryview(self._buffer)
        self.joins = _accepts(bound, UDP_GRO, 1)
        """The kernel hands over trains of datagrams in one read."""
        self.splits = _accepts(bound, UDP_SEGMENT, 0)
        """The kernel takes trains of datagrams in one write."""
        self._mark_kind = _tells_marks(bound)
        self.marks: Sequence[int] = ()
        """DSCP and ECN of each datagram of the last batch read (`culvert.inet.marks`); empty: none
        had any."""
        self.counters = UdpCounters()

    @classmethod
    def bind(
        cls,
        host: str,
        port: int,
        *,
        encapsulated: bool = False,
        fragmentation: Fragmentation = Fragmentation.ANYONE,
        lane: int = 0,
        shared: bool = False,
    ) -> Self:
        """A socket at ``host`` (``0.0.0.0`` or ``::`` for all addresses), port 0 for any free one.

        ``encapsulated``: the NAT-T port, where IKE stands behind the non-ESP marker, as the `Path`
        of what is read says; keepalives to it are dropped by the kernel. ``lane``: one more socket
        of that port beside that of lane 0, as ``shared`` is. Raises `PlatformError` saying who
        holds a taken port.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            _prepare(opened, fragmentation)
            if ipaddress.ip_address(host).is_unspecified:
                _ask_for_called_address(opened)
            if encapsulated:
                _drop_keepalives(opened)
            if lane or shared:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            opened.bind((host, port))
            return cls(opened, encapsulated=encapsulated, lane=lane)
        except OSError as error:
            opened.close()
            raise _cannot_bind((host, port), error) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def leave_esp_to_the_kernel(self) -> None:
        """ESP that comes here is the kernel's to open, and what has the non-ESP marker is read
        here as ever. Raises `PlatformError`."""
        # Trains would reach the kernel's ESP in one piece.
        self.joins = False
        try:
            self._socket.setsockopt(socket.SOL_UDP, UDP_GRO, 0)
            self._socket.setsockopt(socket.SOL_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
        except OSError as error:
            raise PlatformError(
                f"the kernel takes no ESP from UDP port {self.local[1]}: {error.strerror}",
                action=OTHER_ENGINE,
            ) from error

    # --- in ---

    def read_batch(self, limit: int = BATCH) -> list[tuple[bytes, Path]]:
        """What has arrived, oldest first; empty when nothing has.

        At least ``limit`` datagrams if there are so many, and never more than one train beyond.
        """
        batch: list[tuple[bytes, Path]] = []
        marks: list[int] = []
        errors = 0
        while len(batch) < limit and errors < limit:
            try:
                size, ancillary, _, source = self._socket.recvmsg_into([self._buffer], _CMSG_SPACE)
            except BlockingIOError:
                break
            except OSError:
                errors += 1
                self.counters.read_errors += 1
                continue
            info, step, mark, first = b"", 0, 0, len(batch)
            for level, kind, data in ancillary:
                if level == socket.SOL_UDP and kind == UDP_GRO:
                    step = int.from_bytes(data[:4], sys.byteorder)
                elif (level, kind) == self._mark_kind:
                    mark = int.from_bytes(data, sys.byteorder)
                else:
                    info = data
            if source != self._last_source or info != self._last_info:
                self._path = self.heard((source[0], source[1]), info)
                self._last_source, self._last_info = source, info
            path = self._path
            if 0 < step < size:
                view = self._view
                batch.extend(
                    (bytes(view[at : min(at + step, size)]), path) for at in range(0, size, step)
                )
            else:
                batch.append((bytes(self._view[:size]), path))
            if mark or marks:
                marks += [0] * (first - len(marks)) + [mark] * (len(batch) - first)
        self.counters.datagrams_in += len(batch)
        self.marks = marks
        return batch

    def heard(self, remote: Address, info: bytes) -> Path:
        """The path of a datagram from ``remote``, noting which of our addresses it called.

        ``info`` is in_pktinfo or in6_pktinfo, or empty where one address is bound. For those who
        read the descriptor themselves.
        """
        local = self.local[0]
        if len(info) == _PKTINFO4.size:
            answer_from = info[4:8]
            local = socket.inet_ntop(socket.AF_INET, answer_from)
            answer = _PKTINFO4.pack(0, answer_from, b"")
            self._remember(remote, (socket.IPPROTO_IP, IP_PKTINFO, answer))
        elif len(info) == _PKTINFO6.size:
            local = socket.inet_ntop(socket.AF_INET6, info[:16])
            answer = _PKTINFO6.pack(info[:16], 0)
            self._remember(remote, (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, answer))
        return Path((local, self.local[1]), remote, self._encapsulated)

    def remember_with(self, other: UdpSocket) -> None:
        """Peers that called one of them, called both: they have the same address."""
        self._called = other._called  # of the same class

    def called(self, remote: Address) -> bytes:
        """The in_pktinfo or in6_pktinfo to answer ``remote`` with; empty: from any address."""
        answer = self._called.get(remote)
        return answer[0][2] if answer else b""

    def _remember(self, remote: Address, answer: tuple[int, int, bytes]) -> None:
        """Taken out and put back: the first is always the one silent for longest."""
        called = self._called
        if called.pop(remote, None) is None and len(called) >= MAX_CALLED:
            del called[next(iter(called))]
        called[remote] = [answer]

    # --- out ---

    def send(self, octets: bytes, to: Address) -> bool:
        """Send one datagram; False when it was counted as lost."""
        return self.send_batch([(octets, to)]) == 1

    def send_batch(self, batch: Sequence[tuple[bytes, Address]], mark: int = 0) -> int:
        """Send in order, with this DSCP and ECN; how many the kernel took. The rest is counted, as
        lost on the way."""
        marked = [(*self._mark_kind, _MARK.pack(mark))] if mark else _UNMARKED
        if not self.splits:
            sent = sum(self._send_one(octets, to, marked) for octets, to in batch)
        else:
            sent = sum(self._send_run(run, to, marked) for run, to in _runs(batch))
        self.counters.datagrams_out += sent
        return sent

    def _send_run(self, run: list[bytes], to: Address, marked: Ancillary) -> int:
        if len(run) > 1 and self.splits:
            segment = (socket.SOL_UDP, UDP_SEGMENT, _SEGMENT.pack(len(run[0])))
            try:
                with_it = [*self._called.get(to, ()), *marked, segment]
                self._socket.sendmsg(run, with_it, 0, to)
            except OSError as error:
                self._train_refused(error)
            else:
                return len(run)
        return sum(self._send_one(octets, to, marked) for octets in run)

    def _train_refused(self, error: OSError) -> None:
        """A full queue or a narrow path says nothing about trains; anything else ends them.

        EIO: the device cannot checksum them; EINVAL: a kernel or path that wants none.
        """
        self.counters.trains_refused += 1
        if error.errno in {errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT}:
            self.splits = False

    def _send_one(self, octets: bytes, to: Address, marked: Ancillary) -> bool:
        called = self._called.get(to)
        try:
            if called is None and not marked:
                self._socket.sendto(octets, to)
            else:
                self._socket.sendmsg((octets,), [*(called or ()), *marked], 0, to)
        except OSError as error:
            if called is not None and error.errno in _NO_SUCH_SOURCE:
                # That address has left this machine (the laptop moved): send from what we have.
                del self._called[to]
                self._last_source = None
                return self._send_one(octets, to, marked)
            self._count(error)
            return False
        return True

    def _count(self, error: OSError) -> None:
        match error.errno:
            case errno.EAGAIN | errno.ENOBUFS | errno.ENOMEM:
                self.counters.full += 1
            case errno.ECONNREFUSED:
                self.counters.refused += 1
            case errno.EMSGSIZE:
                self.counters.too_long += 1
            case _:
                self.counters.not_sent += 1


def _runs(batch: Iterable[tuple[bytes, Address]]) -> Iterator[tuple[list[bytes], Address]]:
    """Neighbours for one peer, all of one size except a smaller last one, as UDP_SEGMENT wants."""
    run: list[bytes] = []
    peer: Address | None = None
    size = octets_in_run = 0
    for octets, to in batch:
        length = len(octets)
        fits = (
            to == peer
            and 0 < length <= size
            and len(run[-1]) == size
            and len(run) < MAX_TRAIN
            and octets_in_run + length <= MAX_TRAIN_OCTETS
        )
        if not fits:
            if peer is not None:
                yield run, peer
            run, peer, size, octets_in_run = [], to, length, 0
        run.append(octets)
        octets_in_run += length
    if peer is not None:
        yield run, peer


def _prepare(opened: socket.socket, fragmentation: Fragmentation) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, fragmentation)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, fragmentation)
    for forced, asked in (
        (SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)
        except PermissionError:
            # Without CAP_NET_ADMIN the system's own ceiling (net.core.*mem_max) holds.
            opened.setsockopt(socket.SOL_SOCKET, asked, SOCKET_BUFFER)


def _ask_for_called_address(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _drop_keepalives(opened: socket.socket) -> None:
    """Where the kernel takes no filter the data path drops them, as it always does."""
    program = ctypes.create_string_buffer(_NO_KEEPALIVES, len(_NO_KEEPALIVES))
    count = len(_NO_KEEPALIVES) // _INSTRUCTION
    with contextlib.suppress(OSError):
        opened.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, _FILTER.pack(count, ctypes.addressof(program))
        )


def _tells_marks(opened: socket.socket) -> tuple[int, int]:
    """Ask for DSCP and ECN of every datagram; as what control message they come, and are sent."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
        return socket.IPPROTO_IPV6, IPV6_TCLASS
    opened.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    return socket.IPPROTO_IP, socket.IP_TOS


def _accepts(opened: socket.socket, option: int, value: int) -> bool:
    try:
        opened.setsockopt(socket.SOL_UDP, option, value)
    except OSError:
        return False
    return True


def _cannot_bind(address: Address, error: OSError) -> PlatformError:
    where = f"UDP port {address[1]} at {address[0]}"
    match error.errno:
        case errno.EADDRINUSE:
            holder = holder_of_udp_port(address[1])
            return PlatformError(
                f"{where} is taken" + (f" by {holder}" if holder else ""),
                action="stop that program, or choose another port",
            )
        case errno.EACCES:
            return PlatformError(
                f"no permission for {where}",
                action="run as root, or with the capability CAP_NET_BIND_SERVICE",
            )
        case errno.EADDRNOTAVAIL:
            return PlatformError(
                f"{where}: this machine does not have that address",
                action="use an address of this machine, or 0.0.0.0 for all of them",
            )
        case _:
            return PlatformError(
                f"cannot open {address_text(address)}: {os.strerror(error.errno or 0)}",
                action="check the address and the kernel's support for its family",
            )
