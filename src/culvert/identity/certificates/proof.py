"""Proof: everything a peer's certificate must show, in one pure function.

What it leaves open is revocation: it names the certificates to be asked about, and for each its
issuer; somebody else fetches, and `culvert.identity.certificates.revocation` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from culvert.identity.certificates.certificate import Certificate, receive
from culvert.identity.certificates.match import check_identity
from culvert.identity.certificates.path import trusted_path
from culvert.identity.certificates.reason import Untrusted, Warned, warned
from culvert.identity.certificates.rules import Rules
from culvert.identity.certificates.signature import verified
from culvert.ike.wire.identity import Identity

SOON = 30
"""Days before its end from which on a certificate is warned of: time enough to get a new one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a peer says and sent. ``payloads``: contents of its CERT payloads in any order."""

    payloads: tuple[bytes, ...] = field(repr=False)
    identity: Identity
    digest: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proven:
    """The peer is who it says, revocation aside. ``path``: its certificate first."""

    path: tuple[Certificate, ...]
    warnings: tuple[Warned, ...] = ()
    lists: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def peer(self) -> Certificate:
        return self.path[0]

    @property
    def links(self) -> tuple[tuple[Certificate, Certificate], ...]:
        """Each certificate to be asked about, with its issuer."""
        return tuple(zip(self.path, self.path[1:], strict=False))


def prove(claim: Claim, rules: Rules, *, at: datetime) -> Proven:
    """Raises Untrusted with what is wrong and what to change."""
    received = receive(claim.payloads)
    signers = _signers(claim, (*received.certificates, *_of_silent_peers(rules)))
    refused: Untrusted | None = None
    for peer in signers:
        try:
            trusted = trusted_path(peer, received.certificates, rules, at=at)
            named = check_identity(claim.identity, peer, rules)
        except Untrusted as error:
            refused = refused or error
            continue
        warnings = (*trusted.warnings, *named, *soon(trusted.certificates, at))
        return Proven(trusted.certificates, warnings, received.lists)
    raise refused or _nobody_signed(received.certificates, rules, at)


def _of_silent_peers(rules: Rules) -> tuple[Certificate, ...]:
    """Certificates of peers that are configured here and need not be sent."""
    return (*rules.known, *rules.authorities)


def _signers(claim: Claim, candidates: Sequence[Certificate]) -> list[Certificate]:
    """The certificates whose key made the signature: which one is the peer's shows by itself."""
    found: list[Certificate] = []
    for one in dict.fromkeys(candidates):
        key = one.rsa_key
        if key is not None and verified(key, claim.digest, claim.signature):
            found.append(one)
    return found


def _nobody_signed(received: Sequence[Certificate], rules: Rules, at: datetime) -> Untrusted:
    """The most useful thing to say: what is wrong with its certificate, else with the signature."""
    if not received:
        return Untrusted("none-sent")
    issuers = {one.issuer for one in received}
    peer = next((one for one in received if one.subject not in issuers), received[0])
    try:
        trusted_path(peer, received, rules, at=at)
    except Untrusted as error:
        return error
    return Untrusted("not-its-own", subject=peer.subject)


def soon(certificates: Sequence[Certificate], at: datetime) -> list[Warned]:
    """Which of them expire within `SOON` days or have expired."""
    found: list[Warned] = []
    for one in certificates:
        until = f"{one.until:%Y-%m-%d}"
        if at > one.until:
            found.append(warned("expired", subject=one.subject, until=until))
        elif (days := (one.until - at).days) < SOON:
            found.append(warned("expires-soon", subject=one.subject, until=until, days=days))
    return found
