"""The loop with a small core over real loopback sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from culvert.datapath.python_engine import PythonEngine
from culvert.driver.clock import boottime
from culvert.driver.loop import FAULT_PAUSE, Driver
from culvert.driver.pump import Pump
from culvert.driver.resolving import resolve
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import (
    Effect,
    Judge,
    Judged,
    Resolve,
    Resolved,
    SessionEnded,
)
from culvert.eventlog.event import LogEvent
from culvert.netio.udp import UdpSocket
from culvert.netio.whereabouts import network_towards
from culvert.rng import SeededRandom
from culvert.secret import Secret
from driver.small_core import BOOM, SmallCore


@dataclass
class House(NoSurroundings):
    """Judges after `gate` opens, so that a test sees what happens meanwhile."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    ended_sessions: list[int] = field(default_factory=list)

    async def resolve(self, order: Resolve) -> Resolved:
        return await resolve(order)

    async def judge(self, order: Judge) -> Judged:
        await self.gate.wait()
        if order.user == "broken":
            raise OSError("the store is gone")
        return Judged(order.ticket, accepted=True, user=order.user)

    def ended(self, order: SessionEnded) -> None:
        self.ended_sessions.append(order.session)


@dataclass
class Stage:
    """A running driver and a peer socket beside it."""

    core: SmallCore
    house: House
    driver: Driver
    events: list[LogEvent]
    ike: UdpSocket
    natt: UdpSocket
    peer: socket.socket

    async def answer(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.peer, 2000)

    def codes(self) -> list[str]:
        return [event.code for event in self.events]


def on_stage(play: Callable[[Stage], Awaitable[None]], core: SmallCore | None = None) -> Stage:
    """Run ``play`` with a driver around ``core``."""

    async def run() -> Stage:
        core_ = core or SmallCore()
        house = House()
        events: list[LogEvent] = []
        ike = UdpSocket.bind("127.0.0.1", 0)
        natt = UdpSocket.bind("127.0.0.1", 0, encapsulated=True)
        pump = Pump(
            PythonEngine(SeededRandom(1)), [ike], [natt], ports=(ike.local[1], natt.local[1])
        )
        driver = Driver(core_, pump, house, events.append)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            peer.bind(("127.0.0.1", 0))
            stage = Stage(core_, house, driver, events, ike, natt, peer)
            driver.start()
            try:
                await asyncio.wait_for(play(stage), 10)
            finally:
                await driver.stop(1.0)
        return stage

    return asyncio.run(run())


def test_a_datagram_reaches_the_core_with_its_path_and_the_answer_leaves_from_there() -> None:
    async def play(stage: Stage) -> None:
        stage.peer.sendto(b"abc", stage.ike.local)
        assert await stage.answer() == b"cba"
        octets, path = stage.core.told[0]  # type: ignore[misc]  # what SmallCore put there
        assert (octets, path.local, path.remote) == (
            b"abc",
            stage.ike.local,
            stage.peer.getsockname(),
        )
        assert not path.encapsulated

    assert on_stage(play).codes() == ["small.received"]


def test_on_the_natt_port_ike_stands_behind_the_marker_both_ways() -> None:
    async def play(stage: Stage) -> None:
        stage.peer.sendto(bytes(4) + b"abcdefgh", stage.natt.local)
        assert await stage.answer() == bytes(4) + b"hgfedcba"

    on_stage(play)


def test_keepalives_reach_no_core() -> None:
    async def play(stage: Stage) -> None:
        for port in (stage.ike, stage.natt):
            stage.peer.sendto(b"\xff", port.local)
        stage.peer.sendto(b"abc", stage.ike.local)
        await stage.answer()
        stage.peer.sendto(bytes(4) + b"abcdefgh", stage.natt.local)
        await stage.answer()

    assert len(on_stage(play).core.told) == 2


def test_an_exception_in_the_core_costs_one_message_and_leaves_its_traceback_in_the_log() -> None:
    async def play(stage: Stage) -> None:
        stage.peer.sendto(BOOM, stage.ike.local)
        stage.peer.sendto(b"abc", stage.ike.local)
        assert await stage.answer() == b"cba"

    stage = on_stage(play)
    fault = stage.events[0]
    assert fault.code == "service.fault"
    assert "nobody planned this" in str(fault.fields["what"])
    assert "small_core.py" in str(fault.fields["traceback"])


def test_the_deadline_is_kept_exactly_and_once() -> None:
    due = boottime() + 0.05
    core = SmallCore(deadline=due)

    async def play(stage: Stage) -> None:
        await stage.core.until(lambda: bool(stage.core.told))

    told = on_stage(play, core).core.told
    assert len(told) == 1
    assert isinstance(told[0], float)
    assert due <= told[0] < due + 1.0


def test_a_deadline_that_moves_earlier_is_not_slept_through() -> None:
    core = SmallCore(deadline=boottime() + 3.0)

    async def play(stage: Stage) -> None:
        def sooner(now: float) -> Sequence[Effect]:
            stage.core.deadline = now + 0.02
            return ()

        stage.driver.command(sooner, "a test")
        await stage.core.until(lambda: bool(stage.core.told))

    started = boottime()
    on_stage(play, core)
    assert boottime() - started < 2.0


def test_a_core_that_raises_at_every_tick_does_not_spin() -> None:
    def raising(now: float) -> Sequence[Effect]:
        core.deadline = now
        raise ZeroDivisionError

    core = SmallCore(deadline=0.0, on_tick=raising)

    async def play(stage: Stage) -> None:
        await stage.core.until(lambda: len(stage.core.told) == 2)

    times = on_stage(play, core).core.told
    assert float(str(times[1])) - float(str(times[0])) >= FAULT_PAUSE * 0.9


def test_a_login_is_judged_while_datagrams_go_on() -> None:
    async def play(stage: Stage) -> None:
        order = Judge(7, "staff", "ann", Secret("x"), "192.0.2.1")
        stage.driver.command(lambda now: [order], "a test")
        stage.peer.sendto(b"abc", stage.ike.local)
        assert await stage.answer() == b"cba"
        assert Judged(7, accepted=True, user="ann") not in stage.core.told
        stage.house.gate.set()
        await stage.core.until(lambda: Judged(7, accepted=True, user="ann") in stage.core.told)

    on_stage(play)


def test_a_judge_that_fails_refuses_and_tells_the_log() -> None:
    async def play(stage: Stage) -> None:
        stage.house.gate.set()
        order = Judge(8, "staff", "broken", Secret("x"), "192.0.2.1")
        stage.driver.command(lambda now: [order], "a test")
        await stage.core.until(lambda: bool(stage.core.told))

    stage = on_stage(play)
    assert stage.core.told == [Judged(8, accepted=False, reason="error")]
    assert stage.codes() == ["service.fault"]


def test_host_names_are_looked_up() -> None:
    async def play(stage: Stage) -> None:
        stage.driver.command(lambda now: [Resolve(3, "127.0.0.1")], "a test")
        await stage.core.until(lambda: bool(stage.core.told))

    (found,) = on_stage(play).core.told
    assert found == Resolved(3, ("127.0.0.1",), network=network_towards("127.0.0.1"))


def test_a_session_that_ended_is_told_to_the_surroundings() -> None:
    async def play(stage: Stage) -> None:
        stage.driver.command(lambda now: [SessionEnded(5, "by-user")], "a test")

    assert on_stage(play).house.ended_sessions == [5]


def test_without_a_deadline_nothing_is_armed() -> None:
    async def play(stage: Stage) -> None:
        assert stage.core.deadline == inf
        assert stage.driver._timer is None

    on_stage(play)
