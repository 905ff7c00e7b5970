"""What a running gateway answers to its administrators over the control socket.

Sessions are the worker's; the log is here, and whatever needs a socket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from typing import cast

from culvert.driver.control import Method, Request, RequestError
from culvert.driver.journal import Journal
from culvert.driver.telling import clear_log, set_level, tell_log, tell_story
from culvert.driver.tracing import Tracing
from culvert.gateway.crew import Crew
from culvert.gateway.monitor import Monitor
from culvert.gateway.record_file import ALONE, SEVERAL
from culvert.gateway.recorded import Wanted
from culvert.gateway.store_door import StoreDoor
from culvert.netio import echo

MOST_ECHOES = 60
"""Echo requests of one ``ping``: a look at a session, not a measurement over days."""

OF_THE_WORKER = ("sessions", "logout", "announce")


class Desk:
    """Answers the methods of the control protocol for a gateway."""

    def __init__(self, monitor: Monitor | Crew, journal: Journal, store: StoreDoor) -> None:
        self._monitor = monitor
        self._store = store
        self._journal = journal
        self._tracing = Tracing(journal.log)

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            **{name: partial(self._monitor.ask, name) for name in OF_THE_WORKER},
            "status": self.status,
            "ping": self.ping,
            "record": self.record,
            "story": self.story,
            "log": self.log,
            "level": partial(set_level, self._journal),
            "clear": partial(clear_log, self._journal),
            "trace": self._tracing.trace,
        }

    async def status(self, request: Request) -> Mapping[str, object]:
        return {**await self._monitor.ask("status", request), **self._store.status}

    async def ping(self, request: Request) -> Mapping[str, object]:
        """Ask the client of ``number`` through its tunnel."""
        number = request.whole("number")
        count = min(max(request.whole("count", 3), 1), MOST_ECHOES)
        session = await self._monitor.answer("find", {"number": number})
        address = str(session["address"])
        if not address:
            raise RequestError("cli.not-found", f"session {number} has no address to ping yet")
        reachable = [str(one) for one in cast("tuple[object, ...]", session["reachable"])]
        source = await asyncio.to_thread(echo.source_within, reachable) if reachable else ""
        if reachable and not source:
            raise RequestError(
                "cli.not-found",
                "this machine has no address in the networks that the client reaches through "
                f"the tunnel ({', '.join(reachable)})",
                "Ping the client from a machine in one of them.",
            )
        found = await asyncio.to_thread(echo.ping, address, source=source, count=count)
        return {
            "number": number,
            "address": address,
            "source": found.source,
            "sent": found.sent,
            "received": len(found.milliseconds),
            "milliseconds": [round(one, 2) for one in found.milliseconds],
        }

    async def record(self, request: Request) -> Mapping[str, object]:
        """The next session of ``caller`` into the file ``path``, which this process writes: only
        for who may write any file of this machine."""
        if request.peer.uid not in (0, os.geteuid()):
            raise RequestError(
                "cli.denied",
                "only root may have a record written",
                "Run the command as root: sudo culvert gateway record …",
            )
        if isinstance(self._monitor, Crew):
            raise RequestError("platform.unavailable", SEVERAL, ALONE)
        path, caller = request.text("path"), request.text("caller")
        self._monitor.record(path, Wanted(caller, request.flag("secrets")))
        return {"path": path, "caller": caller}

    async def story(self, request: Request) -> Mapping[str, object]:
        return await tell_story(self._journal.log, request)

    async def log(self, request: Request) -> Mapping[str, object]:
        return await tell_log(self._journal.log, request)
