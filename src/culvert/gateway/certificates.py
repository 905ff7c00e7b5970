"""Callers with certificates at the gateway: orders to the vault, and the group of each caller.

A certificate names its group as Cisco's do, by an organisational unit; else the caller's identity
may be a group's name; else it is the group configured for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from culvert.effects import CertificateJudged, Effect, Signed
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import (
    AskCertificate,
    AskGroup,
    AskSignature,
    CertificateVerdict,
    KnownGroup,
    Signature,
)
from culvert.ike.settings import Settings
from culvert.ike.wire.identity import FQDN, KEY_ID, USER_FQDN, Identity
from culvert.inet.address import Path, text
from culvert.orders.certificates import CertificateOrders, Shown, verdict
from culvert.policy.ration import Ration

BURST, RATE = 20.0, 1.0
"""Answers with certificates to one address that nobody has proved: enough for an office behind one
address translator after a power cut, and less than 2 KB a second for whoever is aimed at."""

RATIONED = "too many answers with certificates to this address within a moment"

Narrowed = Callable[[int, str], Settings | None]
"""The settings of a group for this IKE SA."""


class CallersCertificates:
    """``groups``: names there are; ``otherwise``: the group of whoever names none of them."""

    def __init__(
        self,
        own: Shown | None,
        groups: Iterable[str],
        otherwise: str,
        narrowed: Narrowed,
    ) -> None:
        self.orders = CertificateOrders(own)
        self._groups: Mapping[bytes, str] = {name.encode(): name for name in groups}
        self._otherwise = otherwise
        self._narrowed = narrowed
        self._ration = Ration(burst=BURST, rate=RATE)
        self._identities: dict[int, Identity] = {}

    def group(self, number: int, asked: AskGroup) -> KnownGroup:
        """For who proves itself later, by XAUTH."""
        name = self._named(asked.identity) or self._otherwise
        return KnownGroup(name, self._narrowed(number, name))

    def sign(
        self, number: int, asked: AskSignature, path: Path, *, now: float
    ) -> tuple[list[Effect], list[LogEvent], Signature | None]:
        """The order, or at once what the IKE SA is told instead."""
        if asked.unproved and not self._ration.take(path.remote[0], now=now):
            peer = text(path.remote)
            events = [LogEvent("ike.answer-rationed", {"peer": peer, "limit": int(BURST)})]
            return [], events, Signature(reason="half-open-timeout", problem=RATIONED)
        made = self.orders.sign(number, asked)
        if isinstance(made, Signature):
            return [], [], made
        return [made], [], None

    def judge(self, number: int, asked: AskCertificate, path: Path) -> Effect:
        self._identities[number] = asked.identity
        return self.orders.judge(number, asked, path.remote[0])

    def signed(self, answer: Signed) -> tuple[int, Signature]:
        """Whose it is (0: nobody's any more)."""
        return self.orders.owner(answer.ticket), self.orders.signature(answer)

    def judged(self, word: CertificateJudged) -> tuple[int, CertificateVerdict]:
        """Whose verdict it is, and the verdict with the caller's group."""
        number = self.orders.owner(word.ticket)
        identity = self._identities.pop(number, None)
        found = verdict(word)
        if not number or not word.accepted:
            return number, found
        units = [self._groups.get(unit.encode(), "") for unit in word.groups]
        named = self._named(identity) if identity is not None else ""
        group = next(filter(None, (*units, named, self._otherwise)), "")
        if not group:
            detail = (
                f"the certificate of {word.subject} is good, but names no group: its "
                "organisational unit (OU) must be a group's name, or certificate_group must be set"
            )
            return number, CertificateVerdict(False, "group-mismatch", detail)
        return number, replace(found, group=group, settings=self._narrowed(number, group))

    def forget(self, number: int) -> None:
        self.orders.forget(number)
        self._identities.pop(number, None)

    def _named(self, identity: Identity) -> str:
        if identity.kind not in (FQDN, USER_FQDN, KEY_ID):
            return ""
        return self._groups.get(identity.data, "")
