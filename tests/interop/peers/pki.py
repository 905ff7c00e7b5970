"""A throw-away authority with a gateway certificate, two users' and an expired one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from culvert.lab import topology
from interop.peers.credentials import GATEWAY_NAME, GROUP, USERS

IKE_INTERMEDIATE = ObjectIdentifier("1.3.6.1.5.5.8.2.2")  # older clients want it in a gateway's
KEY_BITS = 2048


@dataclass(frozen=True)
class Pki:
    """Where the files lie: ``ca.pem``, ``ca.crl``, and ``NAME.pem`` with ``NAME.key``."""

    folder: Path

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def make(folder: Path) -> Pki:
    pki = Pki(folder)
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    authority_key = new_key(pki.key("ca"))
    authority = subject("Lab Root CA")
    certificate = (
        x509.CertificateBuilder(authority, authority, authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    write(pki.certificate("ca"), certificate)
    gateway_names: list[x509.GeneralName] = [
        x509.DNSName(GATEWAY_NAME),
        x509.IPAddress(ip_address(topology.GATEWAY)),
    ]

    def issue(
        name: str,
        whom: x509.Name,
        alternative: list[x509.GeneralName],
        purposes: list[ObjectIdentifier],
        valid: tuple[datetime, datetime],
    ) -> None:
        key = new_key(pki.key(name))
        builder = (
            x509.CertificateBuilder(authority, whom, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
            .add_extension(usage(signs_certificates=False), critical=False)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        )
        write(pki.certificate(name), builder.sign(authority_key, hashes.SHA256()))

    valid = (now - timedelta(days=1), now + timedelta(days=825))
    over = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
    server = [ExtendedKeyUsageOID.SERVER_AUTH, IKE_INTERMEDIATE]
    issue("gw", subject(GATEWAY_NAME), gateway_names, server, valid)
    for user, period in [
        *((user, valid) for user in sorted(set(USERS.values()))),
        ("expired", over),
    ]:
        mail: list[x509.GeneralName] = [x509.RFC822Name(f"{user}@example.test")]
        issue(user, subject(user, person=True), mail, [ExtendedKeyUsageOID.CLIENT_AUTH], period)
    return pki


def subject(name: str, *, person: bool = False) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab")]
    if person:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, GROUP))
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    if person:
        parts.append(x509.NameAttribute(NameOID.USER_ID, name))
    return x509.Name(parts)


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def new_key(place: Path) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    place.touch(mode=0o600)
    place.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def write(place: Path, certificate: x509.Certificate) -> None:
    place.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
