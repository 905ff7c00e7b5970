"""The TUN device: inner packets in batches (Documentation/networking/tuntap.rst of the kernel).

The device is never made persistent: it is gone, with its addresses and routes, when the last
descriptor closes, however the process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from culvert.errors import MisuseError, PlatformError

BATCH = 64
"""Packets per `Tun.read_batch`; as `culvert.netio.udp.BATCH`, so that one wake-up fills one."""

BATCH_OCTETS = 128 * 1024
"""No packet more is read in one batch beyond this: super-packets are large, and others wait."""

LARGEST_PACKET = 65535

QUEUE_LENGTH = 2000
"""Packets that wait for us in each queue of the kernel. A flood fills the usual 500 within half a
millisecond, and what comes then is lost, whosever it is."""

VIRTIO_HEADER = 10
"""Octets of struct virtio_net_hdr before each packet of a device opened with ``virtio``."""

NAME_LENGTH = 15
"""IFNAMSIZ less the closing zero."""

_NAME = re.compile(r"[A-Za-z0-9_.-]+(%d)?")

# <linux/if_tun.h>
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_MULTI_QUEUE = 0x0100
IFF_TUN_EXCL = 0x8000
TUNSETOFFLOAD = 0x400454D0
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 0x01, 0x02, 0x04, 0x08
TUN_F_USO4, TUN_F_USO6 = 0x20, 0x40
_IFREQ = struct.Struct("16sH22x")
_IFREQ_NUMBER = struct.Struct("16si20x")
SIOCSIFTXQLEN = 0x8943  # <linux/sockios.h>

_DEVICE = "/dev/net/tun"

_TCP = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
_OFFLOADS = (
    (_TCP | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6, ("checksum", "tso4", "tso6", "ecn", "uso")),
    (_TCP | TUN_F_TSO_ECN, ("checksum", "tso4", "tso6", "ecn")),  # kernels before UDP's, 6.2
    (_TCP, ("checksum", "tso4", "tso6")),
    (TUN_F_CSUM, ("checksum",)),
)
"""What a kernel may leave to us, most first; each is asked for until one is granted."""


@dataclass(slots=True)
class TunCounters:
    packets_in: int = 0  # read: on their way into the tunnel
    packets_out: int = 0  # written: out of the tunnel
    not_written: int = 0  # the device is down, or the kernel found the packet malformed
    full: int = 0


class Tun:
    """One queue of a TUN device. `fileno` is for a selector."""

    def __init__(
        self, descriptor: int, name: str, *, virtio: bool = False, offloads: Sequence[str] = ()
    ) -> None:
        self._descriptor = descriptor
        self.name = name
        self.virtio = virtio
        """Each packet read has a virtio header and may be a super-packet."""
        self.offloads: Sequence[str] = tuple(offloads)
        """What the kernel leaves to us: sums, and cutting TCP and UDP super-packets."""
        self.lanes: tuple[Tun, ...] = ()
        """Other queues of the device (`culvert.inet.lane`): what is written to one, the kernel
        answers on the same."""
        self._buffer = bytearray(VIRTIO_HEADER + LARGEST_PACKET)
        self._buffers = (self._buffer,)
        self._view = memoryview(self._buffer)
        self.counters = TunCounters()

    @classmethod
    def open(
        cls,
        name: str = "culvert%d",
        *,
        multi_queue: bool = False,
        virtio: bool = False,
        another: bool = False,
    ) -> Self:
        """A new device; ``%d`` in the name takes the first free number.

        With ``multi_queue`` the same name may be opened again, with ``another``, for another queue
        of the same device; without, a device that is there already is somebody else's. With
        ``virtio`` packets carry virtio headers, if the kernel can. Raises
        `PlatformError` without the right, the kernel's support, or a free name.
        """
        check_name(name)
        flags = IFF_TUN | IFF_NO_PI | (IFF_MULTI_QUEUE if multi_queue else 0)
        flags |= 0 if another else IFF_TUN_EXCL
        try:
            descriptor = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _no_device(error) from error
        try:
            answer, virtio = _made(descriptor, name, flags, virtio=virtio)
        except OSError as error:
            os.close(descriptor)
            raise _cannot_make(name, error) from error
        offloads = _ask_for_offloads(descriptor) if virtio else ()
        made = cls(descriptor, answer[:16].rstrip(b"\0").decode(), virtio=virtio, offloads=offloads)
        _let_wait(made.name)
        return made

    @classmethod
    def open_lanes(cls, name: str, count: int, *, virtio: bool = False) -> Self:
        """As `open`, with ``count`` more queues; a kernel that has but one gives one."""
        try:
            first = cls.open(name, multi_queue=True, virtio=virtio)
        except PlatformError:
            return cls.open(name, virtio=virtio)
        with contextlib.suppress(PlatformError):
            for _ in range(count):
                one = cls.open(first.name, multi_queue=True, virtio=virtio, another=True)
                first.lanes = (*first.lanes, one)
        return first

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Closing twice is normal: a restored machine and an ending driver both do."""
        for one in self.lanes:
            one.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read_batch(self, limit: int = BATCH) -> list[bytes]:
        """Packets this machine wants to send, at most ``limit``; empty when there are none.

        With `virtio` each as the kernel gives it: header first, sums not computed, perhaps 64 KB.
        """
        batch: list[bytes] = []
        octets = 0
        readv, descriptor, buffers, view = os.readv, self._descriptor, self._buffers, self._view
        while len(batch) < limit and octets < BATCH_OCTETS:
            try:
                size = readv(descriptor, buffers)
            except OSError as error:
                # EIO: the device is down just now. EBADFD: it was deleted under us; the driver
                # learns that from `restore` and the event log, the pump merely finds no packet.
                if error.errno not in {errno.EAGAIN, errno.EIO, errno.EBADFD}:
                    raise
                break
            batch.append(bytes(view[:size]))
            octets += size
        self.counters.packets_in += len(batch)
        return batch

    def write_batch(self, packets: Iterable[bytes]) -> int:
        """Complete packets from the tunnel; how many the kernel took, the rest is counted."""
        header = bytes(VIRTIO_HEADER if self.virtio else 0)
        return self.write_frames((header + packet,) for packet in packets)

    def write_frames(self, frames: Iterable[Sequence[bytes]]) -> int:
        """As `write_batch`, of packets in pieces, a virtio header in front if the device has them
        (`culvert.datapath.offload.frames_of`)."""
        written = 0
        write, descriptor = os.writev, self._descriptor
        for frame in frames:
            try:
                taken = write(descriptor, frame)
            except OSError as error:
                if error.errno in {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}:
                    self.counters.full += 1
                else:
                    self.counters.not_written += 1
            else:
                written += taken > 0
                self.counters.not_written += taken == 0  # nothing was asked for
        self.counters.packets_out += written
        return written


