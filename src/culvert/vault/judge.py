"""The judge: takes `Judge` orders, checks passwords off the loop, answers with `Judged`.

Hashing is slow on purpose. It runs in a few threads of lower priority (the hash releases the
interpreter lock), with a bounded queue before them, so that a flood of logins delays only logins.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.identity.chain import Chain
from culvert.identity.credentials import Credentials
from culvert.identity.verdict import Cause, Verdict
from culvert.vault.password import Scheme

QUEUE = 2000
"""Logins waiting at most: 20 s of work for two cores at 19 ms each, which every known client
still waits for. One more is refused at once; about 1 KB each."""

NICENESS = 10
"""How much the hashing threads yield to the loop that carries everybody's packets."""

Answer = Callable[[Judged, LogEvent], None]
"""Takes the word and what to put into the log. Called from a hashing thread, or from the caller's
own when the queue is full: an event loop passes `call_soon_threadsafe` around its function."""


class PasswordJudge:
    """Judges people by name and password. ``monotonic`` and ``wall`` are the clocks."""

    def __init__(
        self,
        chain: Chain,
        scheme: Scheme,
        answer: Answer,
        *,
        workers: int = 0,
        queue: int = QUEUE,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._chain = chain
        self._scheme = scheme
        self._answer = answer
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()  # the chain counts failures
        self._room = threading.BoundedSemaphore(queue)
        self._open, self._counting = 0, threading.Lock()
        self._pool = ThreadPoolExecutor(
            workers or os.cpu_count() or 1, thread_name_prefix="judge", initializer=_yield_to_others
        )

    def judge(self, order: Judge) -> None:
        """Never waits; the answer comes by the callback, exactly once."""
        if self._room.acquire(blocking=False):
            with self._counting:
                self._open += 1
            self._pool.submit(self._check, order)
        else:
            who = _credentials(order)
            self._tell(order, Verdict(Cause.BUSY), Verdict(Cause.BUSY).event(who))

    def close(self) -> None:
        """Waiting logins are dropped without an answer; those being checked end first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _check(self, order: Judge) -> None:
        who = _credentials(order)
        try:
            verdict = self._verdict(who)
            event = verdict.event(who)
        except Exception as error:  # the person waits for an answer, whatever broke here
            verdict = Verdict(Cause.UNAVAILABLE)
            event = verdict.event(who).with_fields(problem=f"{type(error).__name__}: {error}")
        finally:
            self._room.release()
        self._tell(order, verdict, event)
        with self._counting:
            self._open -= 1
            idle = not self._open
        if idle:
            self._scheme.rest()

    def _verdict(self, who: Credentials) -> Verdict:
        with self._lock:
            begun = self._chain.begin(who, now=self._monotonic())
        if isinstance(begun, Verdict):
            return begun
        matched = self._scheme.matches(begun.password_hash, who.password)
        with self._lock:
            return self._chain.finish(
                begun, matched=matched, at=self._wall(), now=self._monotonic()
            )

    def _tell(self, order: Judge, verdict: Verdict, event: LogEvent) -> None:
        judged = Judged(
            order.ticket,
            accepted=verdict.accepted,
            user=order.user if verdict.accepted else "",
            reason=verdict.reason,
            cause=str(verdict.cause),
        )
        self._answer(judged, event)


def _credentials(order: Judge) -> Credentials:
    return Credentials(order.user, order.password, order.group, order.source)


def _yield_to_others() -> None:
    """On Linux a thread has a priority of its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
