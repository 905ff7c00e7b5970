"""The hosts of the simulated lab: a server that sends a file in UDP chunks, and who fetches it.

    request   first chunk (4 octets) | how many (2 octets)
    chunk     its number (4 octets) | CHUNK octets of the file

The simulated network loses nothing and keeps the order, so nothing is ever asked for twice.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from culvert.errors import MisuseError
from culvert.inet import ipv4
from culvert.inet.checksum import checksum

ICMP, UDP = 1, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8
PORT = 80
CHUNK = 1300
"""Fits every tunnel's MTU with the headers around it."""

WINDOW = 256
"""Chunks per request: how much is under way at a time."""

UDP_HEADER = struct.Struct(">HHHH")  # source, destination, length, checksum (0: none, RFC 768)
ECHO = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence
REQUEST = struct.Struct(">IH")
NUMBER = struct.Struct(">I")


class File:
    """``octets`` of ``block``, again and again."""

    def __init__(self, block: bytes, octets: int) -> None:
        if len(block) < CHUNK:
            raise MisuseError(f"a block of {len(block)} octets is shorter than a chunk")
        self.octets = octets
        self._block = block
        self._twice = block + block[:CHUNK]

    @property
    def chunks(self) -> int:
        return -(-self.octets // CHUNK)

    def chunk(self, number: int) -> bytes:
        first = number * CHUNK
        at = first % len(self._block)
        return self._twice[at : at + min(CHUNK, self.octets - first)]

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for number in range(self.chunks):
            digest.update(self.chunk(number))
        return digest.hexdigest()


class Server:
    """Answers echo requests and requests for chunks; anything else not at all."""

    def __init__(self, file: File) -> None:
        self._file = file

    def answers(self, packets: Sequence[bytes]) -> list[bytes]:
        return [answer for packet in packets for answer in self._answer(packet)]

    def _answer(self, packet: bytes) -> Iterator[bytes]:
        header = ipv4.parse(packet)
        payload = packet[header.header_octets :]
        if header.protocol == ICMP and payload[0] == ECHO_REQUEST:
            reply = echo(ECHO_REPLY, payload[ECHO.size :], *ECHO.unpack_from(payload)[3:])
            yield ipv4.build(ICMP, header.destination, header.source, reply)
        if header.protocol == UDP:
            here, there, _, _ = UDP_HEADER.unpack_from(payload)
            first, wanted = REQUEST.unpack_from(payload, UDP_HEADER.size)
            for number in range(first, min(first + wanted, self._file.chunks)):
                data = NUMBER.pack(number) + self._file.chunk(number)
                yield udp(header.destination, there, header.source, here, data)


class Fetch:
    """One download, from ``here`` at ``server``."""

    def __init__(self, here: str, server: str, file: File, port: int) -> None:
        self.octets = 0
        self._here, self._server = IPv4Address(here).packed, IPv4Address(server).packed
        self._file = file
        self._port = port
        self._next = 0
        self._digest = hashlib.sha256()

    @property
    def done(self) -> bool:
        return self._next == self._file.chunks

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def request(self) -> bytes:
        """The packet that asks for the next window."""
        wanted = REQUEST.pack(self._next, WINDOW)
        return udp(self._here, self._port, self._server, PORT, wanted)

    def heard(self, packets: Sequence[bytes]) -> list[bytes]:
        """Take what came; what to ask for next. Raises MisuseError for a chunk out of turn."""
        for packet in packets:
            payload = packet[ipv4.SMALLEST_HEADER + UDP_HEADER.size :]
            (number,) = NUMBER.unpack_from(payload)
            if number != self._next:
                raise MisuseError(f"chunk {number} came in place of {self._next}")
            self._digest.update(payload[NUMBER.size :])
            self.octets += len(payload) - NUMBER.size
            self._next += 1
        return [] if self._next % WINDOW or self.done else [self.request()]


def echo_request(here: str, there: str, identifier: int, sequence: int) -> bytes:
    """An ICMP echo request (RFC 792)."""
    body = echo(ECHO_REQUEST, bytes(56), identifier, sequence)
    return ipv4.build(ICMP, IPv4Address(here).packed, IPv4Address(there).packed, body)


def echo(kind: int, data: bytes, identifier: int, sequence: int) -> bytes:
    body = bytearray(ECHO.pack(kind, 0, 0, identifier, sequence) + data)
    body[2:4] = checksum(body).to_bytes(2, "big")
    return bytes(body)


def udp(source: bytes, here: int, destination: bytes, there: int, data: bytes) -> bytes:
    head = UDP_HEADER.pack(here, there, UDP_HEADER.size + len(data), 0)
    return ipv4.build(UDP, source, destination, head + data)
