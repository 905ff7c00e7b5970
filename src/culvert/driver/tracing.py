"""What both daemons answer about live traces: switch one on, and off again from anywhere (S3-01).

A trace is on for as long as the conversation that switched it on: whoever hangs up switches it off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from culvert.driver.control import Request, RequestError
from culvert.eventlog.entry import Entry
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines
from culvert.eventlog.trace import Trace

TOPIC = "vpn-status"
"""What can be traced: connections, as LANCOM calls it."""

MOST = 16
"""Traces at once: consoles of people who look, not a way to keep a log."""


@dataclass(slots=True)
class Running:
    """One console's trace."""

    about: str
    off: asyncio.Event = field(default_factory=asyncio.Event)
    told: int = 0


class Tracing:
    """The traces of one daemon."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._running: list[Running] = []

    async def trace(self, request: Request) -> Mapping[str, object]:
        """``on``: every entry about ``name`` (all without one) until it is switched off or the
        asker hangs up, after a row that says it is on. Else switch off those about ``name``, or
        all of them."""
        topic, about = request.text("topic", TOPIC), request.text("name")
        if topic != TOPIC:
            raise RequestError("cli.usage", f"nothing is called {topic!r}", f"Trace {TOPIC}.")
        if not request.flag("on"):
            return {"ended": self._switch_off(about)}
        if len(self._running) >= MOST:
            raise RequestError("platform.unavailable", f"{MOST} traces are the most at once")
        running, wanted = Running(about), Trace(about)

        def hear(entry: Entry) -> None:
            for one in wanted.heard(entry):
                request.tell("event", json_lines.document(one))
                running.told += 1

        self._running.append(running)
        listener = self._log.attach(hear)
        request.rows([{"traces": len(self._running)}])
        try:
            await running.off.wait()
        finally:
            self._log.detach(listener)
            self._running.remove(running)
        return {"told": running.told}

    def _switch_off(self, about: str) -> int:
        chosen = [one for one in self._running if not about or one.about == about]
        for one in chosen:
            one.off.set()
        return len(chosen)
