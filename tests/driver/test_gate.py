"""What of strangers' IKE is read at the port that carries everybody's ESP."""

from __future__ import annotations

from culvert.driver.gate import CALLS, CALLS_AT_ONCE, NO_COOKIE, OTHERS, Gate
from culvert.inet.address import Address

PEER: Address = ("192.0.2.1", 4500)
CALL = b"stranger" + NO_COOKIE + bytes(100)
LATER = b"stranger" + b"gateways" + bytes(100)


def forged(number: int) -> Address:
    return (f"198.51.{number // 250 % 250}.{number % 250}", 4500)


def passed(gate: Gate, message: bytes, count: int, *, now: float) -> int:
    return sum(gate.admits(message, forged(n), now=now) for n in range(count))


def test_no_more_calls_pass_than_may_be_answered() -> None:
    gate = Gate()
    assert passed(gate, CALL, 5000, now=10.0) == CALLS_AT_ONCE
    assert passed(gate, CALL, 5000, now=10.125) == CALLS // 8
    assert gate.refused == {"ike-calls": 10_000 - CALLS_AT_ONCE - CALLS // 8}


def test_a_flood_of_calls_keeps_out_nobody_who_has_called() -> None:
    gate = Gate()
    passed(gate, CALL, 5000, now=10.0)
    assert gate.admits(LATER, PEER, now=10.0)


def test_whoever_has_a_session_is_always_heard_wherever_it_moves() -> None:
    gate, moved = Gate(), ("192.0.2.1", 61234)
    gate.follow({7: (PEER, 4500)}, 7)
    assert passed(gate, LATER, 50_000, now=10.0) == OTHERS
    assert gate.refused == {"ike-strangers": 50_000 - OTHERS}
    for message in (CALL, LATER):
        assert gate.admits(message, PEER, now=10.0)
    assert not gate.admits(LATER, moved, now=10.0)
    gate.follow({7: (moved, 4500)}, 7)
    assert gate.admits(LATER, moved, now=10.0)
    assert not gate.admits(LATER, PEER, now=10.0)
    gate.follow({}, 7)
    assert not gate.admits(LATER, moved, now=10.0)


def test_two_sessions_at_one_address_are_known_until_both_are_gone() -> None:
    gate = Gate()
    both = {1: (PEER, 4500), 2: (PEER, 4500)}
    gate.follow(both, 1)
    gate.follow(both, 2)
    passed(gate, LATER, 50_000, now=10.0)
    gate.follow({2: (PEER, 4500)}, 1)
    assert gate.admits(LATER, PEER, now=10.0)
    gate.follow({}, 2)
    assert not gate.admits(LATER, PEER, now=10.0)


def test_who_comes_over_a_stream_has_shown_its_address() -> None:
    gate = Gate()
    passed(gate, CALL, 5000, now=10.0)
    streams = [(f"127.64.{n // 250}.{n % 250}", 40_000) for n in range(1000)]
    assert all(gate.admits(CALL, one, now=10.0) for one in streams)
