"""What a running gateway answers to its administrators over the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from culvert import __version__
from culvert.driver.control import Method, Request, RequestError
from culvert.driver.journal import Journal
from culvert.driver.loop import Driver
from culvert.driver.pump import Pump
from culvert.driver.telling import tell_log, tell_story
from culvert.effects import Effect
from culvert.gateway.caller import Attempt
from culvert.gateway.config import GatewayConfig
from culvert.netio import echo
from culvert.session.session import Kind, Session
from culvert.session.table import SessionTable
from culvert.session.view import row, summary

MOST_ECHOES = 60
"""Echo requests of one ``ping``: a look at a session, not a measurement over days."""


class GatewayCore(Protocol):
    """What is asked of the coordinator here."""

    @property
    def half_open(self) -> int: ...

    @property
    def refused_datagrams(self) -> Mapping[str, int]: ...

    @property
    def refusals(self) -> Collection[Attempt]: ...

    def logout(self, number: int, *, now: float) -> Sequence[Effect]: ...


class GatewayService:
    """Answers the methods of the control protocol for a gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        core: GatewayCore,
        driver: Driver,
        pump: Pump,
        journal: Journal,
        *,
        began: datetime,
        listening: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._table = table
        self._core = core
        self._driver = driver
        self._pump = pump
        self._journal = journal
        self._began = began
        self._listening = listening
        self._clock = clock

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "sessions": self.sessions,
            "logout": self.logout,
            "ping": self.ping,
            "status": self.status,
            "story": self.story,
            "log": self.log,
        }

    async def sessions(self, request: Request) -> Mapping[str, object]:
        """A row per session; the result is the summary and the attempts that were refused."""
        self._driver.look()
        now = self._clock()
        request.rows(row(session, now=now) for session in self._table)
        refusals = [_refusal(one) for one in self._core.refusals]
        return {"summary": summary(self._table.totals), "refusals": refusals}

    async def logout(self, request: Request) -> Mapping[str, object]:
        """End ``number``, or every session of ``user``, or ``all``."""
        chosen = self._chosen(request)
        for session in chosen:
            self._driver.command(partial(self._logout, session.number), "logout")
        return {"ended": [{"number": one.number, "user": one.user} for one in chosen]}

    def _logout(self, number: int, now: float) -> Sequence[Effect]:
        return self._core.logout(number, now=now)

    async def ping(self, request: Request) -> Mapping[str, object]:
        """Ask the client of ``number`` through its tunnel."""
        session = self._session(request.whole("number"))
        count = min(max(request.whole("count", 3), 1), MOST_ECHOES)
        if not session.assigned:
            raise RequestError(
                "cli.not-found", f"session {session.number} has no address to ping yet"
            )
        if session.kind is Kind.LAN_TO_LAN:
            raise RequestError(
                "cli.not-found",
                f"session {session.number} is another gateway; it has networks and no address",
                f"Ping a host in {session.assigned}.",
            )
        group = self._config.group(session.group)
        reachable = [str(network) for network in group.split_include] if group else []
        source = await asyncio.to_thread(echo.source_within, reachable) if reachable else ""
        if reachable and not source:
            raise RequestError(
                "cli.not-found",
                "this machine has no address in the networks that the client reaches through "
                f"the tunnel ({', '.join(reachable)})",
                "Ping the client from a machine in one of them.",
            )
        found = await asyncio.to_thread(echo.ping, session.assigned, source=source, count=count)
        return {
            "number": session.number,
            "address": session.assigned,
            "source": found.source,
            "sent": found.sent,
            "received": len(found.milliseconds),
            "milliseconds": [round(one, 2) for one in found.milliseconds],
        }

    async def status(self, request: Request) -> Mapping[str, object]:
        """The gateway itself: what it listens on, runs with, refused and dropped."""
        totals = self._table.totals
        return {
            "version": __version__,
            "config": self._config.path,
            "since": self._began.isoformat(timespec="seconds"),
            "listening": list(self._listening),
            "interface": self._config.restart.tun,
            "engine": self._pump.engine,
            "groups": len(self._config.live.groups),
            **asdict(totals),
            "half_open": self._core.half_open,
            "refused_datagrams": dict(self._core.refused_datagrams),
            "dropped_packets": dict(self._pump.refused),
        }

    async def story(self, request: Request) -> Mapping[str, object]:
        return await tell_story(self._journal.log, request)

    async def log(self, request: Request) -> Mapping[str, object]:
        return await tell_log(self._journal.log, request)

    def _chosen(self, request: Request) -> list[Session]:
        if request.flag("all"):
            return list(self._table)
        if user := request.text("user"):
            found = self._table.of_user(user)
            if not found:
                raise RequestError("cli.not-found", f"{user} is not connected")
            return list(found)
        return [self._session(request.whole("number"))]

    def _session(self, number: int) -> Session:
        session = self._table.find(number)
        if session is None:
            raise RequestError(
                "cli.not-found",
                f"there is no session {number}",
                "`culvert gateway sessions` lists them.",
            )
        return session


def _refusal(attempt: Attempt) -> dict[str, str]:
    return {**asdict(attempt), "at": attempt.at.astimezone(UTC).isoformat(timespec="seconds")}
