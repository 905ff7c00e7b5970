"""What a gateway's worker answers to administrators; `desk` adds what the monitor knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from culvert import __version__
from culvert.driver.control import Method, Request, RequestError
from culvert.driver.loop import Driver
from culvert.driver.pump import Pump
from culvert.effects import Effect
from culvert.gateway.caller import Attempt
from culvert.gateway.config import GatewayConfig
from culvert.session.session import Kind, Session
from culvert.session.table import SessionTable
from culvert.session.view import row, summary


class GatewayCore(Protocol):
    """What is asked of the coordinator here."""

    @property
    def half_open(self) -> int: ...

    @property
    def refused_datagrams(self) -> Mapping[str, int]: ...

    @property
    def unproved(self) -> Mapping[str, int]: ...

    @property
    def refusals(self) -> Collection[Attempt]: ...

    def logout(self, number: int, *, now: float) -> Sequence[Effect]: ...

    def announce(self, *, now: float) -> Sequence[Effect]: ...


class Passing(Protocol):
    """The other workers, if there are several."""

    @property
    def passed(self) -> int: ...
    @property
    def lost(self) -> int: ...


class GatewayService:
    """Answers the methods of the control protocol for a gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        core: GatewayCore,
        driver: Driver,
        pump: Pump,
        *,
        began: datetime,
        listening: Sequence[str],
        clock: Callable[[], float],
        engine_reason: str = "",
        others: Passing | None = None,
    ) -> None:
        self._config = config
        self._table = table
        self._core = core
        self._driver = driver
        self._pump = pump
        self._began = began
        self._listening = listening
        self._clock = clock
        self._engine_reason = engine_reason
        self._others = others

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "sessions": self.sessions,
            "logout": self.logout,
            "announce": self.announce,
            "find": self.find,
            "status": self.status,
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

    async def announce(self, request: Request) -> Mapping[str, object]:
        """This machine has another address: every peer is told, from there."""
        self._driver.command(lambda now: self._core.announce(now=now), "announcing")
        return {"told": len(self._table)}

    async def find(self, request: Request) -> Mapping[str, object]:
        """Of ``number``: the inner address, and the networks that the client reaches."""
        session = self._session(request.whole("number"))
        if session.kind is Kind.LAN_TO_LAN:
            raise RequestError(
                "cli.not-found",
                f"session {session.number} is another gateway; it has networks and no address",
                f"Ping a host in {session.assigned}.",
            )
        group = self._config.group(session.group)
        reachable = [str(network) for network in group.split_include] if group else []
        return {"address": session.assigned, "reachable": reachable}

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
            "engine_reason": self._engine_reason,
            "groups": len(self._config.live.groups),
            **asdict(totals),
            "half_open": self._core.half_open,
            "unproved": dict(self._core.unproved),
            "refused_datagrams": dict(self._core.refused_datagrams),
            "dropped_packets": dict(self._pump.refused),
            **({} if self._others is None else _passing(self._others)),
        }

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


def _passing(others: Passing) -> dict[str, object]:
    return {"passed_on": others.passed, "not_passed_on": others.lost}


def _refusal(attempt: Attempt) -> dict[str, str]:
    return {**asdict(attempt), "at": attempt.at.astimezone(UTC).isoformat(timespec="seconds")}
