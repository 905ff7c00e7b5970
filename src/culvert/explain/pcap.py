"""Reads pcap and pcapng files with dpkt: the IP packets in them, whatever the link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, BinaryIO, cast

import dpkt  # type: ignore[import-untyped]  # it has none; nothing of it leaves this file

from culvert.errors import ConfigError

MAGICS = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)
"""How pcap (both byte orders, micro- and nanoseconds) and pcapng begin."""

LONGEST_READ = 1 << 24
"""Octets of one record that are read: no packet has more, whatever its head says."""

HEAD = 24
"""Octets by which the reader library tells the two formats apart: it begins anew after them."""

ESP, UDP = 50, 17
_dpkt = cast("Any", dpkt)


@dataclass(frozen=True, slots=True)
class Seen:
    """An IP packet of ESP or UDP, or a later piece of one (``offset``)."""

    number: int
    at: datetime
    source: str
    target: str
    protocol: int
    octets: bytes
    ports: tuple[int, int] = (0, 0)
    offset: int = 0


class _Bounded:
    """What the reader library asks of a file; also of a pipe, which cannot go back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head = file.read(HEAD)
        self._at = 0

    def read(self, size: int) -> bytes:
        if size < 0:
            raise ValueError("a record is shorter than its head")
        part = self._head[self._at : self._at + size]
        self._at += len(part)
        wanted = min(size - len(part), LONGEST_READ)
        return part + self._file.read(wanted) if wanted else part

    def seek(self, place: int) -> None:
        """To the beginning, as long as nothing beyond the head was read."""
        self._at = place


def is_capture(first: bytes) -> bool:
    """Do the first octets of a file say so?"""
    return first.startswith(MAGICS)


def packets(file: BinaryIO) -> Iterator[Seen | int]:
    """Every packet that may concern us; at the end, or where the file is damaged, the count.

    Raises ConfigError if not even the head of the file can be read.
    """
    try:
        reader = _dpkt.pcap.UniversalReader(_Bounded(file))
        link = int(reader.datalink())
    except (ValueError, dpkt.UnpackError, OSError) as error:
        raise ConfigError(f"the capture cannot be read: {error}") from None
    number = 0
    frames = iter(reader)
    while True:
        try:
            seconds, octets = next(frames)
        except (StopIteration, ValueError, dpkt.UnpackError, OSError):
            yield number
            return
        number += 1
        found = _seen(number, float(seconds), link, bytes(octets))
        if found is not None:
            yield found


def _seen(number: int, seconds: float, link: int, octets: bytes) -> Seen | None:
    try:
        packet = _internet(link, octets)
        if packet is None or int(packet.p) not in (ESP, UDP):
            return None
        at = datetime.fromtimestamp(seconds, UTC)
        source, target = str(ip_address(packet.src)), str(ip_address(packet.dst))
        inner = packet.data
        offset = int(getattr(packet, "offset", 0))
        if int(packet.p) == ESP or offset:
            whole = bytes(inner)
            return Seen(number, at, source, target, int(packet.p), whole, offset=offset)
        if not isinstance(inner, dpkt.udp.UDP):
            return None
        inner = cast("Any", inner)
        ports = int(inner.sport), int(inner.dport)
        return Seen(number, at, source, target, UDP, bytes(inner.data), ports)
    except (dpkt.UnpackError, ValueError, OverflowError, OSError, IndexError, AttributeError):
        return None  # cut short by the capture, or not a packet that anybody could send


def _internet(link: int, octets: bytes) -> Any | None:
    """The IP packet of a frame, or None if there is none."""
    pcap = _dpkt.pcap
    if link == pcap.DLT_EN10MB:
        inner = _dpkt.ethernet.Ethernet(octets).data
    elif link == pcap.DLT_LINUX_SLL:
        inner = _dpkt.sll.SLL(octets).data
    elif link == pcap.DLT_LINUX_SLL2:
        inner = _dpkt.sll2.SLL2(octets).data
    elif link in (pcap.DLT_NULL, pcap.DLT_LOOP):
        inner = _dpkt.loopback.Loopback(octets).data
    else:
        inner = _dpkt.ip6.IP6(octets) if octets[0] >> 4 == 6 else _dpkt.ip.IP(octets)
    return inner if isinstance(inner, _dpkt.ip.IP | _dpkt.ip6.IP6) else None
