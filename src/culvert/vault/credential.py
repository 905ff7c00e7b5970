"""Credential: a certificate, the authorities above it, and its private key, from PEM or PKCS#12.

The key never leaves the value but to sign. Text forms are for files that only their owner reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)

from culvert.errors import ConfigError, CulvertError
from culvert.identity.certificates.certificate import UNREADABLE, Certificate, read
from culvert.identity.certificates.own import OwnCertificate, own
from culvert.identity.certificates.reason import Untrusted
from culvert.secret import Secret

LONGEST_FILE = 1_048_576
"""Octets of a file of certificates: a bundle of every authority of the web has 220 KB."""

MOST = 1000
"""Certificates in one file."""

BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
END_CERTIFICATE = b"-----END CERTIFICATE-----"

_KEY_LINE = b"PRIVATE KEY-----"
"""How the first and the last line of a private key end, whatever kind it is."""

_PFX = b"\x02\x01\x03"
"""The version with which a PKCS#12 file begins (RFC 7292 §4), behind one tag and length."""

_PFX_WITHIN = 9


class PassphraseNeeded(CulvertError):
    """The file is encrypted, and the passphrase is missing or wrong."""

    code = "cli.usage"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held; whether its key fits one of its certificates is not looked at yet."""

    certificates: tuple[Certificate, ...]
    key: RSAPrivateKey | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """Our certificate with its key."""

    own: OwnCertificate
    key: RSAPrivateKey = field(repr=False)

    def pem(self, *, with_key: bool = True) -> bytes:
        """Certificates, ours first, and the key as it is: for a file of mode 0600 or a keyring."""
        parts = [one.parsed.public_bytes(Encoding.PEM) for one in self.own.chain]
        if with_key:
            parts.insert(0, key_pem(self.key))
        return b"".join(parts)


def key_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def contents(octets: bytes, passphrase: Secret | None = None, *, path: str = "") -> Contents:
    """What is in a PEM, DER or PKCS#12 file.

    Raises ConfigError for anything else, PassphraseNeeded where one would help.
    """
    if len(octets) > LONGEST_FILE:
        raise ConfigError(f"has more than {LONGEST_FILE} octets", path=path)
    password = passphrase.octets() if passphrase else None
    if b"-----BEGIN " in octets:
        return _pem(octets, password, path)
    return _der(octets, password, path)


def credential(name: str, found: Contents, *, path: str = "") -> Credential:
    """The certificate that belongs to the key. Raises ConfigError where there is none."""
    if found.key is None:
        raise ConfigError("has no private key in it", path=path)
    numbers = found.key.public_key().public_numbers()
    for one in found.certificates:
        if (public := one.rsa_key) is not None and public.public_numbers() == numbers:
            return Credential(own(name, found.certificates, one), found.key)
    raise ConfigError(
        "has a private key, and no certificate in it that belongs to that key", path=path
    )


def authorities(octets: bytes, *, path: str = "") -> tuple[Certificate, ...]:
    """The certificates of a file of those we trust. Raises ConfigError if it has none."""
    found = contents(octets, path=path)
    if not found.certificates:
        raise ConfigError("has no certificate in it", path=path)
    return found.certificates


# --- forms -------------------------------------------------------------------------------------


def _pem(octets: bytes, password: bytes | None, path: str) -> Contents:
    key = None
    if _KEY_LINE in octets:
        key = _rsa(_load_key(_key_block(octets), password, path), path)
    blocks = octets.split(BEGIN_CERTIFICATE)[1:]
    whole = [
        BEGIN_CERTIFICATE + block.partition(END_CERTIFICATE)[0] + END_CERTIFICATE
        for block in blocks
    ]
    try:
        loaded = [x509.load_pem_x509_certificate(block) for block in whole]
    except UNREADABLE as error:
        raise ConfigError(f"holds a certificate that cannot be read ({error})", path=path) from None
    return Contents(_certificates(loaded, path), key)


def _key_block(octets: bytes) -> bytes:
    """From the first line of the private key to its last; files of old have texts around it."""
    end = octets.find(_KEY_LINE)
    begin = octets.rfind(b"-----BEGIN ", 0, end)
    closing = octets.find(_KEY_LINE, end + 1)
    if begin < 0 or closing < 0:
        return octets
    return octets[begin : closing + len(_KEY_LINE)] + b"\n"


def _der(octets: bytes, password: bytes | None, path: str) -> Contents:
    try:
        return Contents(_certificates([x509.load_der_x509_certificate(octets)], path), None)
    except UNREADABLE:
        pass
    try:
        loaded = pkcs7.load_der_pkcs7_certificates(octets)
        return Contents(_certificates(loaded, path), None)
    except UNREADABLE:
        pass
    if _PFX in octets[:_PFX_WITHIN]:
        return _pkcs12(octets, password, path)
    try:
        return Contents((), _rsa(load_der_private_key(octets, password), path))
    except TypeError:
        raise _passphrase(path, password) from None
    except UNREADABLE:
        raise ConfigError(
            "is neither a certificate nor a key nor a PKCS#12 file, in PEM or DER", path=path
        ) from None


def _pkcs12(octets: bytes, password: bytes | None, path: str) -> Contents:
    try:
        key, mine, others = pkcs12.load_key_and_certificates(octets, password)
    except UnsupportedAlgorithm as error:
        raise ConfigError(f"is encrypted in a way not known here ({error})", path=path) from None
    except UNREADABLE:
        # The library says the same of a wrong passphrase and of a damaged file.
        raise _passphrase(path, password) from None
    loaded = [*([mine] if mine else []), *others]
    return Contents(_certificates(loaded, path), None if key is None else _rsa(key, path))


def _load_key(octets: bytes, password: bytes | None, path: str) -> object:
    try:
        return load_pem_private_key(octets, password)
    except TypeError:
        if password is None:
            raise _passphrase(path, password) from None
        # A passphrase was given and the key has none.
        return _load_key(octets, None, path)
    except UNREADABLE as error:
        if password is not None:
            raise _passphrase(path, password) from None
        raise ConfigError(f"holds a key that cannot be read ({error})", path=path) from None


def _passphrase(path: str, given: bytes | None) -> PassphraseNeeded:
    where = path or "the file"
    if given is None:
        return PassphraseNeeded(f"{where} is encrypted: its passphrase is needed")
    return PassphraseNeeded(f"the passphrase of {where} is wrong, or the file is damaged")


def _rsa(key: object, path: str) -> RSAPrivateKey:
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(
            f"holds a key of kind {type(key).__name__.removesuffix('PrivateKey')}; IKE signs with "
            "RSA: have an RSA certificate issued",
            path=path,
        )
    return key


def _certificates(loaded: Sequence[x509.Certificate], path: str) -> tuple[Certificate, ...]:
    if len(loaded) > MOST:
        raise ConfigError(f"holds more than {MOST} certificates", path=path)
    try:
        return tuple([read(one.public_bytes(Encoding.DER)) for one in loaded])
    except Untrusted as error:
        raise ConfigError(error.sentence, path=path) from None
