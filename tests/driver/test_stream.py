"""TCP streams with IKE and ESP in them: what passes, what ends a stream, and how many there are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from culvert.driver import stream
from culvert.driver.stream import PREFIX, StreamCall, StreamGate, own_address
from culvert.eventlog.event import LogEvent

HERE = "127.0.0.1"
Scene = Callable[["Place"], Awaitable[None]]


class Place:
    """A gate before a UDP socket that stands for the NAT-T port."""

    def __init__(self) -> None:
        self.natt = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.natt.bind((HERE, 0))
        self.told: list[LogEvent] = []
        self.gate = StreamGate(self.natt.getsockname()[1], self.told.append)
        with socket.socket() as free:
            free.bind((HERE, 0))
            self.port: int = free.getsockname()[1]

    async def datagram(self) -> tuple[bytes, tuple[str, int]]:
        return await asyncio.get_running_loop().sock_recvfrom(self.natt, 65535)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HERE, self.port)


def play(scene: Scene) -> None:
    async def all_of_it() -> None:
        place = Place()
        await place.gate.open(HERE, place.port)
        try:
            await scene(place)
        finally:
            place.gate.close()
            place.natt.close()
            await asyncio.sleep(0)

    asyncio.run(all_of_it())


def test_datagrams_pass_both_ways_and_the_peer_is_an_address_of_its_own() -> None:
    async def scene(place: Place) -> None:
        pump = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        pump.bind((HERE, 0))
        call = StreamCall((HERE, place.port), place.told.append)
        await call.open()
        loop = asyncio.get_running_loop()
        for size in (1, 1500, 60_000):
            await loop.sock_sendto(pump, bytes(size), call.address)
            came, source = await place.datagram()
            assert came == bytes(size)
            assert source[0] == own_address(HERE)
            await loop.sock_sendto(place.natt, b"x" * size, source)
            back, _ = await loop.sock_recvfrom(pump, 65535)
            assert back == b"x" * size
        call.close()
        pump.close()

    play(scene)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="something else"),
        pytest.param(PREFIX + b"\x00\x02", id="an empty frame"),
        pytest.param(PREFIX + b"\x00\x00", id="no length"),
    ],
)
def test_nonsense_ends_the_stream(said: bytes) -> None:
    async def scene(place: Place) -> None:
        reader, writer = await place.connect()
        writer.write(said)
        assert await reader.read() == b""
        writer.close()

    play(scene)


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "GREETING", 0.05)

    async def scene(place: Place) -> None:
        for words in (b"", PREFIX):
            reader, writer = await place.connect()
            writer.write(words)
            assert await reader.read() == b""
            writer.close()

    play(scene)


def test_one_host_has_so_many_streams_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PER_HOST", 2)

    async def scene(place: Place) -> None:
        kept = [await place.connect() for _ in range(2)]
        for _, writer in kept:
            writer.write(PREFIX + b"\x00\x03x")
            assert (await place.datagram())[0] == b"x"
        reader, writer = await place.connect()
        assert await reader.read() == b""
        for _, one in (*kept, (reader, writer)):
            one.close()

    play(scene)


def test_a_broken_stream_is_opened_again_when_there_is_something_to_send() -> None:
    async def scene(place: Place) -> None:
        pump = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        pump.bind((HERE, 0))
        call = StreamCall((HERE, place.port), place.told.append)
        await call.open()
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(pump, b"before", call.address)
        assert (await place.datagram())[0] == b"before"
        for task in tuple(place.gate._tasks):  # the stream breaks at the gateway
            task.cancel()
        came = b""
        for _ in range(200):
            await loop.sock_sendto(pump, b"after", call.address)
            try:
                async with asyncio.timeout(0.05):
                    came = (await place.datagram())[0]
                    break
            except TimeoutError:
                continue
        assert came == b"after"
        call.close()
        pump.close()

    play(scene)
