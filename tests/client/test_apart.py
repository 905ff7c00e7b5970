"""The service's side of a connection; this test is the worker at the other end of its lines."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from client.test_checked import GATEWAY, PROFILE, SETTINGS, STRANGER
from culvert.client.apart import MOST_ORDERS, Apart, Means
from culvert.client.births import Births, Born
from culvert.client.ports import Ports
from culvert.client.worker import AT_ONCE
from culvert.driver.channel import Channel, Message
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import (
    AskHuman,
    ConfigureMachine,
    HumanAnswered,
    MachineConfigured,
    Resolve,
    Resolved,
    RestoreMachine,
    TunnelSettings,
)
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.vault.trust import Trust
from waiting import until

PATIENCE = 15.0
LONGER_THAN_A_WAIT = 1.0
"""Seconds; the first worker that dies is followed after a tenth of one."""
INTERFACE = "cvtest0"
UP = LogEvent("client.up", {"profile": "office"})
DOWN = LogEvent("client.down", {"profile": "office", "reason": "by-user", "by_peer": False})
PLAYED = replace(PROFILE, ike_port="dynamic", natt_port="dynamic", reconnect=60)


class Played(Births):
    """Processes that do nothing; what a worker would hear is here."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.processes: list[asyncio.subprocess.Process] = []

    async def take(self) -> Born:
        ours, theirs = socket.socketpair()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import signal; signal.pause()")
        )
        self.processes.append(process)
        self.ends.put_nowait(theirs)
        return Born(process, ours)


