"""From a peer's certificate to an authority we trust (RFC 5280 §6, RFC 4945 §5).

Certificates come in any order and with strangers among them; every way up is tried within a bound,
and of all that fails the failure nearest to the goal is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID

from culvert.identity.certificates import constraints
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.reason import Untrusted, Warned, warned
from culvert.identity.certificates.rules import (
    IPSEC_USAGES,
    MD5,
    RSA1024,
    SHA1,
    WANTED_USAGE,
    Rules,
)

MOST_SIGNATURES = 32
"""Signatures of certificates checked for one peer, whatever maze of issuers it sends."""

LONGEST_PATH = 8
"""Certificates from the peer's to the trusted one; real ones have two to five."""

SKEW = timedelta(minutes=5)
"""A certificate issued this moment by a clock that is ahead of ours is not "from the future"."""

LEAST_BITS, SOUND_BITS, MOST_BITS = 1024, 2048, 8192
"""RSA keys: below the first hopeless, below the second weak; above the last only a burden."""

WEAK_HASHES = {"sha1": SHA1, "md5": MD5}
"""Hash of a signature → the switch that allows it."""

WEAK_RSA = frozenset({SignatureAlgorithmOID.RSA_WITH_SHA1, SignatureAlgorithmOID.RSA_WITH_MD5})
"""The same with PKCS #1 padding."""

UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
"""Extensions that may be critical. Policies are any policy, as nobody here demands one."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The way up: the peer's certificate first, the trusted one last (alone if it is trusted)."""

    certificates: tuple[Certificate, ...]
    warnings: tuple[Warned, ...] = ()


@dataclass(slots=True)
class _Search:
    """One look for a way up."""

    rules: Rules
    strangers: Sequence[Certificate]
    at: datetime
    signatures: int = MOST_SIGNATURES
    failures: list[tuple[int, Untrusted]] = field(default_factory=list[tuple[int, Untrusted]])


def trusted_path(
    peer: Certificate, received: Sequence[Certificate], rules: Rules, *, at: datetime
) -> Trusted:
    """The way from ``peer`` to a trusted certificate. Raises Untrusted with what stands in it."""
    if not rules.authorities:
        raise Untrusted("no-authority")
    warnings = _check_peer(peer, rules, at)
    if peer in rules.authorities:
        return Trusted((peer,), tuple(warnings))
    search = _Search(rules, (*received, *rules.known), at)
    found = _climb(search, (peer,))
    if found is None:
        raise _best_of(search.failures, peer)
    for certificate in found[:-1]:
        warnings += _weak_signature(certificate, rules)
    for certificate in found[1:]:
        warnings += _weak_key(certificate, rules)
    return Trusted(found, tuple(dict.fromkeys(warnings)))


def _best_of(failures: Sequence[tuple[int, Untrusted]], peer: Certificate) -> Untrusted:
    if failures:
        return max(failures, key=lambda one: one[0])[1]
    if peer.self_issued:
        return Untrusted("self-signed", subject=peer.subject, fingerprint=peer.fingerprint)
    return Untrusted("unknown-issuer", subject=peer.subject, issuer=peer.issuer)


# --- climbing ----------------------------------------------------------------------------------


