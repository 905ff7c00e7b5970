"""Hears when this machine gets another IPv4 address (rtnetlink(7), group RTMGRP_IPV4_IFADDR)."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

from culvert.errors import PlatformError

RTMGRP_IPV4_IFADDR = 0x10
RTM_NEWADDR = 20
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
IFADDR_OCTETS = 8  # struct ifaddrmsg: family, prefix length, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length, type
IFA_LOCAL = 2
LONGEST = 65536
BATCH = 64


class AddressWatch:
    """Raises PlatformError where the kernel tells nobody."""

    def __init__(self) -> None:
        flags = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_NETLINK, flags, socket.NETLINK_ROUTE)
            self._socket.bind((0, RTMGRP_IPV4_IFADDR))
        except OSError as error:
            raise PlatformError(
                f"changes of this machine's addresses cannot be watched: {error.strerror}",
                action="`culvert gateway announce` tells the peers by hand",
            ) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def fresh(self) -> list[str]:
        """The addresses that were added since the last call."""
        found: list[str] = []
        for _ in range(BATCH):
            try:
                found += added(self._socket.recv(LONGEST))
            except OSError:  # nothing more, or more was said than was kept
                break
        return found


def added(octets: bytes) -> list[str]:
    """The addresses that a datagram of the kernel's says are new."""
    found: list[str] = []
    while len(octets) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(octets)
        if not HEADER.size <= length <= len(octets):
            break
        if kind == RTM_NEWADDR:
            found += _locals(octets[HEADER.size + IFADDR_OCTETS : length])
        octets = octets[_aligned(length) :]
    return found


def _locals(attributes: bytes) -> list[str]:
    found: list[str] = []
    while len(attributes) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(attributes)
        if not ATTRIBUTE.size <= length <= len(attributes):
            break
        value = attributes[ATTRIBUTE.size : length]
        if kind == IFA_LOCAL and len(value) == 4:
            found.append(str(IPv4Address(value)))
        attributes = attributes[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