class Machine(NoSurroundings):
    """A machine that takes its time."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.standing: TunnelSettings | None = None
        self.asked: list[object] = []
        self.given_up: list[object] = []

    async def configure(self, order: ConfigureMachine) -> MachineConfigured:
        self.asked.append(order)
        await self.go_on.wait()
        self.standing = order.settings
        return MachineConfigured(order.ticket, interface=INTERFACE)

    async def restore(self, order: RestoreMachine) -> None:
        self.asked.append(order)
        self.standing = None

    async def resolve(self, order: Resolve) -> Resolved:
        return Resolved(order.ticket, (GATEWAY,))

    async def ask(self, order: AskHuman) -> HumanAnswered:
        self.asked.append(order)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.given_up.append(order)
            raise
        return HumanAnswered(order.ticket, None)


@dataclass
class Worker:
    """One life of the played worker."""

    channel: Channel
    heard: asyncio.Queue[Message]
    line: socket.socket
    descriptors: list[int]

    @classmethod
    async def born(cls, births: Played) -> Worker:
        """The next one, with what it was given; ready."""
        line = await asyncio.wait_for(births.ends.get(), PATIENCE)
        _, given, _, _ = await asyncio.to_thread(socket.recv_fds, line, 1, AT_ONCE)
        orders, control, *others = given
        heard: asyncio.Queue[Message] = asyncio.Queue()
        channel = Channel(heard.put_nowait, lambda _: None)
        await channel.open(socket.socket(fileno=control))
        channel.say({"ready": ()})
        return cls(channel, heard, line, [orders, *others])

    def says(self, event: LogEvent, state: str) -> None:
        self.channel.say({"event": event, "snapshot": {"state": state}})

    async def asks(self, order: object) -> object:
        message = await asyncio.wait_for(self.channel.ask({"order": order}), PATIENCE)
        return message["answer"]

    def begins(self, order: object, number: int) -> None:
        """Ask without waiting."""
        self.channel.say({"order": order, "number": number})

    async def hears(self, what: str) -> object:
        """The next message about that; others are passed over."""
        while True:
            message = await asyncio.wait_for(self.heard.get(), PATIENCE)
            if what in message:
                return message[what]

    def dies(self) -> None:
        self.channel.close()
        self.line.close()
        while self.descriptors:
            os.close(self.descriptors.pop())


@dataclass
class Scene:
    apart: Apart
    machine: Machine
    births: Played
    events: list[LogEvent]
    workers: list[Worker]

    async def worker(self) -> Worker:
        self.workers.append(await Worker.born(self.births))
        return self.workers[-1]

    @property
    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    @property
    def notes(self) -> list[object]:
        return [one.fields["note"] for one in self.events if one.code == "client.machine-note"]


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    machine, births, events = Machine(), Played(), list[LogEvent]()
    workers: list[Worker] = []
    means = Means(
        births,
        Ports.open(PLAYED, bare_esp=False),
        "python",
        Trust(Rules((), Purpose.GATEWAY)),
        str(folder),
        bare_esp=False,
    )

    def standing() -> tuple[TunnelSettings | None, str]:
        return machine.standing, INTERFACE if machine.standing is not None else ""

    apart = Apart(PLAYED, means, machine, events.append, standing, None)
    apart.begin()
    try:
        yield Scene(apart, machine, births, events, workers)
    finally:
        machine.go_on.set()
        for process in births.processes:
            if process.returncode is None:
                process.kill()
        await apart.close(PATIENCE)
        for worker in workers:
            worker.dies()
        while not births.ends.empty():
            births.ends.get_nowait().close()


async def up(at: Scene) -> Worker:
    """A worker whose connection is up, as it says, with the machine not set up yet."""
    worker = await at.worker()
    await worker.hears("begin")
    await worker.asks(Resolve(1, PLAYED.host))
    worker.says(UP, "up")
    await until(lambda: "client.up" in at.codes)
    return worker


def test_a_set_up_under_way_when_its_worker_dies_is_what_the_next_one_finds(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        async with scene(tmp_path) as at:
            first = await up(at)
            first.begins(ConfigureMachine(2, SETTINGS), 2)
            await until(lambda: bool(at.machine.asked))
            first.dies()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(at.births.ends.get(), LONGER_THAN_A_WAIT)
            at.machine.go_on.set()
            second = await at.worker()
            assert await second.hears("resume") == SETTINGS

    asyncio.run(play())


def test_a_question_of_a_dead_worker_is_taken_back_and_counts_no_more(tmp_path: Path) -> None:
    async def play() -> None:
        async with scene(tmp_path) as at:
            first = await up(at)
            question = AskHuman(3, ("password",), "", repeated=False)
            for number in range(MOST_ORDERS):
                first.begins(question, number)
            await until(lambda: len(at.machine.asked) == MOST_ORDERS)
            first.dies()
            second = await at.worker()
            await second.hears("resume")
            assert len(at.machine.given_up) == MOST_ORDERS
            assert at.apart.orders_under_way == 0
            assert await second.asks(Resolve(4, PLAYED.host)) == Resolved(4, (GATEWAY,))

    asyncio.run(play())


def test_nothing_is_undone_for_a_worker_that_has_not_said_that_it_is_over(tmp_path: Path) -> None:
    async def play() -> None:
        async with scene(tmp_path) as at:
            at.machine.go_on.set()
            worker = await up(at)
            await worker.asks(ConfigureMachine(2, SETTINGS))
            await worker.asks(RestoreMachine("office"))
            assert at.machine.standing == SETTINGS
            assert len(at.notes) == 1
            worker.says(DOWN, "down")
            await worker.asks(RestoreMachine("office"))
            assert at.machine.standing is None

    asyncio.run(play())


def test_one_that_dies_after_it_was_over_is_followed_by_nobody(tmp_path: Path) -> None:
    async def play() -> None:
        async with scene(tmp_path) as at:
            worker = await up(at)
            worker.says(DOWN, "down")
            worker.dies()
            await until(lambda: "client.down" in at.codes)
        assert "client.worker-lost" not in at.codes
        assert at.codes.count("client.down") == 1
        assert at.births.ends.empty()

    asyncio.run(play())


def test_a_gateway_that_no_name_leads_to_is_refused_and_one_that_moved_is_told(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        elsewhere = replace(SETTINGS, gateway=STRANGER)
        async with scene(tmp_path) as at:
            at.machine.go_on.set()
            worker = await up(at)
            refused = await worker.asks(ConfigureMachine(2, elsewhere))
            assert isinstance(refused, MachineConfigured)
            assert refused.problem
            await worker.asks(ConfigureMachine(3, SETTINGS))
            assert at.notes == []
            await worker.asks(ConfigureMachine(4, elsewhere))
            assert at.machine.standing == elsewhere
            (note,) = at.notes
            assert STRANGER in str(note)

    asyncio.run(play())
