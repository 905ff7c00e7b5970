"""The judge of a simulated gateway: the real chain of decisions, with a delay instead of a hash."""

from __future__ import annotations

from datetime import datetime, timedelta

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import GatewayConfig
from culvert.gateway.people import is_open
from culvert.identity.chain import Chain
from culvert.identity.credentials import Credentials
from culvert.identity.lockout import Lockout
from culvert.identity.verdict import Verdict
from culvert.vault.accounts import FixedAccounts
from culvert.vault.password import FastHash

DELAY = 0.1
"""Seconds a login takes, right or wrong: about what argon2id needs on a small machine."""

SCHEME = FastHash()


class SimulatedJudge:
    """Decides at once; whoever runs it lets `DELAY` pass before the answer counts."""

    def __init__(self, config: GatewayConfig, began: tuple[datetime, float]) -> None:
        self._began = began
        self._chain = Chain(
            FixedAccounts(config.restart.accounts),
            Lockout(config.live.lockout),
            decoy_hash=SCHEME.decoy,
            group_open=lambda group, at: is_open(config, group, at),
        )

    def judge(self, order: Judge, *, now: float) -> tuple[Judged, LogEvent]:
        who = Credentials(order.user, order.password, order.group, order.source)
        verdict = self._verdict(who, now)
        word = Judged(
            order.ticket,
            accepted=verdict.accepted,
            user=order.user if verdict.accepted else "",
            reason=verdict.reason,
            cause=str(verdict.cause),
        )
        return word, verdict.event(who)

    def _verdict(self, who: Credentials, now: float) -> Verdict:
        begun = self._chain.begin(who, now=now)
        if isinstance(begun, Verdict):
            return begun
        matched = SCHEME.matches(begun.password_hash, who.password)
        wall, began = self._began
        at = wall + timedelta(seconds=now - began)
        return self._chain.finish(begun, matched=matched, at=at, now=now)
