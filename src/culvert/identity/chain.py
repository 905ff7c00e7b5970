"""The chain of decisions about a person: lockout → password → account → group → hours.

Checking a password is slow on purpose and happens elsewhere, so the chain has two halves:

    begin ──> Verdict (locked: nothing is checked)
          └─> Check(password hash) ── matched or not ──> finish ──> Verdict

There is always a hash to check: for a user who does not exist it is a decoy of the same cost, so
that neither the answer nor its timing tells which users there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from culvert.identity.account import Account, Accounts
from culvert.identity.credentials import Credentials
from culvert.identity.lockout import Lockout
from culvert.identity.verdict import Cause, Verdict

GroupOpen = Callable[[str, datetime], bool]
"""Whether the group's hours allow a login now."""


@dataclass(frozen=True, slots=True)
class Check:
    """Does the password of ``who`` match ``password_hash``? Give the answer to `Chain.finish`."""

    who: Credentials
    password_hash: str = field(repr=False)
    account: Account | None


class Chain:
    """One rule set for everyone who logs in, whatever carries them."""

    def __init__(
        self, accounts: Accounts, lockout: Lockout, *, decoy_hash: str, group_open: GroupOpen
    ) -> None:
        self._accounts = accounts
        self._lockout = lockout
        self._decoy_hash = decoy_hash
        self._group_open = group_open

    def begin(self, who: Credentials, *, now: float) -> Check | Verdict:
        """The first half."""
        if not self._lockout.attempt(who.user, who.source, now=now):
            return Verdict(Cause.LOCKED)
        account = self._accounts.find(who.user)
        return Check(who, account.password_hash if account else self._decoy_hash, account)

    def finish(self, check: Check, *, matched: bool, at: datetime, now: float) -> Verdict:
        """The second half. ``at`` is aware, in the zone in which hours are meant."""
        who = check.who
        cause = self._cause(check, matched, at)
        if cause in (Cause.UNKNOWN_USER, Cause.WRONG_PASSWORD):
            self._lockout.failed(who.user, who.source, now=now)
        else:  # the password was right: whatever refuses now is not a guess
            self._lockout.succeeded(who.user, who.source)
        return Verdict(cause)

    def _cause(self, check: Check, matched: bool, at: datetime) -> Cause:
        account, group = check.account, check.who.group
        if account is None:
            return Cause.UNKNOWN_USER
        if not matched:
            return Cause.WRONG_PASSWORD
        if not account.enabled:
            return Cause.DISABLED
        if account.expires is not None and at >= account.expires:
            return Cause.EXPIRED
        if group not in account.groups:
            return Cause.NOT_IN_GROUP
        return Cause.ACCEPTED if self._group_open(group, at) else Cause.OUTSIDE_HOURS
