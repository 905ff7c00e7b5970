"""Channels between processes: what is said arrives in order, in few writes, and not without end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest

from culvert.driver.channel import MOST_TOGETHER, PIECE, Channel, Message
from culvert.driver.message import LONGEST

PATIENCE = 10.0


class Ends:
    """A channel, and the bare end of a socket pair at its other side."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.lost: list[str] = []
        self.happened = asyncio.Event()
        self.channel = Channel(self._take, self._over)
        self._theirs: socket.socket | None = None

    def _take(self, message: Message) -> None:
        self.heard.append(message)
        self.happened.set()

    def _over(self, why: str) -> None:
        self.lost.append(why)
        self.happened.set()

    async def open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        await self.channel.open(ours)
        return theirs

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await self.happened.wait()
                self.happened.clear()


def run(work: Callable[[Ends, socket.socket], Coroutine[None, None, None]]) -> None:
    async def both() -> None:
        ends = Ends()
        with await ends.open() as theirs:
            await work(ends, theirs)
            ends.channel.close()

    asyncio.run(both())


def test_what_is_said_soon_leaves_with_the_turn_and_before_what_is_said_later() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        ends.channel.say_soon({"a": 1})
        ends.channel.say_soon({"a": 2})
        try:
            early = theirs.recv(100)
        except BlockingIOError:
            early = b""
        assert early == b""
        ends.channel.say({"a": 3})
        assert theirs.recv(100) == b'{"a":1}\n{"a":2}\n{"a":3}\n'
        ends.channel.say_soon({"a": 4})
        got = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 100), PATIENCE)
        assert got == b'{"a":4}\n'

    run(work)


def test_no_more_wait_for_each_other_than_the_limit() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        for _ in range(MOST_TOGETHER):
            ends.channel.say_soon({})
        assert theirs.recv(10 * MOST_TOGETHER) == b"{}\n" * MOST_TOGETHER

    run(work)


def test_what_was_said_soon_is_not_lost_by_closing() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        ends.channel.say_soon({"last": True})
        ends.channel.close()
        got = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 100), PATIENCE)
        assert got == b'{"last":true}\n'

    run(work)


def test_messages_arrive_whole_however_they_were_cut() -> None:
    long = "x" * (3 * PIECE)

    async def work(ends: Ends, theirs: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(theirs, b'{"a":1}\n{"a":2}\n{"a"')
        await ends.until(lambda: len(ends.heard) == 2)
        await loop.sock_sendall(theirs, f':"{long}"}}\n{{"a":3}}\n'.encode())
        await ends.until(lambda: len(ends.heard) == 4)
        assert ends.heard == [{"a": 1}, {"a": 2}, {"a": long}, {"a": 3}]
        assert not ends.lost

    run(work)


def test_a_message_without_end_is_cut_off() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        sending = asyncio.ensure_future(
            asyncio.get_running_loop().sock_sendall(theirs, b"x" * (2 * LONGEST))
        )
        await ends.until(lambda: bool(ends.lost))
        sending.cancel()
        assert "more than" in ends.lost[0]
        assert ends.heard == []

    run(work)


def test_what_makes_no_sense_ends_it_after_what_made_sense_before() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(theirs, b'{"a":1}\nnonsense\n{"a":2}\n')
        await ends.until(lambda: bool(ends.lost))
        assert ends.heard == [{"a": 1}]
        assert "makes no sense" in ends.lost[0]

    run(work)


@pytest.mark.parametrize("said", [b"[]\n", b"[" * 10_000 + b"\n"])
def test_what_is_no_message_ends_it(said: bytes) -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(theirs, said)
        await ends.until(lambda: bool(ends.lost))
        assert "makes no sense" in ends.lost[0]

    run(work)


def test_a_message_that_its_taker_fails_at_ends_it_with_why() -> None:
    async def work(ends: Ends, theirs: socket.socket) -> None:
        def fails(_: Message) -> None:
            raise ZeroDivisionError("nobody planned this")

        ends.channel._take = fails
        await asyncio.get_running_loop().sock_sendall(theirs, b'{"a":1}\n')
        await ends.until(lambda: bool(ends.lost))
        assert "ended in ZeroDivisionError: nobody planned this" in ends.lost[0]

    run(work)
