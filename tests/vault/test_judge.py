"""The judge: bounded, off the caller's thread, one answer for every order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from queue import Queue

import pytest

from culvert.effects import Judge, Judged
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.identity.account import Account
from culvert.identity.chain import Chain
from culvert.identity.lockout import Lockout, LockoutRule
from culvert.secret import Secret
from culvert.vault.accounts import FirstOf, FixedAccounts
from culvert.vault.judge import PasswordJudge
from culvert.vault.password import FastHash, Scheme

AT = datetime(2030, 1, 7, 12, tzinfo=UTC)
PATIENCE = 10.0


class Gated(FastHash):
    """Checks only when told to, so that a test can fill the queue."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.threads: set[str] = set()
        self.rested = threading.Semaphore(0)

    def rest(self) -> None:
        self.rested.release()

    def matches(self, stored: str, password: Secret) -> bool:
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(PATIENCE)
        return super().matches(stored, password)


class Broken:
    def find(self, name: str) -> Account | None:
        raise PlatformError("disk is gone")


Answers = Queue[tuple[Judged, LogEvent]]


class Bench:
    """A judge with one account, and what it answered."""

    def __init__(self, scheme: Scheme, *, workers: int = 2, queue: int = 100) -> None:
        self.answers: Answers = Queue()
        ann = Account("ann", scheme.hash(Secret("right")), frozenset({"sales"}))
        self.chain = Chain(
            FirstOf((FixedAccounts([]), FixedAccounts([ann]))),
            Lockout(LockoutRule(tries=1000)),
            decoy_hash=scheme.decoy,
            group_open=lambda group, at: True,
        )
        self.judge = PasswordJudge(
            self.chain,
            scheme,
            lambda judged, event: self.answers.put((judged, event)),
            workers=workers,
            queue=queue,
            monotonic=lambda: 0.0,
            wall=lambda: AT,
        )

    def answer(self) -> tuple[Judged, LogEvent]:
        return self.answers.get(timeout=PATIENCE)


def order(ticket: int, word: str = "right", user: str = "ann") -> Judge:
    return Judge(ticket, "sales", user, Secret(word), "192.0.2.9")


@pytest.fixture
def gated() -> Iterator[Bench]:
    bench = Bench(Gated(), workers=1, queue=3)
    yield bench
    scheme = bench.judge._scheme
    assert isinstance(scheme, Gated)
    scheme.gate.set()
    bench.judge.close()


def test_right_and_wrong_are_told_apart_by_reason_and_event() -> None:
    bench = Bench(FastHash())
    bench.judge.judge(order(1))
    judged, event = bench.answer()
    assert judged == Judged(1, accepted=True, user="ann", cause="accepted")
    assert event.code == "auth.accepted"
    bench.judge.judge(order(2, "wrong"))
    wrong, wrong_event = bench.answer()
    bench.judge.judge(order(2, user="nobody"))
    unknown, unknown_event = bench.answer()
    refused = Judged(2, accepted=False, reason="auth-rejected")
    assert wrong == replace(refused, cause="wrong-password")
    assert unknown == replace(refused, cause="unknown-user")
    assert (wrong_event.code, unknown_event.code) == ("auth.wrong-password", "auth.unknown-user")
    bench.judge.close()


def test_checking_happens_in_threads_of_its_own(gated: Bench) -> None:
    gated.judge.judge(order(1))
    scheme = gated.judge._scheme
    assert isinstance(scheme, Gated)
    scheme.gate.set()
    gated.answer()
    assert all(name.startswith("judge") for name in scheme.threads)


def test_a_flood_is_refused_at_once_and_those_waiting_are_still_served(gated: Bench) -> None:
    for ticket in range(1, 11):
        gated.judge.judge(order(ticket))
    refused = [gated.answer() for _ in range(7)]
    assert {judged.ticket for judged, _ in refused} == set(range(4, 11))
    assert {event.code for _, event in refused} == {"auth.busy"}
    assert not any(judged.accepted for judged, _ in refused)
    scheme = gated.judge._scheme
    assert isinstance(scheme, Gated)
    scheme.gate.set()
    served = [gated.answer() for _ in range(3)]
    assert sorted(judged.ticket for judged, _ in served if judged.accepted) == [1, 2, 3]
    assert scheme.rested.acquire(timeout=PATIENCE)  # nobody waits any more
    assert not scheme.rested.acquire(blocking=False)
    gated.judge.judge(order(11))
    assert gated.answer()[0].accepted


def test_a_broken_store_is_an_answer_too_and_names_the_problem() -> None:
    bench = Bench(FastHash())
    bench.chain._accounts = Broken()
    bench.judge.judge(order(1))
    judged, event = bench.answer()
    assert (judged.accepted, judged.reason) == (False, "auth-rejected")
    assert event.code == "auth.unavailable"
    assert "disk is gone" in str(event.fields["problem"])
    bench.judge.close()


def test_hundreds_at_once_get_one_answer_each() -> None:
    bench = Bench(FastHash(), queue=1000)
    for ticket in range(300):
        bench.judge.judge(order(ticket, "right" if ticket % 2 else "wrong"))
    answers = [bench.answer()[0] for _ in range(300)]
    assert {judged.ticket for judged in answers} == set(range(300))
    assert all(judged.accepted == bool(judged.ticket % 2) for judged in answers)
    bench.judge.close()
    assert bench.answers.empty()
