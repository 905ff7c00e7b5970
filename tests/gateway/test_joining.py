"""What several workers answer, as one answer."""

from __future__ import annotations

from culvert.driver.control import RequestError
from culvert.gateway.joining import joined, refused
from culvert.gateway.ledger import Ledger, Life
from culvert.gateway.monitor import ABSENT


def ledger() -> Ledger:
    made = Ledger(2, [], limit=5, cumulative=40, route=lambda _address, _worker: None)
    for worker in range(2):
        made.admit(Life(worker, worker), "ann", ("192.0.2.1", 1), 0)
    return made


def summary(active: int, peak: int) -> dict[str, object]:
    return {"active": active, "peak": peak, "limit": 0, "cumulative": 40 + peak, "refused": 0}


def test_sessions_are_added_up_and_what_counts_once_is_the_ledgers() -> None:
    refusals = [{"at": f"2026-01-01T00:00:0{second}"} for second in (2, 1, 3)]
    answers: list[dict[str, object]] = [
        {"summary": summary(3, 3), "refusals": refusals[:1]},
        {"summary": summary(2, 4), "refusals": refusals[1:]},
    ]
    found = joined("sessions", answers, ledger())
    once = {"peak": 2, "limit": 5, "cumulative": 42, "refused": 0}
    assert found["summary"] == {"active": 5, **once}
    assert found["refusals"] == [refusals[1], refusals[0], refusals[2]]


def test_a_status_adds_numbers_and_tables_and_keeps_what_all_say() -> None:
    def status(active: int, drops: dict[str, int]) -> dict[str, object]:
        words = {"version": "1", "listening": ["a", "b"], "groups": 3}
        return {**words, **summary(active, active), "dropped_packets": drops}

    answers = [status(3, {"replayed": 1}), status(4, {"replayed": 2, "not-ip": 5})]
    found = joined("status", answers, ledger())
    assert (found["active"], found["groups"], found["listening"]) == (7, 3, ["a", "b"])
    assert found["dropped_packets"] == {"replayed": 3, "not-ip": 5}
    assert found["peak"] == 2


def test_a_logout_names_everybody_who_went() -> None:
    answers: list[dict[str, object]] = [{"ended": [{"number": 1}]}, {"ended": [{"number": 2}]}]
    assert joined("logout", answers, ledger()) == {"ended": [{"number": 1}, {"number": 2}]}


def test_a_worker_that_is_there_says_more_than_one_that_is_not() -> None:
    gone, unknown = RequestError("cli.not-found", ABSENT), RequestError("cli.not-found", "no 7")
    assert refused([gone, unknown]) is unknown
    assert refused([gone, gone]) is gone
