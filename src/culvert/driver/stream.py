"""IKE and ESP over one TCP stream (docs/reference/ipsec-over-tcp.md).

    client's UDP 4500 <── loopback ──> StreamCall ══ TCP ══ StreamGate <── loopback ──> UDP 4500

Both ends carry the datagrams of the NAT-T port, each behind its length (RFC 8229 §3: "IKETCP" once,
then `culvert.inet.frames`). A stream stands at its end as an address of
127.64.0.0/10, so that nobody behind it knows of TCP; one that breaks is made anew, and the peer
follows it as it follows a NAT that forgot.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b

from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.ike.carriage import STREAMS
from culvert.inet.address import Address, text
from culvert.inet.frames import LARGEST, Frames, framed

PREFIX = b"IKETCP"

PER_HOST = 64
"""Streams of one host; many clients stand behind one address."""
IN_ALL = 4096

GREETING = 5.0
"""Seconds for the prefix and for the first frame: who opens a stream has something to say."""
IDLE = 300.0
"""Seconds without a frame: liveness questions come far more often."""
UNSENT = 1 << 18
"""Octets that may wait for a slow peer; more is lost, as on a full link."""
BATCH = 64
PATIENCE = 5.0
"""Seconds for a stream to be opened."""
PAUSE = 1.0
"""Seconds until a stream that could not be opened is tried again, if there is something to send."""

Tell = Callable[[LogEvent], None]


def own_address(host: str) -> str:
    """Where streams of this host stand on loopback: limits by address hold for them, too."""
    drawn = int.from_bytes(blake2b(host.encode(), digest_size=4).digest(), "big")
    return str(STREAMS.network_address + drawn % STREAMS.num_addresses)


class _Carried:
    """One stream and its UDP socket on loopback."""

    def __init__(
        self, udp: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._udp = udp
        self._reader, self._writer = reader, writer
        raw = writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, datagram: bytes) -> None:
        frame = framed(datagram)
        if frame and self._writer.transport.get_write_buffer_size() < UNSENT:
            self._writer.write(frame)

    async def frames(self) -> None:
        """Hand over what comes, until the stream ends, says nonsense or falls silent."""
        patience = GREETING
        frames = Frames()
        with contextlib.suppress(TimeoutError, ConnectionError):
            while not frames.over:
                async with asyncio.timeout(patience):
                    datagrams: list[bytes] = []
                    while not (datagrams or frames.over):
                        octets = await self._reader.read(LARGEST)
                        if not octets:
                            return
                        datagrams = frames.take(octets)
                patience = IDLE
                for datagram in datagrams:
                    with contextlib.suppress(OSError):
                        self._udp.send(datagram)


class StreamGate:
    """The gateway's end: a listener, and a loopback socket for each stream."""

    def __init__(self, natt_port: int, tell: Tell) -> None:
        self._natt_port = natt_port
        self._tell = tell
        self._servers: list[asyncio.Server] = []
        self._hosts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[object]] = set()

    async def open(self, host: str, port: int, given: socket.socket | None = None) -> None:
        """``given``: a socket that listens there already. Raises PlatformError."""
        try:
            if given is not None:
                server = await asyncio.start_server(self._accepted, sock=given)
            else:
                server = await asyncio.start_server(self._accepted, host, port)
            self._servers.append(server)
        except OSError as error:
            raise PlatformError(
                f"TCP port {port} at {host}: {error.strerror}",
                action="stop the program that has it, or choose another tcp_port",
            ) from error

    @property
    def listeners(self) -> list[tuple[str, int]]:
        """Each address listened at, with its descriptor."""
        sockets = [one for server in self._servers for one in server.sockets]
        return [(one.getsockname()[0], one.fileno()) for one in sockets]

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: Address = writer.get_extra_info("peername")[:2]
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        full = self._hosts[peer[0]] >= PER_HOST or self._hosts.total() >= IN_ALL
        self._hosts[peer[0]] += 1
        try:
            if not full:
                await self._serve(reader, writer, peer)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass
        finally:
            self._hosts[peer[0]] -= 1
            if not self._hosts[peer[0]]:
                del self._hosts[peer[0]]
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address
    ) -> None:
        async with asyncio.timeout(GREETING):
            if await reader.readexactly(len(PREFIX)) != PREFIX:
                return
        called: Address = writer.get_extra_info("sockname")[:2]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as udp:
            udp.bind((own_address(peer[0]), 0))
            udp.connect((called[0], self._natt_port))
            carried = _Carried(udp, reader, writer)
            loop = asyncio.get_running_loop()
            loop.add_reader(udp.fileno(), _drain, udp, carried)
            here = text(udp.getsockname())
            self._tell(LogEvent("stream.opened", {"peer": text(peer), "here": here}))
            try:
                await carried.frames()
            finally:
                loop.remove_reader(udp.fileno())
                self._tell(LogEvent("stream.closed", {"peer": text(peer), "here": here}))


def _drain(udp: socket.socket, carried: _Carried) -> None:
    for _ in range(BATCH):
        try:
            carried.send(udp.recv(LARGEST))
        except (BlockingIOError, ConnectionRefusedError):
            return


class StreamCall:
    """The client's end: stands for the gateway at an address on loopback."""

    def __init__(self, to: Address, tell: Tell) -> None:
        self._to = to
        self._tell = tell
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._udp.bind((own_address(to[0]), 0))
        self._carried: _Carried | None = None
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0

    @property
    def address(self) -> Address:
        """Whom to call in place of the gateway."""
        host, port = self._udp.getsockname()
        return host, port

    async def open(self) -> None:
        """Raises OSError or TimeoutError: nobody answers there."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*self._to)
        loop = asyncio.get_running_loop()
        writer.write(PREFIX)
        self._carried = _Carried(self._udp, reader, writer)
        loop.add_reader(self._udp.fileno(), self._from_pump)
        self._task = loop.create_task(self._live(self._carried, writer))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._udp.fileno())
        if self._task is not None:
            self._task.cancel()
        self._udp.close()

    async def _live(self, carried: _Carried, writer: asyncio.StreamWriter) -> None:
        try:
            await carried.frames()
        finally:
            self._carried = None
            writer.close()
            self._tell(LogEvent("stream.closed", {"peer": text(self._to), "here": ""}))

    def _from_pump(self) -> None:
        for _ in range(BATCH):
            try:
                datagram, source = self._udp.recvfrom(LARGEST)
                self._udp.connect(source)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if self._carried is not None:
                self._carried.send(datagram)
            else:
                self._again()

    def _again(self) -> None:
        """The stream broke, and there is something to send: once a moment, a new one."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before or (self._task is not None and not self._task.done()):
            return
        self._not_before = loop.time() + PAUSE
        self._task = loop.create_task(self._reopen())

    async def _reopen(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(*self._to)
            writer.write(PREFIX)
            carried = self._carried = _Carried(self._udp, reader, writer)
            await self._live(carried, writer)
