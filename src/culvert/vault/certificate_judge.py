"""The certificate judge: takes `JudgeCertificate` orders, answers with `CertificateJudged`.

Chain and signature first (microseconds, no network), then revocation, which may wait for other
machines: so it runs in threads of its own, with a bounded queue before them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from culvert.effects import CertificateJudged, JudgeCertificate
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.names import spoken
from culvert.identity.certificates.proof import Claim, Proven, prove
from culvert.identity.certificates.reason import Untrusted, Warned, warned
from culvert.identity.certificates.revocation import Standing, Status
from culvert.identity.certificates.rules import Rules, Strictness
from culvert.vault.revocation import Revocation

THREADS = 4
"""Certificates checked at once; nearly all of the time is waiting for revocation services."""

QUEUE = 500
"""Orders waiting at most; one more is refused at once. A chain has a few KB."""

Answer = Callable[[CertificateJudged, Sequence[LogEvent]], None]
"""Takes the word and what to put into the log. Called from a thread, or from the caller's own when
the queue is full."""


class CertificateJudge:
    """Judges peers by their certificates, by ``rules``."""

    def __init__(
        self,
        rules: Rules,
        revocation: Revocation,
        answer: Answer,
        *,
        threads: int = THREADS,
        queue: int = QUEUE,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rules = rules
        self._revocation = revocation
        self._answer = answer
        self._wall = wall
        self._room = threading.BoundedSemaphore(queue)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="certificates")

    def judge(self, order: JudgeCertificate) -> None:
        """Never waits; the answer comes by the callback, exactly once."""
        if self._room.acquire(blocking=False):
            self._pool.submit(self._check, order)
        else:
            self._answer(*_refused(order, Untrusted("busy")))

    def close(self) -> None:
        """Waiting orders are dropped without an answer; those being checked end first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _check(self, order: JudgeCertificate) -> None:
        try:
            judged, events = judge(order, self._rules, self._revocation, at=self._wall())
        except Exception as error:  # the peer waits for an answer, whatever broke here
            problem = f"{type(error).__name__}: {error}"
            judged, events = _refused(order, Untrusted("unavailable", problem=problem))
        finally:
            self._room.release()
        self._answer(judged, events)


def judge(
    order: JudgeCertificate, rules: Rules, revocation: Revocation, *, at: datetime
) -> tuple[CertificateJudged, Sequence[LogEvent]]:
    """The word, and what to put into the log. May wait for other machines."""
    told: list[LogEvent] = []
    try:
        proven = prove(
            Claim(order.chain, order.identity, order.digest, order.signature), rules, at=at
        )
        asked = () if rules.revocation is Strictness.OFF else proven.links
        lists = (*rules.lists, *proven.lists)
        unsure: list[Warned] = []
        for one, issuer in asked:
            found = revocation.standing(one, issuer, at=at, lists=lists)
            told += [_told(one, url, status) for url, status in found.asked]
            unsure += _weighed(one, issuer, found.status, rules.revocation)
    except Untrusted as error:
        judged, events = _refused(order, error)
        return judged, (*told, *events)
    judged, events = _accepted(order, proven, (*proven.warnings, *unsure))
    return judged, (*told, *events)


def _weighed(
    one: Certificate, issuer: Certificate, status: Status, strictness: Strictness
) -> list[Warned]:
    """Raises Untrusted for a certificate that was withdrawn or, if hard, may have been."""
    match status.standing:
        case Standing.GOOD:
            return []
        case Standing.REVOKED:
            raise Untrusted(
                "revoked",
                subject=one.subject,
                issuer=issuer.subject,
                date=f"{status.date:%Y-%m-%d}" if status.date else "an unknown day",
                why=status.why,
            )
        case Standing.UNKNOWN if strictness is Strictness.HARD:
            raise Untrusted("revocation-unknown", subject=one.subject, problem=status.why)
        case Standing.UNKNOWN:
            return [warned("revocation-unknown", subject=one.subject, problem=status.why)]


def _accepted(
    order: JudgeCertificate, proven: Proven, warnings: Sequence[Warned]
) -> tuple[CertificateJudged, Sequence[LogEvent]]:
    peer, said = proven.peer, tuple(warning.sentence for warning in warnings)
    fields = {"peer": order.source, "subject": peer.subject, "issuer": proven.path[-1].subject}
    events = [
        *(
            LogEvent("certificate.warned", {"peer": order.source, "problem": sentence})
            for sentence in said
        ),
        LogEvent("certificate.accepted", fields),
    ]
    judged = CertificateJudged(
        order.ticket,
        accepted=True,
        subject=peer.subject,
        name=peer.name,
        groups=peer.units,
        warnings=said,
    )
    return judged, events


def _told(one: Certificate, url: str, status: Status) -> LogEvent:
    if status.standing is Standing.UNKNOWN:
        fields = {"url": url, "subject": one.subject, "problem": status.why}
        return LogEvent("certificate.fetch-failed", fields)
    standing = str(status.standing)
    return LogEvent(
        "certificate.fetched", {"url": url, "subject": one.subject, "standing": standing}
    )


def _refused(
    order: JudgeCertificate, error: Untrusted
) -> tuple[CertificateJudged, Sequence[LogEvent]]:
    event = LogEvent(
        "certificate.refused",
        {
            "peer": order.source,
            "claimed": spoken(order.identity),
            "cause": error.cause,
            "problem": error.sentence,
            "advice": error.action,
        },
    )
    judged = CertificateJudged(
        order.ticket,
        accepted=False,
        subject=error.facts.get("subject", ""),
        reason=error.ending,
        cause=error.cause,
        problem=f"{error.sentence} {error.action}",
    )
    return judged, (event,)
