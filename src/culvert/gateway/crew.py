"""Several workers of one gateway, for everybody who knows one (`culvert.gateway.monitor`).

Each has its monitor, and dies alone. Requests of administrators go to all of them, and the answers
are joined; what a worker does not say that is just starting again is left out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import cast

from culvert.driver.channel import Message
from culvert.driver.control import Request, RequestError
from culvert.gateway.joining import Answer, joined, refused
from culvert.gateway.ledger import Life
from culvert.gateway.ledger_door import LedgerDoor
from culvert.gateway.monitor import Monitor

Rows = list[Mapping[str, object]]


class Pairs:
    """A line between any two workers. The ends stay open here, for those that come after them."""

    def __init__(self, workers: int) -> None:
        self._ends: dict[tuple[int, int], socket.socket] = {}
        self._workers = workers
        for one, other in combinations(range(workers), 2):
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._ends[one, other], self._ends[other, one] = pair

    def of(self, worker: int) -> tuple[int, ...]:
        """To each other one, by number; -1 in its own place."""
        found = [self._ends.get((worker, other)) for other in range(self._workers)]
        return tuple([-1 if end is None else end.fileno() for end in found])

    def close(self) -> None:
        for end in self._ends.values():
            end.close()


class Crew:
    """``monitors``: one for each worker, in order."""

    def __init__(self, monitors: Sequence[Monitor], door: LedgerDoor) -> None:
        self._monitors = monitors
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._down: set[int] = set()
        door.ledger.replace = self._replaced
        door.over = self._over
        for worker, one in enumerate(monitors):
            one.watch = partial(self._watched, worker)

    async def start(self) -> tuple[str, ...]:
        """All of them; what their confinement lacks on this system. Raises MessageError, and
        TimeoutError."""
        found = await asyncio.gather(*[one.start() for one in self._monitors])
        return tuple(dict.fromkeys(sentence for each in found for sentence in each))

    def expect_end(self) -> None:
        for one in self._monitors:
            one.expect_end()

    async def stop(self, patience: float, reason: str = "peer-shutdown") -> None:
        await asyncio.gather(*[one.stop(patience, reason) for one in self._monitors])

    def _replaced(self, life: Life, number: int) -> None:
        """Called from a thread of the ledger's."""
        if self._door.is_current(life):
            self._loop.call_soon_threadsafe(self._monitors[life.worker].replaced, number)

    def _over(self, life: Life, why: str) -> None:
        """Called from a thread of the ledger's, also at the end of everything."""
        with suppress(RuntimeError):  # the loop has ended, and no worker is left
            self._loop.call_soon_threadsafe(self._distrust, life, why)

    def _distrust(self, life: Life, why: str) -> None:
        if self._door.is_current(life):
            self._monitors[life.worker].distrust(f"its line to the ledger: {why}")

    def _watched(self, worker: int, up: bool) -> None:
        """One is gone, or another serves in its place: the others need not wait for it."""
        if up:
            self._down.discard(worker)
            for other in self._down:
                self._monitors[worker].sibling(other, up=False)
        else:
            self._down.add(worker)
        for number, one in enumerate(self._monitors):
            if number != worker:
                one.sibling(worker, up=up)

    # --- what administrators ask -------------------------------------------------------------

    async def ask(self, method: str, request: Request) -> Mapping[str, object]:
        """As `Monitor.ask`; rows in the order of their numbers, each with its worker from 1 on."""
        rows: Rows = []
        result = await self.answer(method, dict(request.params), rows)
        if rows:
            rows.sort(key=lambda row: cast("int", row.get("number", 0)))
            request.rows(rows)
        return result

    async def answer(
        self, method: str, params: Mapping[str, object], rows: Rows | None = None
    ) -> Mapping[str, object]:

        def meanwhile(worker: int, message: Message) -> None:
            if message.get("kind") == "rows" and rows is not None:
                told = cast("tuple[Mapping[str, object], ...]", message.get("value", ()))
                rows.extend({**row, "worker": worker} for row in told)

        asked = [
            one.answer(method, params, partial(meanwhile, worker))
            for worker, one in enumerate(self._monitors, 1)
        ]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, RequestError):
                raise one
        answers = [one for one in found if not isinstance(one, BaseException)]
        if not answers:
            raise refused([one for one in found if isinstance(one, RequestError)])
        result = joined(method, answers, self._door.ledger)
        if method == "status":
            return {**result, "workers": len(found), **self._each(found)}
        return result

    def _each(self, found: Sequence[object]) -> Mapping[str, object]:
        """Of every worker, in order: its process, 0 while none is there, and its sessions."""
        answers = [cast("Answer", one) if isinstance(one, Mapping) else None for one in found]
        return {
            "worker_processes": [
                0 if answer is None else monitor.pid
                for monitor, answer in zip(self._monitors, answers, strict=True)
            ],
            "worker_sessions": [0 if one is None else one["active"] for one in answers],
        }
