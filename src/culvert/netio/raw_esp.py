"""Plain ESP (RFC 4303, IP protocol 50): a raw socket used like a UDP socket, without ports.

A peer is ``(host, 0)``, IPv4 only. Received packets lose their IP header here; packets in fragments
come whole. A kernel without ESP answers no "protocol unreachable" as long as this socket is open
(it answers only what no raw socket took), and one with ESP hands a copy of every packet to raw
sockets and drops its own silently when it has no SA for it, so both serve. Nothing a network does
raises here: what could not be sent or read is counted.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from culvert.errors import PlatformError
from culvert.inet.address import Address, Path
from culvert.netio.udp import (
    BATCH,
    IP_MTU_DISCOVER,
    IP_PKTINFO,
    LARGEST_DATAGRAM,
    MAX_CALLED,
    SO_RCVBUFFORCE,
    SO_SNDBUFFORCE,
    SOCKET_BUFFER,
    Fragmentation,
)

IPPROTO_ESP = 50
ANY = "0.0.0.0"  # noqa: S104  # whichever of our addresses is called

_SHORTEST_HEADER = 20  # RFC 791 §3.1
_PKTINFO = struct.Struct("=i4s4s")  # interface, address to answer from, address called
_CMSG_SPACE = socket.CMSG_SPACE(_PKTINFO.size)
_NO_SUCH_SOURCE = {errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH}


@dataclass(slots=True)
class RawCounters:
    """What happened at this socket since it was opened."""

    packets_in: int = 0
    packets_out: int = 0
    read_errors: int = 0
    foreign: int = 0  # not from a peer of ours: other programs' ESP passes here too
    full: int = 0  # our send buffer or the device's queue
    too_long: int = 0
    not_sent: int = 0  # no route, no such address, forbidden by a firewall …


class RawEsp:
    """All plain ESP of this machine (of this network namespace). `fileno` is for a selector.

    ``strangers``: hand over packets of hosts that never were told by `heard`, too. A gateway wants
    to know of them; a client would read the packets of every other VPN program.
    """

    splits = False
    lane = 0

    def __init__(self, opened: socket.socket, *, strangers: bool) -> None:
        self._socket = opened
        self._strangers = strangers
        self.local: Address = (ANY, 0)
        self._called: dict[str, bytes] = {}
        self._buffer = bytearray(LARGEST_DATAGRAM)
        self._view = memoryview(self._buffer)
        self.marks: Sequence[int] = ()
        """As `culvert.netio.udp.UdpSocket.marks`."""
        self.counters = RawCounters()

    @classmethod
    def open(cls, *, strangers: bool = False) -> Self:
        """Raises `PlatformError` where this process may not, or the system has no raw sockets."""
        try:
            opened = socket.socket(
                socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, IPPROTO_ESP
            )
        except OSError as error:
            raise PlatformError(
                f"plain ESP is not to be had: {os.strerror(error.errno or 0)}",
                action="run as root or with the capability CAP_NET_RAW, or leave ESP in UDP",
            ) from error
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, Fragmentation.ANYONE)
        for forced, plain in (
            (SO_RCVBUFFORCE, socket.SO_RCVBUF),
            (SO_SNDBUFFORCE, socket.SO_SNDBUF),
        ):
            try:
                opened.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)
            except OSError:  # CAP_NET_RAW without CAP_NET_ADMIN: as much as the system allows
                opened.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER)
        return cls(opened, strangers=strangers)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    # --- in ---

    def read_batch(self, limit: int = BATCH) -> list[tuple[bytes, Path]]:
        """What has arrived, at most ``limit`` packets, oldest first, from SPI to ICV."""
        batch: list[tuple[bytes, Path]] = []
        marks: list[int] = []
        for _ in range(limit):
            try:
                size, ancillary, _, source = self._socket.recvmsg_into([self._buffer], _CMSG_SPACE)
            except BlockingIOError:
                break
            except OSError:
                self.counters.read_errors += 1
                continue
            header = (self._buffer[0] & 0x0F) * 4 if size else 0
            if header < _SHORTEST_HEADER or size < header:
                self.counters.read_errors += 1
                continue
            host: str = source[0]
            if not self._strangers and host not in self._called:
                self.counters.foreign += 1
                continue
            info = next((data for _, kind, data in ancillary if kind == IP_PKTINFO), b"")
            batch.append((bytes(self._view[header:size]), self.heard((host, 0), info)))
            marks.append(self._buffer[1])
        self.counters.packets_in += len(batch)
        self.marks = marks
        return batch

    def heard(self, remote: Address, info: bytes) -> Path:
        """The path of a packet from ``remote``, noting which of our addresses it called
        (``info`` is in_pktinfo)."""
        if len(info) != _PKTINFO.size:
            return Path(self.local, remote)
        local = info[4:8]
        self._remember(remote[0], _PKTINFO.pack(0, local, b""))
        return Path((socket.inet_ntoa(local), 0), remote)

    def answer(self, host: str, local: str) -> None:
        """ESP for ``host`` leaves from ``local``, until its own packets call another address."""
        if local != ANY and ":" not in local and host not in self._called:
            self._remember(host, _PKTINFO.pack(0, socket.inet_aton(local), b""))

    def called(self, remote: Address) -> bytes:
        """The in_pktinfo to answer ``remote`` with; empty: from any address."""
        return self._called.get(remote[0], b"")

    def _remember(self, host: str, info: bytes) -> None:
        """Taken out and put back: the first is always the one silent for longest."""
        called = self._called
        if called.pop(host, None) is None and len(called) >= MAX_CALLED:
            del called[next(iter(called))]
        called[host] = info

    # --- out ---

    def send(self, octets: bytes, to: Address, mark: int = 0) -> bool:
        """Send one packet; False when it was counted as lost."""
        try:
            self._send(octets, to[0], mark)
        except OSError as error:
            self._count(error)
            return False
        self.counters.packets_out += 1
        return True

    def send_batch(self, batch: Iterable[tuple[bytes, Address]], mark: int = 0) -> int:
        """Send in order, with this DSCP and ECN; how many the kernel took. The rest is counted, as
        lost on the way."""
        return sum(self.send(octets, to, mark) for octets, to in batch)

    def _send(self, octets: bytes, host: str, mark: int) -> None:
        marked = [(socket.IPPROTO_IP, socket.IP_TOS, mark.to_bytes(1, "big"))] if mark else []
        info = self._called.get(host)
        if info is not None:
            try:
                ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, info), *marked]
                self._socket.sendmsg((octets,), ancillary, 0, (host, 0))
            except OSError as error:
                if error.errno not in _NO_SUCH_SOURCE:
                    raise
                # That address has left this machine: send from what we have. The host stays known.
                self._called[host] = _PKTINFO.pack(0, bytes(4), b"")
            else:
                return
        self._socket.sendmsg((octets,), marked, 0, (host, 0))

    def _count(self, error: OSError) -> None:
        match error.errno:
            case errno.EAGAIN | errno.ENOBUFS | errno.ENOMEM:
                self.counters.full += 1
            case errno.EMSGSIZE:
                self.counters.too_long += 1
            case _:
                self.counters.not_sent += 1
