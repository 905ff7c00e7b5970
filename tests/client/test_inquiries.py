"""Questions by UDP on the loopback: answered, said again meanwhile, and from a taken port."""

from __future__ import annotations

import asyncio
import socket

import pytest

from culvert.client.inquiries import inquire
from culvert.effects import Inquire, Replied
from culvert.errors import PlatformError

HERE = "127.0.0.1"
LONG = 15.0


class Server(asyncio.DatagramProtocol):
    """Answers what begins with a question mark, and keeps silent about the rest."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.called = asyncio.Event()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        self.called.set()
        if data.startswith(b"?") and self.transport is not None:
            self.transport.sendto(b"!" + data, addr)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 0))
        found: int = one.getsockname()[1]
        return found


def test_a_question_that_is_said_again_while_the_last_one_still_waits_is_answered() -> None:
    async def play() -> tuple[Replied | None, list[bytes]]:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(Server, local_addr=(HERE, 0))
        to: tuple[str, int] = transport.get_extra_info("sockname")
        source = (HERE, free_port())
        first = asyncio.create_task(inquire(Inquire(1, b"in vain", to, source, LONG)))
        await server.called.wait()
        second = await inquire(Inquire(2, b"?", to, source, LONG))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        transport.close()
        return second, server.heard

    answer, heard = asyncio.run(play())
    assert answer == Replied(2, b"!?")
    assert heard == [b"in vain", b"?"]


def test_a_port_that_another_program_has_is_told_with_what_to_do() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HERE, 0))
        order = Inquire(1, b"?", (HERE, 9), (HERE, other.getsockname()[1]), 1.0)
        with pytest.raises(PlatformError, match="already in use") as told:
            asyncio.run(inquire(order))
        assert told.value.action
