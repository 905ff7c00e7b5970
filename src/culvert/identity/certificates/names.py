"""Distinguished and general names (X.501, RFC 5280 §4.2.1.6) from their octets, and as people write
them; when two are the same."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from culvert.ike.identified import ENDPOINT
from culvert.ike.wire.identity import (
    DER_ASN1_DN,
    FQDN,
    IPV4_ADDR_SUBNET,
    IPV6_ADDR_SUBNET,
    KEY_ID,
    USER_FQDN,
    Identity,
)

IPV4_ADDR_RANGE, IPV6_ADDR_RANGE = 7, 8
DER_ASN1_GN = 10

LONGEST = 4096
"""Octets of a name: hundreds of times a real one, and what is read twice stays cheap."""

_SEQUENCE, _SET, _OCTET_STRING, _ATTRIBUTES = 0x30, 0x31, 0x04, 0xA0

_VERSION = bytes.fromhex("020100")
_SOME_KEY = bytes.fromhex("302a300506032b6570032100") + bytes(32)
_SOME_SIGNATURE = bytes.fromhex("300506032b6570") + bytes.fromhex("03020000")
_EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_EMPTY_NAME = bytes.fromhex("3000")


def name_of(octets: bytes) -> x509.Name | None:
    """The distinguished name that these octets are, None if they are none."""
    request = _request(octets, b"")
    try:
        return None if request is None else request.subject
    except (ValueError, UserWarning):  # the latter where warnings are errors
        return None


def general_names_of(octets: bytes) -> tuple[x509.GeneralName, ...]:
    """The general names in these octets, none if they are something else."""
    names = _element(_OCTET_STRING, _element(_SEQUENCE, octets))
    extensions = _element(_SEQUENCE, _element(_SEQUENCE, _ALTERNATIVE_NAME, names))
    wanted = _element(_SEQUENCE, _EXTENSION_REQUEST, _element(_SET, extensions))
    request = _request(_EMPTY_NAME, wanted)
    if request is None:
        return ()
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType):
        return ()
    return tuple(found.value)


def _request(name: bytes, attributes: bytes) -> x509.CertificateSigningRequest | None:
    """A signing request around a name: the library reads names only as parts of such things."""
    if len(name) + len(attributes) > LONGEST:
        return None
    info = _element(_SEQUENCE, _VERSION, name, _SOME_KEY, _element(_ATTRIBUTES, attributes))
    try:
        return x509.load_der_x509_csr(_element(_SEQUENCE, info, _SOME_SIGNATURE))
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return None


def _element(tag: int, *parts: bytes) -> bytes:
    """Tag, length and content (X.690 §8.1)."""
    content = b"".join(parts)
    count = len(content)
    if count < 0x80:
        return bytes((tag, count)) + content
    size = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def same_name(one: x509.Name, other: x509.Name) -> bool:
    """As RFC 5280 §7.1 compares: attribute by attribute, without regard to case and blanks."""
    return [_prepared(rdn) for rdn in one.rdns] == [_prepared(rdn) for rdn in other.rdns]


def _prepared(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, str]]:
    return frozenset((one.oid.dotted_string, _folded(one.value)) for one in rdn)


def _folded(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def spoken_name(one: x509.GeneralName) -> str:
    """A general name without its wrapping."""
    match one:
        case x509.DirectoryName():
            return one.value.rfc4514_string()
        case x509.OtherName():
            return f"{one.type_id.dotted_string}:{one.value.hex()}"
        case x509.RegisteredID():
            return one.value.dotted_string
        case _:
            return str(one.value)


def spoken(identity: Identity) -> str:
    """An identity as people write it."""
    data = identity.data
    match identity.kind:
        case 9:
            name = name_of(data)
            return name.rfc4514_string() if name is not None else data.hex()
        case 10:
            return ", ".join(map(spoken_name, general_names_of(data))) or data.hex()
        case 7 | 8 if len(data) in (8, 32):
            half = len(data) // 2
            return f"{ip_address(data[:half])}-{ip_address(data[half:])}"
        case _:
            return str(identity)


OWN_ADDRESS = "%address"


def _subnet(text: str) -> Identity:
    network = ip_network(text)
    kind = IPV4_ADDR_SUBNET if network.version == 4 else IPV6_ADDR_SUBNET
    return Identity(kind, network.network_address.packed + network.netmask.packed)


def identity_from(text: str) -> Identity:
    """An identity as a person writes it: address, network, host, user@host, distinguished name,
    @group; %address for the end's own address.

    A distinguished name is RFC 4514 ("CN=gw,O=Acme"). Raises ValueError for one that is none.
    """
    if text == OWN_ADDRESS:
        return ENDPOINT
    with suppress(ValueError):
        return Identity.of_address(text)
    if "/" in text and "=" not in text:
        return _subnet(text)
    if "=" in text:
        try:
            name = x509.Name.from_rfc4514_string(text)
        except ValueError:
            raise ValueError(f"{text[:80]!a} is no name such as CN=gw,O=Acme") from None
        return Identity(DER_ASN1_DN, name.public_bytes())
    if text.startswith("@"):
        return Identity(KEY_ID, text[1:].encode())
    return Identity(USER_FQDN if "@" in text else FQDN, text.encode())
