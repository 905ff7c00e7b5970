"""One record after another: what a worker still says about the one before concerns no other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from culvert.driver.channel import Channel, Message
from culvert.driver.message import MessageError
from culvert.errors import CulvertError
from culvert.eventlog.event import LogEvent
from culvert.gateway.monitor import Monitor
from culvert.gateway.record_file import RecordFile
from culvert.gateway.recorded import FIRST, STOPS, Recorder, Wanted
from culvert.gateway.worker import Worker
from culvert.rng import SeededRandom
from waiting import until


class Watched:
    """A monitor, and what its worker hears."""

    def __init__(self, first: Path | None = None) -> None:
        self.events: list[LogEvent] = []
        self.said: list[Message] = []
        nothing: Any = None
        file = RecordFile(str(first), Wanted(), self.events.append) if first else None
        if file is not None:
            file.take_wanted()
        self.monitor: Any = Monitor(
            nothing, (), nothing, self.events.append, nothing, lambda: 0.0, recorded=file
        )

    async def join(self) -> Channel:
        """The worker's end."""
        ours, theirs = socket.socketpair()
        self.monitor._channel = Channel(self.monitor._heard, lambda _: None)
        await self.monitor._channel.open(ours)
        worker = Channel(self.said.append, lambda _: None)
        await worker.open(theirs)
        return worker

    def told(self, path: Path) -> list[str]:
        """What became of the record in this file."""
        return [
            event.code
            for event in self.events
            if event.fields.get("path") == str(path) and event.code != "gateway.record"
        ]


def run(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(play())


def test_what_a_worker_says_about_a_full_file_does_not_close_the_next_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    async def play() -> None:
        watched = Watched(one)
        worker = await watched.join()
        watched.monitor._recorded.end("it has its full length", 0)
        watched.monitor.record(str(two), Wanted("alice"))
        worker.say({"record": "late\n", "of": FIRST})
        worker.say({"recorded": "another record begins", "inputs": 7, "of": FIRST})
        worker.say({"record": "next\n", "of": FIRST + 1})
        worker.say({"recorded": "", "inputs": 1, "of": FIRST + 1})
        await until(lambda: "gateway.recorded" in watched.told(two))
        assert two.read_text() == "next\n"
        assert watched.told(one) == ["service.file-ended"]
        assert watched.told(two) == ["gateway.recorded"]
        begin = {"record": "begin", "caller": "alice", "secrets": False, "of": FIRST + 1}
        await until(lambda: bool(watched.said))
        assert [*watched.said] == [begin]
        worker.close()
        await watched.monitor.stop(1)

    run(play)


@pytest.mark.parametrize("number", [0, FIRST + 1, -1])
def test_a_record_that_nobody_asked_for_is_nonsense(tmp_path: Path, number: int) -> None:
    watched = Watched(tmp_path / "one")
    for said in ({"record": "x\n"}, {"recorded": "", "inputs": 1}):
        with pytest.raises(MessageError):
            watched.monitor._heard({**said, "of": number})
        with pytest.raises(MessageError):
            watched.monitor._heard(said)


def test_a_record_begun_later_is_closed_and_told_at_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "later"

    async def play() -> None:
        watched = Watched()
        worker = await watched.join()
        watched.monitor.record(str(path), Wanted())
        worker.say({"record": "line\n", "of": FIRST + 1})
        await until(lambda: bool(path.read_text()))
        with pytest.raises(CulvertError, match="already"):
            watched.monitor.record(str(tmp_path / "more"), Wanted())
        await watched.monitor.stop(1)
        assert not watched.monitor._recorded.open
        assert watched.monitor._recorded._file.fileno() < 0
        assert watched.events[-1].code == "service.file-ended"
        assert watched.events[-1].fields == {"path": str(path), "why": STOPS}
        worker.close()

    run(play)


def test_a_worker_that_hears_of_a_full_file_ends_no_other_record() -> None:
    ended: list[tuple[str, int, int]] = []
    recorder = Recorder(
        SeededRandom(1),
        lambda _line, _number: None,
        lambda *told: ended.append(told),
        lambda _: None,
    )
    hear: Any = Worker._about_record  # pyright: ignore[reportPrivateUsage]
    recorder.begin(Wanted())
    hear(recorder, {"record": "begin", "caller": "", "secrets": False, "of": 2})
    assert ended == [("another record begins", 0, FIRST)]
    hear(recorder, {"record": "end", "of": FIRST})
    assert recorder.going
    hear(recorder, {"record": "end", "of": 2})
    assert not recorder.going
    assert ended[1:] == [("it takes no more", 0, 2)]
