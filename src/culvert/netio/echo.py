"""ICMP echo from one of this machine's addresses (RFC 792): is somebody there, and how far away?"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from culvert.errors import PlatformError
from culvert.inet.checksum import checksum
from culvert.netio.netlink import kernel

ECHO_REPLY, ECHO_REQUEST = 0, 8
HEADER = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence
PAYLOAD = bytes(range(48))
INTERVAL = 1.0
"""Seconds between requests, and for how long each one's answer is awaited."""

IPV4_HEADER = 20
"""A raw socket hands over the IPv4 header too; its length stands in it."""


@dataclass(frozen=True, slots=True)
class Echoes:
    """``milliseconds`` of each that was answered."""

    source: str
    sent: int
    milliseconds: tuple[float, ...]


def ping(address: str, *, source: str = "", count: int = 3) -> Echoes:
    """Ask ``address`` (IPv4) ``count`` times, one a second. Blocks; needs CAP_NET_RAW.

    Raises PlatformError when nothing can be sent.
    """
    times: list[float] = []
    identifier = os.getpid() & 0xFFFF
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.bind((source, 0))
            raw.connect((address, 0))
            chosen = str(raw.getsockname()[0])
            for sequence in range(1, count + 1):
                began = time.monotonic()
                raw.send(request(identifier, sequence))
                if _answered(raw, identifier, sequence, began + INTERVAL):
                    times.append((time.monotonic() - began) * 1000)
                if sequence < count:
                    time.sleep(max(began + INTERVAL - time.monotonic(), 0.0))
    except OSError as error:
        raise PlatformError(
            f"{address} cannot be pinged: {error.strerror}",
            action="check the route to it, and that the gateway runs as root",
        ) from error
    return Echoes(chosen, count, tuple(times))


def request(identifier: int, sequence: int, payload: bytes = PAYLOAD) -> bytes:
    """An echo request with its checksum."""
    blank = HEADER.pack(ECHO_REQUEST, 0, 0, identifier, sequence) + payload
    return HEADER.pack(ECHO_REQUEST, 0, checksum(blank), identifier, sequence) + payload


@dataclass(frozen=True, slots=True)
class Reply:
    """An echo reply."""

    identifier: int
    sequence: int
    payload: bytes


def echo_reply(packet: bytes) -> Reply | None:
    """The echo reply in this IPv4 packet, if it is one."""
    if len(packet) < IPV4_HEADER:
        return None
    start = (packet[0] & 0x0F) * 4
    if len(packet) < start + HEADER.size:
        return None
    kind, code, _, identifier, sequence = HEADER.unpack_from(packet, start)
    if (kind, code) != (ECHO_REPLY, 0):
        return None
    return Reply(identifier, sequence, packet[start + HEADER.size :])


def is_reply(packet: bytes, identifier: int, sequence: int) -> bool:
    """Whether this IPv4 packet answers that request."""
    reply = echo_reply(packet)
    return reply is not None and (reply.identifier, reply.sequence) == (identifier, sequence)


def source_within(networks: Sequence[str]) -> str:
    """An IPv4 address of this machine within one of ``networks``; empty if it has none."""
    wanted = [ipaddress.ip_network(network) for network in networks]
    for address in _addresses():
        if any(ipaddress.ip_address(address) in network for network in wanted):
            return address
    return ""


def _addresses() -> Iterable[str]:
    with kernel("this machine's addresses") as k:
        messages = list(k.addr("dump", family=socket.AF_INET))
    found = (message.get_attr("IFA_LOCAL") for message in messages)
    return [address for address in found if isinstance(address, str)]


def _answered(raw: socket.socket, identifier: int, sequence: int, until: float) -> bool:
    while (left := until - time.monotonic()) > 0.0 and select.select([raw], [], [], left)[0]:
        if is_reply(raw.recv(2048), identifier, sequence):
            return True
    return False
