"""Was a certificate withdrawn? Decided from what OCSP (RFC 6960) or a CRL (RFC 5280 §5) says.

Nothing is fetched here: `sources` says where to ask and with what, `decide` reads the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from culvert.identity.certificates.certificate import Certificate

SKEW = timedelta(minutes=5)
"""How far the clock of a responder may be ahead of ours."""

WITHOUT_END = timedelta(hours=1)
"""How long an answer holds that does not say until when."""

OLDEST_WITHOUT_END = timedelta(days=7)
"""How old such an answer may be: it could be from before the certificate was withdrawn."""

MOST_SOURCES = 4
"""Addresses asked about one certificate: real ones name one or two of each kind."""

SOUND_HASHES = (SHA224, SHA256, SHA384, SHA512)

CRL_EXTENSIONS = frozenset(
    {ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.FRESHEST_CRL}
)
"""Extensions of a list that may be critical. A delta, or a list of some certificates only, says so
in a critical extension and is not believed about the others."""


class Standing(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known about one certificate. ``until``: when to ask again."""

    standing: Standing
    until: datetime | None = None
    date: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to ask about a certificate: GET a list, or POST ``question`` to an OCSP responder."""

    url: str
    question: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> str:
        return "OCSP" if self.question else "CRL"


def sources(one: Certificate, issuer: Certificate) -> tuple[Source, ...]:
    """OCSP first: its answers are small and of today."""
    found: list[Source] = []
    access = one.extension(x509.AuthorityInformationAccess)
    for description in access or ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            found.append(Source(location.value, _question(one, issuer)))
    points = one.extension(x509.CRLDistributionPoints)
    for point in points or ():
        if point.crl_issuer is None and point.reasons is None:
            found += [
                Source(name.value)
                for name in point.full_name or ()
                if isinstance(name, x509.UniformResourceIdentifier)
            ]
    return tuple(dict.fromkeys(found))[:MOST_SOURCES]


def _question(one: Certificate, issuer: Certificate) -> bytes:
    """SHA-1 here names the issuer and protects nothing; responders may know no other (RFC 5019).
    No nonce: answers made in advance have none, and ours are judged by their time."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        one.parsed,
        issuer.parsed,
        SHA1(),  # noqa: S303  # as said
    )
    return builder.build().public_bytes(Encoding.DER)


def decide(
    source: Source, octets: bytes, one: Certificate, issuer: Certificate, *, at: datetime
) -> Status:
    """What the answer of ``source`` says about ``one``."""
    if source.question:
        return decide_ocsp(octets, one, issuer, at=at)
    return decide_list(octets, one, issuer, at=at)


# --- lists -------------------------------------------------------------------------------------


def decide_list(octets: bytes, one: Certificate, issuer: Certificate, *, at: datetime) -> Status:
    try:
        return _list_says(octets, one, issuer, at)
    except Exception as error:  # the library's refusals have no type in common
        return _unknown(f"the list cannot be read ({type(error).__name__})")


