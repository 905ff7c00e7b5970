"""Lockout counts what one source does, and what strange sources do together."""

from __future__ import annotations

from culvert.identity.lockout import EVERYWHERE, Lockout, LockoutRule

RULE = LockoutRule(tries=3, window_seconds=100, seconds=50)


def fail(lockout: Lockout, source: str, now: float = 0.0) -> bool:
    """Whether an attempt was checked; it was wrong."""
    if not lockout.attempt("alice", source, now=now):
        return False
    lockout.failed("alice", source, now=now)
    return True


def test_ever_new_sources_do_not_give_ever_new_tries() -> None:
    lockout = Lockout(RULE)
    checked = sum(fail(lockout, f"10.0.{number >> 8}.{number & 255}") for number in range(1000))
    assert checked == RULE.tries * EVERYWHERE


def test_who_logged_in_from_there_before_is_not_locked_out_by_strangers() -> None:
    lockout = Lockout(RULE)
    assert lockout.attempt("alice", "192.0.2.1", now=0)
    lockout.succeeded("alice", "192.0.2.1")
    while fail(lockout, f"10.0.0.{len(lockout)}"):
        pass
    assert not lockout.attempt("alice", "203.0.113.9", now=1)
    assert lockout.attempt("alice", "192.0.2.1", now=1)
    assert lockout.attempt("bob", "203.0.113.9", now=1)


def test_the_rest_of_all_strangers_ends() -> None:
    lockout = Lockout(RULE)
    number = 0
    while fail(lockout, f"10.0.0.{number}"):
        number += 1
    assert not fail(lockout, "198.51.100.7", RULE.seconds - 1)
    assert fail(lockout, "198.51.100.7", RULE.seconds + 1)


def test_right_attempts_use_nothing_up() -> None:
    lockout = Lockout(RULE)
    for number in range(1000):
        source = f"10.0.{number >> 8}.{number & 255}"
        assert lockout.attempt("alice", source, now=0)
        lockout.succeeded("alice", source)
