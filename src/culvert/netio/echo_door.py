"""Line polling's socket: ICMP echo requests from one address of this machine, and who answers.

A request carries octets that only this socket knows: what answers without having seen the request
is not believed.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from culvert.errors import PlatformError
from culvert.netio.echo import echo_reply, request

SOL_RAW, ICMP_FILTER = 255, 1  # <linux/icmp.h>
BUT_REPLIES = struct.pack("=I", 0xFFFFFFFE)  # a bit per type that is filtered out; replies are 0
TOKEN = 16
LONGEST = 2048
BATCH = 64
"""Packets of one wake-up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``host`` has answered request ``sequence``."""

    host: str
    sequence: int


class EchoDoor:
    """Asks from ``source``. Raises PlatformError without CAP_NET_RAW or without that address."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._token = os.urandom(TOKEN)
        try:
            flags = socket.SOCK_RAW | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_INET, flags, socket.IPPROTO_ICMP)
        except OSError as error:
            raise _unable(source, error) from error
        try:
            self._socket.setsockopt(SOL_RAW, ICMP_FILTER, BUT_REPLIES)
            self._socket.bind((source, 0))
        except OSError as error:
            self._socket.close()
            raise _unable(source, error) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, target: str, sequence: int) -> None:
        """What cannot be sent is as good as lost: the answer does not come."""
        try:
            self._socket.sendto(request(self._identifier, sequence, self._token), (target, 0))
        except OSError:
            return

    def replies(self) -> list[Reply]:
        """Answers to requests of this socket."""
        found: list[Reply] = []
        for _ in range(BATCH):
            try:
                packet, (host, _) = self._socket.recvfrom(LONGEST)
            except OSError:
                break
            reply = echo_reply(packet)
            if reply is not None and (reply.identifier, reply.payload) == (
                self._identifier,
                self._token,
            ):
                found.append(Reply(str(host), reply.sequence))
        return found


def _unable(source: str, error: OSError) -> PlatformError:
    return PlatformError(
        f"line polling cannot ask from {source}: {error.strerror}",
        action="run the service as root (or with CAP_NET_RAW), and check polling_source",
    )