def _made(descriptor: int, name: str, flags: int, *, virtio: bool) -> tuple[bytes, bool]:
    """The kernel's answer, and whether packets have virtio headers: very old kernels refuse."""
    if virtio:
        try:
            wanted = _IFREQ.pack(name.encode(), flags | IFF_VNET_HDR)
            return fcntl.ioctl(descriptor, TUNSETIFF, wanted), True
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    return fcntl.ioctl(descriptor, TUNSETIFF, _IFREQ.pack(name.encode(), flags)), False


def _ask_for_offloads(descriptor: int) -> tuple[str, ...]:
    for bits, names in _OFFLOADS:
        try:
            fcntl.ioctl(descriptor, TUNSETOFFLOAD, bits)
        except OSError:
            continue
        return names
    return ()


def _let_wait(name: str) -> None:
    """A longer queue, if the kernel allows it: a tunnel works with the usual one, too."""
    wanted = _IFREQ_NUMBER.pack(name.encode(), QUEUE_LENGTH)
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket,
    ):
        fcntl.ioctl(any_socket, SIOCSIFTXQLEN, wanted)


def check_name(name: str) -> None:
    """A name the kernel and every script can live with, or `MisuseError`."""
    if len(name) > NAME_LENGTH or not _NAME.fullmatch(name) or name in {".", ".."}:
        raise MisuseError(f"{name!r} is not a name for a network device")


def interfaces() -> frozenset[str]:
    """The names of all that are here."""
    return frozenset([name for _, name in socket.if_nameindex()])


def free_name(stem: str = "culvert") -> str:
    """``culvert0``, or the first number that no interface here has yet."""
    taken = interfaces()
    number = 0
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _no_device(error: OSError) -> PlatformError:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return PlatformError(
            f"no permission to open {_DEVICE}",
            action="run as root, or with the capability CAP_NET_ADMIN",
        )
    return PlatformError(
        f"{_DEVICE} cannot be opened: {error.strerror}",
        action="load the kernel module 'tun' (modprobe tun); in a container, pass the device in",
    )


def _cannot_make(name: str, error: OSError) -> PlatformError:
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return PlatformError(
                f"no permission to make the TUN device {name}",
                action="run as root, or with the capability CAP_NET_ADMIN",
            )
        case errno.EBUSY | errno.EEXIST:
            return PlatformError(
                f"the network device {name} exists already",
                action="choose another name, or end the program that holds it",
            )
        case _:
            return PlatformError(
                f"the TUN device {name} cannot be made: {error.strerror}",
                action="check the kernel's TUN support",
            )
