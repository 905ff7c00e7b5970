"""One live connection with a core that only records: who is asked, and what serves again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path as FilePath

import pytest

from culvert.client.live import Live, Over
from culvert.client.ports import Ports
from culvert.client.running import Here
from culvert.driver.engine import choose
from culvert.effects import Answer, AskHuman, Effect, HumanAnswered, Record
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.inet.address import Path
from culvert.netio.machine import Machine
from culvert.profile.profile import Profile
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.vault.trust import Trust
from netio.namespaces import inside, namespace

pytestmark = pytest.mark.root

PROFILE = Profile("office", "192.0.2.1", group="sales", legacy=("aggressive-psk",))
QUESTION = AskHuman(1, ("password",), "", repeated=False)


@dataclass
class RecordingCore:
    """A connection that does what a test says."""

    deadline: float = inf
    snapshot: Mapping[str, object] = field(default_factory=dict)
    told: list[Answer] = field(default_factory=list)

    def connect(self, *, now: float) -> Sequence[Effect]:
        return [QUESTION]

    def disconnect(self, *, now: float) -> Sequence[Effect]:
        fields = {"profile": "office", "reason": "by-user", "by_peer": False}
        return [Record(LogEvent("client.down", fields))]

    def close(self) -> None:
        pass

    def receive(self, octets: bytes, path: Path, *, now: float) -> Sequence[Effect]:
        return []

    def step(self, answer: Answer, *, now: float) -> Sequence[Effect]:
        self.told.append(answer)
        return [Record(LogEvent("client.up", {}))]

    def tick(self, *, now: float) -> Sequence[Effect]:
        return []


@pytest.fixture
def apart() -> Iterator[None]:
    with namespace("l") as name, inside(name):
        yield


def made(core: RecordingCore, folder: FilePath) -> Live:
    def here(live: Live) -> Here:
        ports = Ports.open(PROFILE, bare_esp=False)
        pump = ports.pump(PROFILE, choose("python"), SeededRandom(1), None)
        return Here(core, pump, live, live.heard)

    machine, trust = Machine(directory=folder), Trust(Rules((), Purpose.GATEWAY))
    return Live(PROFILE, here, machine, asyncio.Lock(), lambda event: None, trust)


async def tell_password(order: AskHuman) -> HumanAnswered:
    return HumanAnswered(order.ticket, {"password": Secret("right")})


@pytest.mark.usefixtures("apart")
def test_an_answer_serves_again_when_nobody_is_there_but_not_after_a_refusal(
    tmp_path: FilePath,
) -> None:
    async def play() -> None:
        core = RecordingCore()
        live = made(core, tmp_path)
        live.ask_with = tell_password
        live.begin()
        await asyncio.wait_for(live.up.wait(), 5)
        assert core.told == [HumanAnswered(1, {"password": Secret("right")})]
        live.ask_with = None
        again = AskHuman(2, ("password",), "", repeated=False)
        assert await live.ask(again) == HumanAnswered(2, {"password": Secret("right")})
        refused = AskHuman(3, ("password",), "", repeated=True)
        assert await live.ask(refused) == HumanAnswered(3, None)
        token = AskHuman(4, ("password", "passcode"), "", repeated=False)
        assert await live.ask(token) == HumanAnswered(4, None)
        live.leave()
        assert await asyncio.wait_for(live.over, 5) == Over("by-user", by_peer=False)
        await live.close(1.0)

    asyncio.run(play())


@pytest.mark.usefixtures("apart")
def test_a_second_connection_finds_ports_of_its_own(tmp_path: FilePath) -> None:
    async def play() -> None:
        first, second = (made(RecordingCore(), tmp_path / str(n)) for n in range(2))
        first.begin()
        second.begin()
        await first.close(1.0)
        await second.close(1.0)

    asyncio.run(play())
