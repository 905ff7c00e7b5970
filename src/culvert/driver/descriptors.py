"""Sockets and devices as the pump uses them (`culvert.driver.pump`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from culvert.datapath.offload import Frame
from culvert.inet.address import Address, Path

BATCH = 64
"""Datagrams read at once where they are ESP."""


class Datagrams(Protocol):
    """A socket as the pump uses it (`culvert.netio.udp.UdpSocket`)."""

    local: Address
    splits: bool
    marks: Sequence[int]
    lane: int

    def fileno(self) -> int: ...

    def close(self) -> None: ...

    def read_batch(self, limit: int = BATCH) -> list[tuple[bytes, Path]]: ...

    def heard(self, remote: Address, info: bytes) -> Path: ...

    def called(self, remote: Address) -> bytes: ...

    def send(self, octets: bytes, to: Address) -> bool: ...

    def send_batch(self, batch: Sequence[tuple[bytes, Address]], mark: int = 0) -> int: ...


class Bare(Datagrams, Protocol):
    """The socket of plain ESP (`culvert.netio.raw_esp.RawEsp`)."""

    def answer(self, host: str, local: str) -> None: ...


class Inside(Protocol):
    """A TUN as the pump uses it (`culvert.netio.tun.Tun`)."""

    name: str
    virtio: bool
    offloads: Sequence[str]

    @property
    def lanes(self) -> Sequence[Inside]: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...

    def read_batch(self) -> list[bytes]: ...

    def write_batch(self, packets: Iterable[bytes]) -> int: ...

    def write_frames(self, frames: Iterable[Frame]) -> int: ...


def queues(tun: Inside) -> Sequence[Inside]:
    return (tun, *tun.lanes)


def queue(tun: Inside, lane: int) -> Inside:
    """That of the lane, if the device has lanes."""
    return tun.lanes[lane - 1] if 0 < lane <= len(tun.lanes) else tun
