"""The chain of decisions about a person, and the lockout, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from culvert.eventlog.vocabulary import vocabulary
from culvert.identity.account import Account
from culvert.identity.chain import Chain, Check
from culvert.identity.credentials import Credentials
from culvert.identity.lockout import ENTRIES, Lockout, LockoutRule
from culvert.identity.verdict import Cause, Verdict
from culvert.secret import Secret
from culvert.session.ending import endings

AT = datetime(2030, 1, 7, 12, tzinfo=UTC)
ANN = Account("ann", "hash of right", frozenset({"sales"}))
DECOY = "decoy"


class Records:
    def __init__(self, *accounts: Account) -> None:
        self._accounts = {account.name: account for account in accounts}

    def find(self, name: str) -> Account | None:
        return self._accounts.get(name)


def chain(
    account: Account = ANN, *, is_open: bool = True, rule: LockoutRule | None = None
) -> Chain:
    return Chain(
        Records(account),
        Lockout(rule or LockoutRule(tries=3, window_seconds=60, seconds=300)),
        decoy_hash=DECOY,
        group_open=lambda group, at: is_open,
    )


def who(user: str = "ann", word: str = "right", source: str = "192.0.2.9") -> Credentials:
    return Credentials(user, Secret(word), "sales", source)


def judge(on: Chain, given: Credentials, *, now: float = 0.0, at: datetime = AT) -> Cause:
    begun = on.begin(given, now=now)
    if isinstance(begun, Verdict):
        return begun.cause
    matched = begun.password_hash == f"hash of {given.password.reveal()}"
    return on.finish(begun, matched=matched, at=at, now=now).cause


def test_the_right_password_lets_in() -> None:
    assert judge(chain(), who()) is Cause.ACCEPTED


@pytest.mark.parametrize(
    ("account", "given", "cause"),
    [
        (ANN, who("bob"), Cause.UNKNOWN_USER),
        (ANN, who(word="wrong"), Cause.WRONG_PASSWORD),
        (replace(ANN, enabled=False), who(), Cause.DISABLED),
        (replace(ANN, expires=AT), who(), Cause.EXPIRED),
        (replace(ANN, groups=frozenset({"other"})), who(), Cause.NOT_IN_GROUP),
        (replace(ANN, groups=frozenset()), who(), Cause.NOT_IN_GROUP),
    ],
)
def test_every_refusal_has_its_own_cause_inside_and_one_outside(
    account: Account, given: Credentials, cause: Cause
) -> None:
    on = chain(account)
    begun = on.begin(given, now=0.0)
    assert isinstance(begun, Check)
    verdict = on.finish(begun, matched=given.password.reveal() == "right", at=AT, now=0.0)
    assert verdict == Verdict(cause)
    assert verdict.reason == "auth-rejected"


def test_an_account_serves_until_the_moment_it_expires() -> None:
    on = chain(replace(ANN, expires=AT))
    assert judge(on, who(), at=AT - timedelta(seconds=1)) is Cause.ACCEPTED


def test_hours_are_told_only_after_the_password_was_right() -> None:
    closed = chain(is_open=False)
    assert judge(closed, who(word="wrong")) is Cause.WRONG_PASSWORD
    assert judge(closed, who()) is Cause.OUTSIDE_HOURS
    assert Verdict(Cause.OUTSIDE_HOURS).reason == "outside-hours"


def test_a_disabled_account_does_not_confirm_a_guessed_password() -> None:
    on = chain(replace(ANN, enabled=False))
    verdicts = [on.begin(who(word=guess), now=0.0) for guess in ("right", "wrong")]
    reasons = {
        on.finish(begun, matched=matched, at=AT, now=0.0).reason
        for begun, matched in zip(verdicts, (True, False), strict=True)
        if isinstance(begun, Check)
    }
    assert reasons == {"auth-rejected"}


def test_an_unknown_user_costs_one_check_too() -> None:
    begun = chain().begin(who("nobody"), now=0.0)
    assert isinstance(begun, Check)
    assert begun.password_hash == DECOY


def test_even_a_matching_decoy_lets_nobody_in() -> None:
    on = chain()
    begun = on.begin(who("nobody"), now=0.0)
    assert isinstance(begun, Check)
    assert on.finish(begun, matched=True, at=AT, now=0.0).cause is Cause.UNKNOWN_USER


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_too_many_failures_lock_known_and_unknown_users_alike(user: str) -> None:
    on = chain()
    for _ in range(3):
        assert judge(on, who(user, "wrong"), now=1.0) in (Cause.WRONG_PASSWORD, Cause.UNKNOWN_USER)
    assert judge(on, who(user), now=2.0) is Cause.LOCKED
    assert judge(on, who(user), now=300.9) is Cause.LOCKED


def test_a_lock_ends() -> None:
    on = chain()
    for _ in range(3):
        judge(on, who(word="wrong"), now=1.0)
    assert judge(on, who(), now=301.0) is Cause.ACCEPTED


def test_a_lock_binds_one_user_from_one_source_only() -> None:
    on = chain()
    for _ in range(3):
        judge(on, who(word="wrong"), now=1.0)
    assert judge(on, who(source="198.51.100.7"), now=2.0) is Cause.ACCEPTED
    assert judge(on, who("nobody"), now=2.0) is Cause.UNKNOWN_USER


def test_failures_further_apart_than_the_window_do_not_add_up() -> None:
    on = chain()
    for number in range(10):
        assert judge(on, who(word="wrong"), now=number * 31.0) is Cause.WRONG_PASSWORD


def test_a_right_password_forgets_the_failures_before_it() -> None:
    on = chain()
    for _ in range(5):
        judge(on, who(word="wrong"))
        judge(on, who(word="wrong"))
        assert judge(on, who()) is Cause.ACCEPTED


def test_guesses_sent_at_once_get_no_more_checks_than_guesses_in_turn() -> None:
    on = chain()
    begun = [on.begin(who(word="wrong"), now=0.0) for _ in range(100)]
    assert sum(isinstance(one, Check) for one in begun) == 3


def test_zero_tries_never_lock() -> None:
    on = chain(rule=LockoutRule(tries=0))
    for _ in range(50):
        judge(on, who(word="wrong"))
    assert judge(on, who()) is Cause.ACCEPTED


def test_what_strangers_make_the_lockout_remember_is_bounded() -> None:
    lockout = Lockout(LockoutRule())
    for number in range(ENTRIES + 100):
        lockout.attempt(f"user {number}", "192.0.2.9", now=0.0)
    assert len(lockout) == ENTRIES


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_is_a_known_event_with_its_fields(cause: Cause) -> None:
    event = Verdict(cause).event(who())
    row = vocabulary()[event.code]
    assert set(row.fields) <= event.fields.keys() | {"problem"}
    assert not any("right" in str(value) for value in event.fields.values())


def test_every_reason_for_the_peer_is_an_ending() -> None:
    reasons = {Verdict(cause).reason for cause in Cause} - {""}
    assert reasons <= endings().keys()
    assert reasons == {"auth-rejected", "outside-hours"}
