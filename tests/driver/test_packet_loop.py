"""The loop that serves packets first: everything else of asyncio still has its turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator

import pytest

from culvert.driver.packet_loop import PacketLoop, serve

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


def run(play: Callable[[PacketLoop], Coroutine[object, object, None]]) -> None:
    async def limited() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PacketLoop)
        await asyncio.wait_for(play(loop), 15)

    with asyncio.Runner(loop_factory=PacketLoop) as runner:
        runner.run(limited())


def test_what_arrives_is_read_and_may_start_anything(ends: Ends) -> None:
    near, far = ends

    async def play(loop: PacketLoop) -> None:
        by_call, by_timer, by_task = (loop.create_future() for _ in range(3))

        async def task() -> None:
            by_task.set_result(True)

        def read() -> None:
            word = near.recv(9)
            if word == b"call":
                loop.call_soon(by_call.set_result, True)
            elif word == b"timer":
                loop.call_later(0.001, by_timer.set_result, True)
            else:
                tasks.append(loop.create_task(task()))

        tasks: list[asyncio.Task[None]] = []
        serve(near.fileno(), read)
        for word, then in ((b"call", by_call), (b"timer", by_timer), (b"task", by_task)):
            far.send(word)
            assert await then
        loop.remove_reader(near.fileno())

    run(play)


def test_a_flood_keeps_neither_timers_nor_others_waiting(ends: Ends) -> None:
    near, far = ends
    other, its_far = socket.socketpair()

    async def play(loop: PacketLoop) -> None:
        served = 0

        def read() -> None:  # there is always one more
            nonlocal served
            served += 1
            far.send(near.recv(9))

        with other, its_far:
            serve(near.fileno(), read)
            far.send(b"packet")
            await asyncio.sleep(0.01)
            other.setblocking(False)
            its_far.send(b"word")
            assert await loop.sock_recv(other, 9) == b"word"
            assert await asyncio.to_thread(lambda: "from a thread") == "from a thread"
            loop.remove_reader(near.fileno())
        assert served > 1

    run(play)


def test_the_end_of_reading_is_the_end_of_serving(ends: Ends) -> None:
    near, far = ends

    async def play(loop: PacketLoop) -> None:
        first: list[bytes] = []
        second = loop.create_future()
        serve(near.fileno(), lambda: first.append(near.recv(9)))
        far.send(b"one")
        await asyncio.sleep(0.01)
        assert loop.remove_reader(near.fileno())
        assert not loop.remove_reader(near.fileno())
        far.send(b"two")
        await asyncio.sleep(0.01)
        assert first == [b"one"]
        loop.add_reader(near.fileno(), lambda: second.set_result(near.recv(9)))
        assert await second == b"two"
        loop.remove_reader(near.fileno())

    run(play)


def test_one_descriptor_is_served_and_waited_for_until_it_has_room(ends: Ends) -> None:
    near, far = ends

    async def play(loop: PacketLoop) -> None:
        came, room = loop.create_future(), loop.create_future()
        serve(near.fileno(), lambda: came.set_result(near.recv(9)))
        with pytest.raises(BlockingIOError):
            while True:
                near.send(bytes(1000))
        loop.add_writer(near.fileno(), lambda: room.done() or room.set_result(True))
        await asyncio.sleep(0.01)
        assert not room.done()
        far.send(b"in")
        assert await came == b"in"
        with pytest.raises(BlockingIOError):
            while True:
                far.recv(1000)
        assert await room
        loop.remove_writer(near.fileno())
        again = loop.create_future()
        serve(near.fileno(), lambda: again.set_result(near.recv(9)))
        far.send(b"in too")
        assert await again == b"in too"
        loop.remove_reader(near.fileno())

    run(play)


def test_what_a_reader_raises_is_told_and_the_loop_lives_on(ends: Ends) -> None:
    near, far = ends
    told: list[object] = []

    async def play(loop: PacketLoop) -> None:
        came = loop.create_future()

        def read() -> None:
            if near.recv(9) == b"bad":
                raise RuntimeError("nobody planned this")
            came.set_result(True)

        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        serve(near.fileno(), read)
        far.send(b"bad")
        far.send(b"good")
        assert await came
        loop.remove_reader(near.fileno())

    run(play)
    assert [str(one) for one in told] == ["nobody planned this"]


def test_a_descriptor_that_another_one_gives_up_in_the_same_round_is_not_read(ends: Ends) -> None:
    near, far = ends
    other, its_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    async def play(loop: PacketLoop) -> None:
        read: list[int] = []

        def give_up(mine: socket.socket) -> None:
            read.append(mine.fileno())
            for one in (near, other):
                loop.remove_reader(one.fileno())

        with other, its_far:
            far.send(b"one")
            its_far.send(b"two")
            for one in (near, other):
                serve(one.fileno(), give_up, one)
            await asyncio.sleep(0.02)
        assert len(read) == 1

    run(play)


def test_on_another_loop_packets_are_readers_like_others(ends: Ends) -> None:
    near, far = ends

    async def play() -> None:
        came = asyncio.get_running_loop().create_future()
        serve(near.fileno(), lambda: came.set_result(near.recv(9)))
        far.send(b"word")
        assert await asyncio.wait_for(came, 10) == b"word"
        asyncio.get_running_loop().remove_reader(near.fileno())

    asyncio.run(play())
