"""The vaults of simulated ends, certificates only: the real judgement, with a delay instead of a
process in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from cryptography.x509.oid import ExtendedKeyUsageOID

from culvert.effects import CertificateJudged, JudgeCertificate, Sign, Signed
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.revocation import Source
from culvert.identity.certificates.rules import Purpose, Rules, Strictness
from culvert.ike.wire.identity import DER_ASN1_DN, Identity
from culvert.vault.certificate_judge import judge
from culvert.vault.revocation import Revocation
from identity.certificates.authority import DAY, NOW, Holder, issue, middle, root, subject

SIGNING = 0.01  # seconds
JUDGING = 0.05  # seconds; with revocation it may be much more

GATEWAY_NAME = "vpn.example.com"
CLIENT_KEY, GATEWAY_KEY = 5, 6  # numbers of their keys


@dataclass(frozen=True)
class Paper:
    """What an end shows of itself: its certificate and the one above it."""

    holder: Holder
    key: str = "own"

    @property
    def payloads(self) -> tuple[bytes, ...]:
        return (self.holder.der, middle().der)

    @property
    def identity(self) -> Identity:
        return Identity(DER_ASN1_DN, self.holder.certificate.parsed.subject.public_bytes())


@dataclass(frozen=True)
class Vault:
    """``paper`` None: this end has no certificate; it trusts ``authority``. ``lists``: of what
    was revoked."""

    paper: Paper | None
    purpose: Purpose
    authority: Certificate
    broken: bool = False
    lists: tuple[bytes, ...] = ()

    @property
    def authorities(self) -> tuple[bytes, ...]:
        return (self.authority.parsed.subject.public_bytes(),)

    def sign(self, order: Sign) -> Signed:
        if self.paper is None or self.broken:
            return Signed(order.ticket, b"", problem="the key cannot be read")
        return Signed(order.ticket, self.paper.holder.sign(order.digest))

    def judge(self, order: JudgeCertificate) -> tuple[CertificateJudged, Sequence[LogEvent]]:
        """The word, and what the vault's process writes into the log."""
        strictness = Strictness.HARD if self.lists else Strictness.OFF
        rules = Rules((self.authority,), self.purpose, revocation=strictness, lists=self.lists)
        return judge(order, rules, Revocation(_nothing), at=NOW)


def _nothing(source: Source) -> bytes:
    raise PlatformError(f"nothing is fetched in a simulation, not even {source.url}")


@cache
def stranger() -> Holder:
    """An authority that nobody here knows."""
    return issue("Stranger", ca=True, number=7)


@cache
def gateway_paper(*names: str) -> Paper:
    return Paper(
        issue(
            names[0],
            middle(),
            number=GATEWAY_KEY,
            names=names,
            extended=(ExtendedKeyUsageOID.SERVER_AUTH,),
        )
    )


@cache
def person_paper(name: str, *units: str, expired: bool = False) -> Paper:
    return Paper(
        issue(
            subject(name, *units),
            middle(),
            number=CLIENT_KEY,
            extended=(ExtendedKeyUsageOID.CLIENT_AUTH,),
            until=NOW - DAY if expired else NOW + 1000 * DAY,
        )
    )


def gateway_vault(*names: str) -> Vault:
    """The gateway with a certificate for these names."""
    return Vault(gateway_paper(*names), Purpose.CLIENT, root().certificate)


def person_vault(name: str, *units: str) -> Vault:
    """Somebody with a certificate that names the groups ``units``."""
    return Vault(person_paper(name, *units), Purpose.GATEWAY, root().certificate)


def trusting_stranger(vault: Vault) -> Vault:
    """The same, but it knows another authority."""
    return replace(vault, authority=stranger().certificate)
