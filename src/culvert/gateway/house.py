"""What surrounds the gateway's coordinator: the vault's judges, in threads beside the loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from culvert.driver.certificates import CertificateOffice
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import CertificateJudged, Judge, JudgeCertificate, Judged, Sign, Signed
from culvert.eventlog.event import LogEvent
from culvert.gateway import people
from culvert.gateway.config import GatewayConfig


class GatewayHouse(NoSurroundings):
    """Brings the judge's words, which come from its threads, back to the loop."""

    def __init__(
        self,
        config: GatewayConfig,
        database: sqlite3.Connection,
        record: Callable[[LogEvent], None],
    ) -> None:
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[Judged]] = {}
        self._judge = people.judge(config, database, self._said)
        self._certificates = CertificateOffice(config.trust, record)

    async def judge(self, order: Judge) -> Judged:
        waiting: asyncio.Future[Judged] = self._loop.create_future()
        self._waiting[order.ticket] = waiting
        try:
            self._judge.judge(order)
            return await waiting
        finally:
            del self._waiting[order.ticket]

    async def sign(self, order: Sign) -> Signed:
        return await self._certificates.sign(order)

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged:
        return await self._certificates.judge(order)

    def close(self) -> None:
        """Waiting logins are dropped; those being checked end first. Blocks."""
        self._judge.close()
        self._certificates.close()

    def _said(self, judged: Judged, event: LogEvent) -> None:
        """Called from a hashing thread."""
        self._loop.call_soon_threadsafe(self._judged, judged, event)

    def _judged(self, judged: Judged, event: LogEvent) -> None:
        self._record(event)
        waiting = self._waiting.get(judged.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(judged)
