"""A certificate authority for tests: everything is made at test time, nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from culvert.identity.certificates.certificate import Certificate, read

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
OTHER_RSA = {
    "md5": (bytes.fromhex("06092a864886f70d010104"), hashes.MD5()),  # noqa: S303
    "sha1": (bytes.fromhex("06092a864886f70d010105"), hashes.SHA1()),  # noqa: S303
}


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Made once for each number: making one takes a tenth of a second."""
    return rsa.generate_private_key(65537, bits)


def subject(name: str, *units: str, mail: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    parts += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    parts += [x509.NameAttribute(NameOID.EMAIL_ADDRESS, mail)] if mail else []
    return x509.Name(parts)


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


def key_usage(*on: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{one: one in on for one in every})


@dataclass(frozen=True)
class Holder:
    """A certificate with its private key; issues others."""

    certificate: Certificate
    key: rsa.RSAPrivateKey
    issued: list[Certificate] = field(default_factory=list[Certificate])

    @property
    def der(self) -> bytes:
        return self.certificate.der

    def sign(self, digest: bytes) -> bytes:
        """As an IKE peer does (RFC 2409 §5.1)."""
        return self.key.sign(digest, PKCS1v15(), NoDigestInfo())


def issue(
    name: x509.Name | str,
    issuer: Holder | None = None,
    *,
    number: int = 0,
    bits: int = 2048,
    ca: bool = False,
    pathlen: int | None = None,
    names: tuple[str, ...] = (),
    usage: tuple[str, ...] | None = None,
    extended: tuple[x509.ObjectIdentifier, ...] = (),
    since: datetime = NOW - 100 * DAY,
    until: datetime = NOW + 1000 * DAY,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    digest: str = "sha256",
) -> Holder:
    """A certificate for ``name``, signed by ``issuer`` or by itself."""
    whose = subject(name) if isinstance(name, str) else name
    key = rsa_key(number, bits)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(issuer.certificate.parsed.subject if issuer else whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if ca:
        basic = x509.BasicConstraints(ca=True, path_length=pathlen)
        builder = builder.add_extension(basic, critical=True)
        usage = ("key_cert_sign", "crl_sign") if usage is None else usage
    if usage is not None:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if names:
        alternative = x509.SubjectAlternativeName([general(one) for one in names])
        builder = builder.add_extension(alternative, critical=False)
    for value, critical in extra:
        builder = builder.add_extension(value, critical=critical)
    der = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)
    if digest != "sha256":
        der = signed_with(der, digest, signer)
    return Holder(read(der), key)


def signed_with(der: bytes, digest: str, signer: rsa.RSAPrivateKey) -> bytes:
    """The same certificate with another hash in its signature; libraries sign no MD5 any more."""
    oid, algorithm = OTHER_RSA[digest]
    parsed = x509.load_der_x509_certificate(der)
    inner = parsed.tbs_certificate_bytes.replace(SHA256_RSA, oid, 1)
    head = der[: der.index(parsed.tbs_certificate_bytes)]
    between = der[len(head) + len(inner) : -len(parsed.signature)].replace(SHA256_RSA, oid)
    return head + inner + between + signer.sign(inner, PKCS1v15(), algorithm)


@cache
def root() -> Holder:
    return issue("Root", ca=True, number=0)


@cache
def middle() -> Holder:
    return issue("Middle", root(), ca=True, number=1)


SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