def _list_says(octets: bytes, one: Certificate, issuer: Certificate, at: datetime) -> Status:
    pem = octets.lstrip().startswith(b"-----BEGIN")
    listed = x509.load_pem_x509_crl(octets) if pem else x509.load_der_x509_crl(octets)
    if listed.issuer != one.parsed.issuer:
        return _unknown("the list is of another authority")
    usage = issuer.extension(x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return _unknown("the authority may not sign lists")
    if not isinstance(listed.signature_hash_algorithm, SOUND_HASHES):
        return _unknown("the list is signed with a weak or unknown hash")
    key = issuer.parsed.public_key()
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return _unknown("the authority's key is of a kind not known here")
    if not listed.is_signature_valid(key):
        return _unknown("the list is not signed by the authority")
    if strange := [e for e in listed.extensions if e.critical and e.oid not in CRL_EXTENSIONS]:
        return _unknown(f"the list is not a whole one (extension {strange[0].oid.dotted_string})")
    if problem := _not_of_today(listed.last_update_utc, listed.next_update_utc, at):
        return _unknown(f"the list {problem}")
    until = listed.next_update_utc or at + WITHOUT_END
    found = listed.get_revoked_certificate_by_serial_number(one.parsed.serial_number)
    if found is None:
        return Status(Standing.GOOD, until)
    return Status(Standing.REVOKED, until, found.revocation_date_utc, _reason_in(found))


def _reason_in(found: x509.RevokedCertificate) -> str:
    try:
        return found.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "no reason given"


# --- OCSP --------------------------------------------------------------------------------------


def decide_ocsp(octets: bytes, one: Certificate, issuer: Certificate, *, at: datetime) -> Status:
    try:
        return _responder_says(octets, one, issuer, at)
    except Exception as error:  # as above
        return _unknown(f"the answer cannot be read ({type(error).__name__})")


def _responder_says(octets: bytes, one: Certificate, issuer: Certificate, at: datetime) -> Status:
    answer = ocsp.load_der_ocsp_response(octets)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        name = answer.response_status.name.lower().replace("_", " ")
        return _unknown(f"the responder answers: {name}")
    if problem := _not_signed(answer, issuer, at):
        return _unknown(problem)
    single = next((each for each in answer.responses if _about(each, one, issuer)), None)
    if single is None:
        return _unknown("the answer is about another certificate")
    if problem := _not_of_today(single.this_update_utc, single.next_update_utc, at):
        return _unknown(f"the answer {problem}")
    until = single.next_update_utc or at + WITHOUT_END
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Status(Standing.GOOD, until)
        case ocsp.OCSPCertStatus.REVOKED:
            reason = single.revocation_reason
            why = reason.value if reason else "no reason given"
            return Status(Standing.REVOKED, until, single.revocation_time_utc, why)
        case _:
            return _unknown("the responder does not know the certificate")


def _about(single: ocsp.OCSPSingleResponse, one: Certificate, issuer: Certificate) -> bool:
    if single.serial_number != one.parsed.serial_number:
        return False
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        one.parsed, issuer.parsed, single.hash_algorithm
    )
    asked = builder.build()
    return (asked.issuer_key_hash, asked.issuer_name_hash) == (
        single.issuer_key_hash,
        single.issuer_name_hash,
    )


def _not_signed(answer: ocsp.OCSPResponse, issuer: Certificate, at: datetime) -> str:
    """Who may answer: the authority itself, or whom it gave a certificate for that (§4.2.2.2)."""
    if not isinstance(answer.signature_hash_algorithm, SOUND_HASHES):
        return "the answer is signed with a weak or unknown hash"
    if _signed_by(answer, issuer.parsed):
        return ""
    for delegate in answer.certificates[:MOST_SOURCES]:
        if _may_answer(delegate, issuer, at) and _signed_by(answer, delegate):
            return ""
    return "the answer is not signed by the authority or by whom it appointed"


def _may_answer(delegate: x509.Certificate, issuer: Certificate, at: datetime) -> bool:
    try:
        delegate.verify_directly_issued_by(issuer.parsed)
        usages = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    of_today = delegate.not_valid_before_utc - SKEW <= at <= delegate.not_valid_after_utc
    return of_today and ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _signed_by(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), answer.signature_hash_algorithm
    signature, signed = answer.signature, answer.tbs_response_bytes
    if algorithm is None:
        return False
    try:
        match key:
            case RSAPublicKey():
                key.verify(signature, signed, PKCS1v15(), algorithm)
            case EllipticCurvePublicKey():
                key.verify(signature, signed, ECDSA(algorithm))
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _not_of_today(made: datetime, until: datetime | None, at: datetime) -> str:
    if made > at + SKEW:
        return "is from the future: one of the clocks is wrong"
    if until is None and made < at - OLDEST_WITHOUT_END:
        return f"is of {made:%Y-%m-%d} and does not say until when it is valid"
    if until is not None and at > until:
        return f"was valid until {until:%Y-%m-%d %H:%M} UTC only"
    return ""


def _unknown(why: str) -> Status:
    return Status(Standing.UNKNOWN, why=why)
