"""A core small enough to be read at a glance, for driving a real loop over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from culvert.effects import Answer, Effect, Record, SendIke
from culvert.eventlog.event import LogEvent
from culvert.inet.address import Path

BOOM = b"boom"


@dataclass
class SmallCore:
    """Answers each datagram with its reverse, remembers all it was told, raises on `BOOM`."""

    deadline: float = inf
    told: list[object] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    on_answer: Callable[[Answer], Sequence[Effect]] = lambda answer: ()
    on_tick: Callable[[float], Sequence[Effect]] = lambda now: ()

    def receive(self, octets: bytes, path: Path, *, now: float) -> Sequence[Effect]:
        self._note((octets, path))
        if octets == BOOM:
            raise ZeroDivisionError("nobody planned this")
        return [
            Record(LogEvent("small.received", {"octets": len(octets)})),
            SendIke(octets[::-1], path.remote, path.local[1], marker=path.encapsulated),
        ]

    def step(self, answer: Answer, *, now: float) -> Sequence[Effect]:
        self._note(answer)
        return self.on_answer(answer)

    def tick(self, *, now: float) -> Sequence[Effect]:
        self._note(now)
        self.deadline = inf
        return self.on_tick(now)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until what it was told makes ``holds`` true."""
        while not holds():
            self.news.clear()
            await self.news.wait()

    def _note(self, what: object) -> None:
        self.told.append(what)
        self.news.set()
