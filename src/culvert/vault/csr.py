"""A key of one's own and the request (PKCS#10, RFC 2986) for an authority to certify it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

EXPONENT = 65537


@dataclass(frozen=True, slots=True)
class Request:
    """``pem`` is for the authority, ``key`` for nobody."""

    pem: bytes
    key: rsa.RSAPrivateKey = field(repr=False)


def request(subject: str, names: Sequence[str], *, bits: int) -> Request:
    """Raises ValueError for a subject or a name that is none."""
    key = rsa.generate_private_key(EXPONENT, bits)
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name.from_rfc4514_string(subject)
    )
    if names:
        alternative = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    made = builder.sign(key, hashes.SHA256())
    return Request(made.public_bytes(Encoding.PEM), key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)
