"""CertificateOffice: brings the vault's signatures and its words about certificates to the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from culvert.effects import CertificateJudged, JudgeCertificate, Sign, Signed
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.revocation import Source
from culvert.netio.fetch import Fetcher, Targets
from culvert.vault.certificate_judge import CertificateJudge
from culvert.vault.revocation import Revocation
from culvert.vault.signing import SigningKeys
from culvert.vault.trust import Trust

OCSP_QUESTION = "application/ocsp-request"
"""Media type of RFC 6960 appendix A.1."""


class CertificateOffice:
    """For one core, on the running event loop. Threads start with the first order."""

    def __init__(self, trust: Trust, record: Callable[[LogEvent], None]) -> None:
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[CertificateJudged]] = {}
        self._fetcher = Fetcher(Targets.of(trust.fetch_targets))
        made = trust.credential
        self._keys = SigningKeys({made.own.key: made.key} if made else {})
        self._judge = CertificateJudge(trust.rules, Revocation(self._fetch), self._said)

    async def sign(self, order: Sign) -> Signed:
        return await asyncio.to_thread(self._keys.sign, order)

    async def judge(self, order: JudgeCertificate) -> CertificateJudged:
        waiting: asyncio.Future[CertificateJudged] = self._loop.create_future()
        self._waiting[order.ticket] = waiting
        try:
            self._judge.judge(order)
            return await waiting
        finally:
            del self._waiting[order.ticket]

    def close(self) -> None:
        """Waiting orders are dropped; those being checked end without what they waited for."""
        self._fetcher.close()
        self._judge.close()

    def _fetch(self, source: Source) -> bytes:
        """In a thread of the judge."""
        kind = OCSP_QUESTION if source.question else ""
        return self._fetcher.fetch(source.url, body=source.question, kind=kind)

    def _said(self, judged: CertificateJudged, events: Sequence[LogEvent]) -> None:
        """Called from a thread of the judge."""
        self._loop.call_soon_threadsafe(self._judged, judged, events)

    def _judged(self, judged: CertificateJudged, events: Sequence[LogEvent]) -> None:
        for event in events:
            self._record(event)
        waiting = self._waiting.get(judged.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(judged)
