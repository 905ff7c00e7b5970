"""A name server of our own on loopback: some domains have servers of their own (S1-77).

For systems whose own resolver cannot do that. It keeps nothing and judges nothing: each question
goes on under a number and from a port that only chance knows, its answer comes back as it is.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from culvert.errors import PlatformError, WireError
from culvert.inet import dns
from culvert.inet.dns import DnsMessage

ADDRESSES = tuple(f"127.0.53.{number}" for number in range(53, 69))
"""One per connection that needs it."""
PATIENCE = 3.0
"""Seconds for each server in turn; programs wait 5 and ask again."""
MOST = 256
"""Questions under way; what comes beyond is not answered, and asked again by who asked."""

Ask = Callable[[str, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Branches:
    """``inside`` answers for ``domains``, ``outside`` for all other names."""

    domains: tuple[str, ...]
    inside: tuple[str, ...]
    outside: tuple[str, ...]

    def servers(self, name: str) -> tuple[str, ...]:
        return self.inside if dns.within(name, self.domains) else self.outside


class Stub:
    """Serves from `open` until `close`. ``branches`` may be exchanged at any time."""

    def __init__(self, branches: Branches) -> None:
        self.branches = branches
        self.address = ""
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._tcp: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises PlatformError when no address of ours is free."""
        for address in ADDRESSES:
            try:
                self._sockets = [_bound(address, kind) for kind in KINDS]
            except OSError:
                continue
            self.address = address
            break
        else:
            raise PlatformError(
                f"no address from {ADDRESSES[0]} to {ADDRESSES[-1]} is free for a name server",
                action='End what listens on port 53 there, or set dns_mode = "global".',
            )
        udp, tcp = self._sockets
        asyncio.get_running_loop().add_reader(udp.fileno(), self._heard, udp)
        self._tcp = await asyncio.start_server(self._called, sock=tcp)

    async def close(self) -> None:
        """Closing twice is normal."""
        if self._sockets:
            asyncio.get_running_loop().remove_reader(self._sockets[0].fileno())
        if self._tcp is not None:
            self._tcp.close()
        for task in tuple(self._tasks):
            task.cancel()
        for each in self._sockets:
            each.close()
        self._sockets, self._tcp = [], None

    def _heard(self, udp: socket.socket) -> None:
        try:
            octets, who = udp.recvfrom(dns.LONGEST_UDP)
        except OSError:
            return
        self._begin(self._answer(udp, octets, who))

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        if len(self._tasks) >= MOST:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, udp: socket.socket, octets: bytes, who: tuple[str, int]) -> None:
        answer = await self._pass_on(octets, _by_udp)
        if answer:
            try:
                udp.sendto(answer, who)
            except OSError:
                return  # who asked has gone

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(2 * PATIENCE):
                octets = await _framed(reader)
                answer = await self._pass_on(octets, _by_tcp)
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _pass_on(self, octets: bytes, ask: Ask) -> bytes:
        """The answer, under the number it was asked with; empty: none is worth giving."""
        try:
            asked = DnsMessage.parse(octets)
        except WireError:
            return b""
        if asked.response:
            return b""
        for server in self.branches.servers(asked.name):
            number = os.urandom(2)
            try:
                answer = await ask(server, number + octets[2:])
            except (OSError, EOFError):
                continue
            if answer[:2] == number and _answers(answer, asked):
                return octets[:2] + answer[2:]
        failed = dns.RESPONSE | asked.flags | dns.SERVER_FAILED
        return octets[:2] + failed.to_bytes(2, "big") + octets[4:]


def _answers(octets: bytes, asked: DnsMessage) -> bool:
    try:
        found = DnsMessage.parse(octets)
    except WireError:
        return False
    same = found.name.lower() == asked.name.lower() and found.kind == asked.kind
    return found.response and same


KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _bound(address: str, kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, dns.PORT))
    except OSError:
        made.close()
        raise
    return made


async def _by_udp(server: str, octets: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        asking.connect((server, dns.PORT))
        async with asyncio.timeout(PATIENCE):
            await loop.sock_sendall(asking, octets)
            while True:
                answer = await loop.sock_recv(asking, dns.LONGEST_UDP)
                if answer[:2] == octets[:2]:
                    return answer


async def _by_tcp(server: str, octets: bytes) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(server, dns.PORT)
        try:
            writer.write(len(octets).to_bytes(2, "big") + octets)
            await writer.drain()
            return await _framed(reader)
        finally:
            writer.close()


async def _framed(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(2)
    return await reader.readexactly(int.from_bytes(length, "big"))
