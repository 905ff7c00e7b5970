"""Certificate: one X.509 certificate as received (RFC 5280), everything in it read at once.

The library below parses lazily and refuses with many kinds of exceptions; here either all of it
can be read or the certificate is refused, so that what comes later cannot be surprised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

from culvert.identity.certificates.names import spoken_name
from culvert.identity.certificates.reason import Untrusted

MOST_CERTIFICATES = 12
"""In one message: real chains have two to five; a bound for the work that a stranger can cause."""

MOST_OCTETS = 65_536
"""Of all of them together: what fits into one UDP datagram, whatever carried it."""

_PKCS7 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
"""OBJECT IDENTIFIER of signedData: what an encoding-1 CERT payload begins with."""

_PKCS7_WITHIN = 24
"""Octets in which it must stand: tag and length before it."""

UNREADABLE = (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, UserWarning)
"""What the library raises for octets that it cannot read; the last where warnings are errors."""

Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that could be read. Equal if its octets are."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(repr=False, compare=False)
    subject: str = field(compare=False)
    issuer: str = field(compare=False)
    since: datetime = field(compare=False)
    until: datetime = field(compare=False)
    kind: str = field(compare=False)
    bits: int = field(compare=False)
    hash: str = field(compare=False)
    alternative: tuple[x509.GeneralName, ...] = field(compare=False, repr=False)

    @property
    def rsa_key(self) -> RSAPublicKey | None:
        key = self.parsed.public_key()
        return key if isinstance(key, RSAPublicKey) else None

    @property
    def self_issued(self) -> bool:
        return self.parsed.subject == self.parsed.issuer

    @property
    def name(self) -> str:
        """The common name, empty without one."""
        return next(iter(self.attributes(NameOID.COMMON_NAME)), "")

    @property
    def units(self) -> tuple[str, ...]:
        """Organisational units, in which Cisco gateways look for the group."""
        return self.attributes(NameOID.ORGANIZATIONAL_UNIT_NAME)

    @property
    def pem(self) -> bytes:
        return self.parsed.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in the usual spelling."""
        return self.parsed.fingerprint(hashes.SHA256()).hex(":")

    def attributes(self, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        """The values of one attribute of the subject."""
        found = (attribute.value for attribute in self.parsed.subject.get_attributes_for_oid(oid))
        return tuple(one if isinstance(one, str) else one.hex() for one in found)

    def extension(self, kind: type[Extension]) -> Extension | None:
        """The extension of that kind, None without one."""
        try:
            return self.parsed.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it is for, as text: alternative names, then the subject."""
        spoken = map(spoken_name, self.alternative)
        return tuple(dict.fromkeys((*spoken, *([self.subject] if self.subject else ()))))


def read(octets: bytes) -> Certificate:
    """One DER certificate. Raises Untrusted for anything else."""
    try:
        parsed = x509.load_der_x509_certificate(octets)
        return _all_of(octets, parsed)
    except Untrusted:
        raise
    except Exception as error:  # the library's refusals have no type in common
        raise Untrusted("unreadable", problem=f"{type(error).__name__}: {error}") from error


def _all_of(octets: bytes, parsed: x509.Certificate) -> Certificate:
    alternative: tuple[x509.GeneralName, ...] = ()
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            alternative = tuple(extension.value)
    kind, bits = _key(parsed)
    algorithm = parsed.signature_hash_algorithm
    return Certificate(
        octets,
        parsed,
        subject=parsed.subject.rfc4514_string(),
        issuer=parsed.issuer.rfc4514_string(),
        since=parsed.not_valid_before_utc,
        until=parsed.not_valid_after_utc,
        kind=kind,
        bits=bits,
        hash=algorithm.name if algorithm else "",
        alternative=alternative,
    )


def _key(parsed: x509.Certificate) -> tuple[str, int]:
    match parsed.public_key():
        case RSAPublicKey() as key:
            return "RSA", key.key_size
        case EllipticCurvePublicKey() as key:
            return "EC", key.key_size
        case DSAPublicKey() as key:
            return "DSA", key.key_size
        case other:
            return type(other).__name__.removesuffix("PublicKey"), 256


@dataclass(frozen=True, slots=True)
class Received:
    """What a peer's CERT payloads held."""

    certificates: tuple[Certificate, ...]
    lists: tuple[bytes, ...] = ()


def receive(payloads: Sequence[bytes]) -> Received:
    """Read CERT payload contents: certificates, PKCS#7 bundles, revocation lists.

    Raises Untrusted for too much, and if nothing of it is a certificate that can be read.
    """
    total = sum(map(len, payloads))
    if len(payloads) > MOST_CERTIFICATES or total > MOST_OCTETS:
        raise Untrusted(
            "too-much",
            count=len(payloads),
            octets=total,
            most_count=MOST_CERTIFICATES,
            most_octets=MOST_OCTETS,
        )
    found: dict[bytes, Certificate] = {}
    lists: list[bytes] = []
    refused: list[Untrusted] = []
    for octets in _unwrapped(payloads, refused):
        try:
            found[octets] = read(octets)
        except Untrusted as error:
            if is_list(octets):
                lists.append(octets)
            else:
                refused.append(error)
    if refused and not found:
        raise refused[0]
    if len(found) > MOST_CERTIFICATES:
        raise Untrusted(
            "too-much",
            count=len(found),
            octets=total,
            most_count=MOST_CERTIFICATES,
            most_octets=MOST_OCTETS,
        )
    return Received(tuple(found.values()), tuple(lists))


def is_list(octets: bytes) -> bool:
    """Whether these octets are a revocation list."""
    try:
        x509.load_der_x509_crl(octets)
    except UNREADABLE:
        return False
    return True


def _unwrapped(payloads: Sequence[bytes], refused: list[Untrusted]) -> Iterator[bytes]:
    for octets in payloads:
        if _PKCS7 not in octets[:_PKCS7_WITHIN]:
            yield octets
            continue
        try:
            inside = pkcs7.load_der_pkcs7_certificates(octets)
            yield from (one.public_bytes(Encoding.DER) for one in inside)
        except Exception as error:  # as in `read`
            refused.append(Untrusted("unreadable", problem=f"PKCS#7: {error}"))
