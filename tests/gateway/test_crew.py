"""Several workers and their monitors: what the end of one, or of its line, means to the others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from culvert.driver.control import RequestError
from culvert.eventlog.event import LogEvent
from culvert.gateway import monitor as watched
from culvert.gateway.crew import Crew
from culvert.gateway.house import GatewayHouse
from culvert.gateway.ledger import Ledger
from culvert.gateway.ledger_door import LedgerDoor
from culvert.gateway.monitor import Monitor
from culvert.gateway.worker import Orders
from culvert.policy.pool import AddressRange, PoolPlan
from waiting import until

IT = (AddressRange.parse("192.0.2.1-192.0.2.4"),)
WORKER = """\
import socket, sys
heard, control, ledger = sys.argv[1], int(sys.argv[3]), int(sys.argv[8])
control, ledger = socket.socket(fileno=control), socket.socket(fileno=ledger)
control.sendall(b'{"ready": []}\\n')
for line in control.makefile("r"):
    with open(heard + str(ledger.fileno()), "a") as out:
        out.write(line)
    if "replaced" in line:
        ledger.sendall(b"?\\n")  # and lives on
    if "stop" in line:
        break
"""
"""Does as a worker does, and goes on when the ledger has had enough of it."""


class House:
    def serve(self, end: socket.socket) -> None:
        end.close()


class Stage:
    """``workers``: how many. ``crew``: started."""

    def __init__(self, heard: Path, workers: int) -> None:
        self.events: list[LogEvent] = []
        self._heard = heard
        ledger = Ledger(
            workers, [PoolPlan("p", IT)], limit=0, cumulative=0, route=lambda _, __: None
        )
        self.door = LedgerDoor(ledger)
        self.monitors = [
            Monitor(
                lambda: cast("Orders", None),
                (),
                cast("GatewayHouse", House()),
                self.events.append,
                lambda _: None,
                asyncio.get_running_loop().time,
                ledger=partial(self.door.open, worker),
                worker=worker,
            )
            for worker in range(workers)
        ]
        self.crew = Crew(self.monitors, self.door)

    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    def heard(self) -> list[list[dict[str, Any]]]:
        """What each process was told."""
        found = sorted(self._heard.parent.glob(f"{self._heard.name}*"))
        return [[json.loads(line) for line in one.read_text().splitlines()] for one in found]


@asynccontextmanager
async def staged(heard: Path, workers: int = 2) -> AsyncIterator[Stage]:
    stage = Stage(heard, workers)
    try:
        await stage.crew.start()
        yield stage
    finally:
        await stage.crew.stop(5.0)


def run(
    work: Callable[[Path], Any], folder: Path, patched: pytest.MonkeyPatch, *command: str
) -> None:
    heard = folder / "heard"
    patched.setattr(watched, "WORKER", command or (sys.executable, "-c", WORKER, str(heard)))
    asyncio.run(work(heard))


def test_a_worker_whose_line_to_the_ledger_ends_is_ended_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(heard: Path) -> None:
        async with staged(heard) as stage:
            first, second = (one.pid for one in stage.monitors)
            stage.monitors[0].replaced(1)
            await until(lambda: "gateway.worker-started" in stage.codes())
            with pytest.raises(ProcessLookupError):
                os.kill(first, 0)  # or it served on
            assert stage.monitors[1].pid == second
            lost = next(one for one in stage.events if one.code == "gateway.worker-lost")
            assert lost.fields["worker"] == 1
            assert "its line to the ledger" in str(lost.fields["why"])
            told = [{"sibling": 0, "up": False}, {"sibling": 0, "up": True}]
            await until(lambda: told in stage.heard())
            assert stage.codes().count("gateway.worker-lost") == 1

    run(work, tmp_path, monkeypatch)


def test_of_a_worker_that_was_killed_the_signal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(heard: Path) -> None:
        async with staged(heard) as stage:
            os.kill(stage.monitors[0].pid, signal.SIGSEGV)
            await until(lambda: "gateway.worker-started" in stage.codes())
            lost = next(one for one in stage.events if one.code == "gateway.worker-lost")
            assert "it ended by signal 11 (SIGSEGV)" in str(lost.fields["why"])

    run(work, tmp_path, monkeypatch)


def test_a_worker_that_could_not_be_started_for_want_of_a_process_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(heard: Path) -> None:
        right = watched.WORKER
        async with staged(heard) as stage:
            monkeypatch.setattr(watched, "WORKER", (str(tmp_path / "nothing"),))
            stage.monitors[0].distrust("the test says so")
            await until(lambda: stage.codes().count("gateway.worker-lost") == 2)
            assert "nothing" in str(stage.events[-1].fields["why"])
            with pytest.raises(RequestError, match="starting again"):
                await stage.monitors[0].answer("status", {})
            monkeypatch.setattr(watched, "WORKER", right)
            await until(lambda: "gateway.worker-started" in stage.codes())
            assert stage.codes().count("gateway.worker-lost") == 2

    run(work, tmp_path, monkeypatch)


def test_who_begins_while_another_is_gone_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(heard: Path) -> None:
        async with staged(heard) as stage:
            stage.monitors[0].watch(False)
            stage.monitors[1].watch(False)
            stage.monitors[1].watch(True)
            down = {"sibling": 0, "up": False}
            await until(lambda: any(said[-1:] == [down] for said in stage.heard()))

    run(work, tmp_path, monkeypatch)
