"""Rules: whose certificates are trusted here, for what, and how strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from culvert.identity.certificates.certificate import Certificate
from culvert.ike.wire.identity import Identity

RSA1024, SHA1, MD5 = "cert-rsa1024", "cert-sha1", "cert-md5"
"""Switches (rows of profile_names.toml) for what is weak in certificates."""


class Purpose(StrEnum):
    """What the peer is to us."""

    GATEWAY = "gateway"
    CLIENT = "client"


class Strictness(StrEnum):
    """What becomes of a certificate whose withdrawal cannot be found out."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


IPSEC_USAGES = frozenset(
    ObjectIdentifier(f"1.3.6.1.5.5.{tail}")
    for tail in ("7.3.5", "7.3.6", "7.3.7", "7.3.17", "8.2.2")
) | {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
"""Extended key usages that mean IPsec (RFC 4945 §5.1.3.12): end system, tunnel, user (withdrawn but
issued to this day), ipsecIKE, iKEIntermediate, and any."""

WANTED_USAGE = {
    Purpose.GATEWAY: (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
    Purpose.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
}
"""What authorities of the web put in; accepted from the side that it fits."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How to judge a peer's certificate.

    ``authorities``: trusted, authorities and single certificates of peers alike. ``known``: more
    certificates for the way to them (not trusted by themselves), and those of peers that send none.
    ``expected``: one of these the peer must be; empty on a gateway, which takes whoever the
    certificate says.
    ``verify_identity`` off: another name is a warning. ``lists``: revocation lists from files.
    """

    authorities: tuple[Certificate, ...] = field(repr=False)
    purpose: Purpose
    known: tuple[Certificate, ...] = field(default=(), repr=False)
    expected: tuple[Identity, ...] = ()
    verify_identity: bool = True
    legacy: frozenset[str] = frozenset()
    revocation: Strictness = Strictness.SOFT
    lists: tuple[bytes, ...] = field(default=(), repr=False)
