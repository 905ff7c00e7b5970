"""Worker to worker: whatever goes wrong between the two, exactly one of them seals packets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from culvert.datapath.python_engine import PythonEngine
from culvert.driver.carried import Carried
from culvert.driver.loop import Driver
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import Traffic
from culvert.gateway import handover
from culvert.gateway.handover import Kept, Line, Wire, give, take
from culvert.inet.address import Address, Path
from culvert.rng import SeededRandom
from simulation.world import SERVER, World, packet, profile

FIRST_MESSAGE = bytes(27)
"""One that a gateway refuses, and counts."""
CALLER = Path(("172.16.172.50", 500), ("192.0.2.77", 500))


class Packets:
    """A data path without descriptors. ``flows``: whether it would seal."""

    def __init__(self, flows: bool) -> None:
        self.plane = PythonEngine(SeededRandom(4))
        self.carried = Carried()
        self.flows = flows
        self.sent: list[bytes] = []
        self.infos: dict[tuple[Address, int], bytes] = {}

    def start(self, listener: object) -> None:
        self.flows = True

    def stop(self) -> None: ...

    def attach(self, tun: object) -> None: ...

    def pause(self) -> None:
        self.flows = False

    def go_on(self, tun: object) -> None:
        self.flows = True

    def send(self, octets: bytes, to: Address, local_port: int, *, marker: bool) -> None:
        self.sent.append(octets)

    def arrange(self, order: Any) -> None:
        self.carried.note(order)
        match type(order).__name__:
            case "InstallSa":
                self.plane.install(order)
            case "ActivateSa":
                self.plane.activate(order.session, order.pair)
            case other:
                raise AssertionError(other)

    def forget(self, session: int) -> None: ...

    def changed(self) -> list[Traffic]:
        return []

    def recounted(self) -> None: ...

    def called(self, peer: Address, local_port: int) -> bytes:
        return self.infos.get((peer, local_port), b"")

    def heard(self, peer: Address, local_port: int, info: bytes) -> None:
        self.infos[peer, local_port] = info


class Half:
    """One worker: a core with its driver and data path."""

    def __init__(self, core: Any, packets: Any, end: socket.socket, world: World) -> None:
        self.core, self.packets, self.wire = core, packets, Wire(end)
        self.wire.attempt = 7
        self.driver = Driver(
            core, packets, NoSurroundings(), lambda _: None, clock=lambda: world.now
        )

    def seals(self, address: str) -> bool:
        return self.packets.flows and bool(
            self.packets.plane.from_tunnel([packet(SERVER, address, 1)], 0.0).bursts
        )


@contextlib.asynccontextmanager
async def two() -> AsyncIterator[tuple[Half, Half, str]]:
    """An old worker with one session, and a new one."""
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    client.connect()
    assert world.decided(client)
    core = world.gateway.core
    packets = Packets(flows=True)
    packets.plane, packets.carried = world.gateway.plane, world.gateway.carried
    for peer, port in core.peers:
        packets.infos[peer, port] = b"an address of ours"
    world.gateway._fresh_core(SeededRandom(9))
    left, right = socket.socketpair()
    old = Half(core, packets, left, world)
    new = Half(world.gateway.core, Packets(flows=False), right, world)
    old.driver.start()
    await old.wire.open()
    await new.wire.open()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(handover, "boottime", lambda: world.now)
            yield old, new, client.address
    finally:
        for half in (old, new):
            await half.driver.stop(0.0)
            half.wire.close()


async def both(old: Half, new: Half) -> tuple[object, object]:
    """What came of it at each end."""
    return tuple(
        await asyncio.gather(
            give(old.wire, old.core, old.driver, old.packets),
            take(new.wire, new.core, new.driver, new.packets, None),  # type: ignore[arg-type]
            return_exceptions=True,
        )
    )  # type: ignore[return-value]


def run(work: Any) -> None:
    asyncio.run(work)


def test_the_new_one_has_everything_and_the_old_one_is_silent() -> None:
    async def work() -> None:
        async with two() as (old, new, address):
            assert old.seals(address)
            kept, waited = await both(old, new)
            assert kept is None
            assert isinstance(waited, float)
            assert not old.packets.flows
            assert new.seals(address)
            assert len(new.core.table) == 1
            assert b"an address of ours" in new.packets.infos.values()

    run(work())


def test_messages_that_came_meanwhile_are_answered_by_the_new_one() -> None:
    async def work() -> None:
        async with two() as (old, new, _):
            task = asyncio.ensure_future(give(old.wire, old.core, old.driver, old.packets))
            first = await new.wire.hear(2.0)
            old.driver.ike(FIRST_MESSAGE, CALLER)
            assert old.driver.kept == [(FIRST_MESSAGE, CALLER)]
            new.wire.hear = said_again(first, new.wire)  # type: ignore[method-assign]
            waited = await take(new.wire, new.core, new.driver, new.packets, None)  # type: ignore[arg-type]
            assert await task is None
            assert isinstance(waited, float)
            assert sum(new.core.refused_datagrams.values()) == 1
            assert not old.core.refused_datagrams

    run(work())


def said_again(line: Line, wire: Wire) -> Callable[[float | None], Awaitable[Line]]:
    """`Wire.hear`, with a line in front that was read before."""
    waiting, hear = [line], wire.hear

    async def again(patience: float | None = None) -> Line:
        return waiting.pop() if waiting else await hear(patience)

    return again


@pytest.mark.parametrize("lines", range(6))
def test_a_new_one_that_dies_at_any_step_leaves_the_old_one_sealing(
    lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "TAKEN", 0.5)
    monkeypatch.setattr(handover, "PREPARED", 0.5)

    async def work() -> None:
        async with two() as (old, new, address):
            task = asyncio.ensure_future(give(old.wire, old.core, old.driver, old.packets))
            for _ in range(lines):
                await new.wire.hear(2.0)
            new.wire.close()
            kept = await task
            assert isinstance(kept, Kept)
            assert not kept.unreadable
            assert old.seals(address)
            assert old.driver.kept == ()

    run(work())


def test_a_new_one_that_falls_silent_after_it_has_all_never_seals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "PREPARED", 0.2)

    async def work() -> None:
        async with two() as (old, new, address):
            task = asyncio.ensure_future(give(old.wire, old.core, old.driver, old.packets))
            while "whole" not in await new.wire.hear(2.0):
                pass
            await new.wire.say(taken=True)
            while "last" not in await new.wire.hear(2.0):
                assert not old.packets.flows
            kept = await task
            assert isinstance(kept, Kept)
            assert old.seals(address)
            # Its word comes too late, and there is no "go" for it.
            with pytest.raises(TimeoutError):
                await new.wire.hear(0.1)

    run(work())


def test_state_of_another_form_is_told_as_that() -> None:
    async def work() -> None:
        async with two() as (old, new, address):
            real = old.core.handed

            def other(*, now: float) -> Any:
                for item in real(now=now):
                    yield {**item, "schema": 999} if "schema" in item else item

            old.core.handed = other
            kept, error = await both(old, new)
            assert isinstance(kept, Kept)
            assert kept.unreadable
            assert "form 999" in kept.why
            assert isinstance(error, Exception)
            assert old.seals(address)
            assert not new.packets.flows

    run(work())


def test_a_second_attempt_ignores_what_the_first_has_left() -> None:
    async def work() -> None:
        async with two() as (old, new, address):
            task = asyncio.ensure_future(give(old.wire, old.core, old.driver, old.packets))
            await new.wire.hear(2.0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert old.seals(address)
            old.wire.attempt = new.wire.attempt = 8
            kept, waited = await both(old, new)
            assert kept is None
            assert isinstance(waited, float)
            assert new.seals(address)

    run(work())


def test_everything_between_workers_is_text() -> None:
    async def work() -> None:
        async with two() as (old, new, _):
            task = asyncio.ensure_future(give(old.wire, old.core, old.driver, old.packets))
            line = await new.wire.hear(2.0)
            assert json.loads(json.dumps(line)) == line
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    run(work())
