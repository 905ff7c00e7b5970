"""OwnCertificate: what an end shows of itself. Public; its private key stays in the vault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from culvert.identity.certificates.certificate import Certificate
from culvert.ike.wire.identity import DER_ASN1_DN, Identity

MOST_REQUESTS = 16
"""Authorities asked for in a message; a certificate request has about 100 octets."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """``key`` is the name by which the vault signs; ``chain`` starts with our own certificate and
    holds the authorities up to the root, which is left out: who does not have it must not trust
    it."""

    key: str
    chain: tuple[Certificate, ...]

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """Contents of our CERT payloads (encoding 4)."""
        return tuple(one.der for one in self.chain)

    @property
    def identity(self) -> Identity:
        """Our name as the certificate has it: the subject (RFC 4945 §3.2.4)."""
        return Identity(DER_ASN1_DN, self.chain[0].parsed.subject.public_bytes())


def own(key: str, certificates: Sequence[Certificate], mine: Certificate) -> OwnCertificate:
    """``mine`` and those of ``certificates`` that lead up from it."""
    chain = [mine]
    while (above := _issuer(chain[-1], certificates)) is not None and above not in chain:
        chain.append(above)
    return OwnCertificate(key, tuple(chain))


def _issuer(one: Certificate, among: Iterable[Certificate]) -> Certificate | None:
    """The authority that issued ``one``, unless that is a root."""
    if one.self_issued:
        return None
    return next(
        (
            other
            for other in among
            if other.parsed.subject == one.parsed.issuer and not other.self_issued
        ),
        None,
    )


def requests(authorities: Iterable[Certificate]) -> tuple[bytes, ...]:
    """What to put into certificate requests: the names of whom we trust (RFC 2408 §3.10)."""
    names = dict.fromkeys(one.parsed.subject.public_bytes() for one in authorities)
    return tuple(names)[:MOST_REQUESTS]