def _climb(search: _Search, so_far: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
    last = so_far[-1]
    trusted = [one for one in search.rules.authorities if _names(last, one)]
    between = [one for one in search.strangers if _names(last, one) and one not in so_far]
    if not trusted and not between and len(so_far) > 1:
        failure = Untrusted("unknown-issuer", subject=last.subject, issuer=last.issuer)
        search.failures.append((len(so_far), failure))
    for issuer in (*trusted, *between):
        if search.signatures <= 0 or len(so_far) >= LONGEST_PATH:
            return None
        way = (*so_far, issuer)
        try:
            _check_link(search, way)
            if issuer in search.rules.authorities:
                _check_whole(way)
                return way
        except Untrusted as failure:
            # A trusted issuer that fails says more than a stranger that does.
            rank = 2 * len(way) + (issuer in search.rules.authorities)
            search.failures.append((rank, failure))
            continue
        if found := _climb(search, way):
            return found
    return None


def _names(issued: Certificate, issuer: Certificate) -> bool:
    return issued.parsed.issuer == issuer.parsed.subject


def _check_link(search: _Search, way: tuple[Certificate, ...]) -> None:
    """``way[-1]`` is a sound authority of today and signed ``way[-2]``."""
    issued, issuer = way[-2:]
    search.signatures -= 1
    _check_signature(issued, issuer)
    _check_dates(issuer, search.at)
    _check_authority(issuer)
    _check_critical(issuer)
    _weak_key(issuer, search.rules)
    _weak_signature(issued, search.rules)


def _check_signature(issued: Certificate, issuer: Certificate) -> None:
    try:
        if issued.hash in WEAK_HASHES:
            _check_weak_signature(issued, issuer)
        else:
            issued.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise Untrusted("wrong-signature", subject=issued.subject, issuer=issuer.subject) from error


def _check_weak_signature(issued: Certificate, issuer: Certificate) -> None:
    """What the library will not do with a weak hash. Raises as it does."""
    parsed, key = issued.parsed, issuer.parsed.public_key()
    algorithm, oid = parsed.signature_hash_algorithm, parsed.signature_algorithm_oid
    if algorithm is None:
        raise UnsupportedAlgorithm("a hash that cannot be")
    if isinstance(key, RSAPublicKey) and oid in WEAK_RSA:
        key.verify(parsed.signature, parsed.tbs_certificate_bytes, PKCS1v15(), algorithm)
    elif isinstance(key, EllipticCurvePublicKey) and oid == SignatureAlgorithmOID.ECDSA_WITH_SHA1:
        key.verify(parsed.signature, parsed.tbs_certificate_bytes, ECDSA(algorithm))
    else:
        raise UnsupportedAlgorithm("a weak hash with another kind of key")


def _check_authority(issuer: Certificate) -> None:
    basic = issuer.extension(x509.BasicConstraints)
    # Version 1 knew no extensions; a root of it is trusted if it is configured.
    old_root = issuer.parsed.version is x509.Version.v1 and issuer.self_issued
    if not old_root and (basic is None or not basic.ca):
        raise Untrusted("not-an-authority", subject=issuer.subject, why="it is no authority")
    usage = issuer.extension(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise Untrusted("not-an-authority", subject=issuer.subject, why="its key may not do that")


def _check_whole(way: tuple[Certificate, ...]) -> None:
    """What an authority says about everything below it."""
    for place, authority in enumerate(way[1:], start=1):
        below = [one for one in way[1:place] if not one.self_issued]
        basic = authority.extension(x509.BasicConstraints)
        if basic is not None and basic.path_length is not None and len(below) > basic.path_length:
            raise Untrusted(
                "path-too-long",
                subject=authority.subject,
                allowed=basic.path_length,
                count=len(below),
            )
        limits = authority.extension(x509.NameConstraints)
        if limits is not None:
            for one in (way[0], *below):
                constraints.check(one, authority, limits)


# --- one certificate ---------------------------------------------------------------------------


def _check_peer(peer: Certificate, rules: Rules, at: datetime) -> list[Warned]:
    """The peer's own certificate: of today, for IPsec, with a key of use."""
    _check_dates(peer, at)
    _check_critical(peer)
    if peer.kind != "RSA" or not LEAST_BITS <= peer.bits <= MOST_BITS:
        raise Untrusted(
            "hopeless-key",
            subject=peer.subject,
            kind=peer.kind,
            bits=peer.bits,
            least=LEAST_BITS,
            most=MOST_BITS,
        )
    _check_usage(peer, rules)
    return _weak_key(peer, rules)


def _check_usage(peer: Certificate, rules: Rules) -> None:
    wanted, wanted_name = WANTED_USAGE[rules.purpose]
    usage = peer.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise Untrusted(
            "wrong-usage",
            subject=peer.subject,
            usages="keys that sign no messages",
            wanted=wanted_name,
        )
    extended = peer.extension(x509.ExtendedKeyUsage)
    if extended is not None and not ({wanted} | IPSEC_USAGES) & set(extended):
        usages = ", ".join(_usage_name(oid) for oid in extended)
        raise Untrusted("wrong-usage", subject=peer.subject, usages=usages, wanted=wanted_name)


def _usage_name(oid: x509.ObjectIdentifier) -> str:
    for name in ("SERVER_AUTH", "CLIENT_AUTH", "CODE_SIGNING", "EMAIL_PROTECTION", "OCSP_SIGNING"):
        if oid == getattr(ExtendedKeyUsageOID, name):
            first, *rest = name.lower().split("_")
            return first + "".join(part.title() for part in rest)
    return oid.dotted_string


def _check_dates(one: Certificate, at: datetime) -> None:
    if at > one.until:
        raise Untrusted("expired", subject=one.subject, until=f"{one.until:%Y-%m-%d %H:%M} UTC")
    if at < one.since - SKEW:
        raise Untrusted(
            "not-yet-valid", subject=one.subject, since=f"{one.since:%Y-%m-%d %H:%M} UTC"
        )


def _check_critical(one: Certificate) -> None:
    for extension in one.parsed.extensions:
        if extension.critical and extension.oid not in UNDERSTOOD:
            name = extension.oid.dotted_string
            raise Untrusted("unknown-critical", subject=one.subject, extension=name)


def _weak_key(one: Certificate, rules: Rules) -> list[Warned]:
    """What is weak about its key. Raises Untrusted unless a switch allows it."""
    if one.kind != "RSA" or one.bits >= SOUND_BITS:
        return []
    if one.bits < LEAST_BITS or RSA1024 not in rules.legacy:
        raise Untrusted("weak-key", subject=one.subject, bits=one.bits, switch=RSA1024)
    return [warned("weak-key", subject=one.subject, bits=one.bits, switch=RSA1024)]


def _weak_signature(one: Certificate, rules: Rules) -> list[Warned]:
    """The same about the hash in the signature on it."""
    switch = WEAK_HASHES.get(one.hash)
    if switch is None:
        return []
    name = one.hash.upper().replace("SHA1", "SHA-1")
    if switch not in rules.legacy:
        raise Untrusted("weak-hash", subject=one.subject, hash=name, switch=switch)
    return [warned("weak-hash", subject=one.subject, hash=name, switch=switch)]
