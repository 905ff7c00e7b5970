"""Is an IKE identity borne out by a certificate? (RFC 4945 §3.1, and what Cisco gateways do)

An identity is matched by a name of the same kind in subjectAltName; certificates of old have host
names and mail addresses in the subject only. There are no wildcards (RFC 4945 §3.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from culvert.errors import WireError
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.names import (
    IPV4_ADDR_RANGE,
    IPV6_ADDR_RANGE,
    general_names_of,
    name_of,
    same_name,
    spoken,
)
from culvert.identity.certificates.reason import Untrusted, Warned, warned
from culvert.identity.certificates.rules import Rules
from culvert.ike.wire.identity import IPV4_ADDR, IPV6_ADDR, IPV6_ADDR_SUBNET, Identity


@dataclass(frozen=True, slots=True)
class Matched:
    """``in_subject``: only the subject has the name."""

    in_subject: bool = False


def match(identity: Identity, certificate: Certificate) -> Matched | None:
    """How the certificate bears ``identity`` out; None if it does not."""
    data = identity.data
    match identity.kind:
        case 2:  # FQDN
            return _host(_text(data).lower().rstrip("."), certificate)
        case 3:  # USER_FQDN
            return _mail(_text(data), certificate)
        case 1 | 5 | 4 | 6 | 7 | 8:
            return _address(identity, certificate)
        case 9:  # DER_ASN1_DN
            name = name_of(data)
            found = name is not None and same_name(name, certificate.parsed.subject)
            return Matched() if found and list(certificate.parsed.subject) else None
        case 10:  # DER_ASN1_GN
            return Matched() if _general_name(data, certificate) else None
        case 11:  # KEY_ID
            return _key_id(data, certificate)
        case _:
            return None


def check_identity(identity: Identity, peer: Certificate, rules: Rules) -> list[Warned]:
    """What is to be warned of. Raises Untrusted where the peer is not who it must be."""
    found = match(identity, peer)
    expected = rules.expected
    if not rules.verify_identity:
        fine = found and (not expected or _is_expected(expected, identity, peer))
        return [] if fine else [_unchecked(identity, peer, expected)]
    names = _shown(peer)
    if found is None:
        raise Untrusted("wrong-identity", claimed=spoken(identity), names=names)
    if expected and not _is_expected(expected, identity, peer):
        raise Untrusted(
            "unexpected-identity",
            claimed=spoken(identity),
            names=names,
            expected=_any_of(expected),
        )
    return [warned("name-in-subject", subject=peer.subject)] if found.in_subject else []


def _unchecked(identity: Identity, peer: Certificate, expected: Sequence[Identity]) -> Warned:
    return warned(
        "identity-not-checked",
        claimed=spoken(identity),
        names=_shown(peer),
        expected=_any_of(expected) or "a name in its certificate",
    )


def _any_of(expected: Sequence[Identity]) -> str:
    return " or ".join(map(spoken, expected))


def _is_expected(expected: Sequence[Identity], identity: Identity, peer: Certificate) -> bool:
    """It says so itself, or its certificate (which signed) has that name as well."""
    return any(
        (one.kind, one.data) == (identity.kind, identity.data) or match(one, peer) is not None
        for one in expected
    )


def _shown(peer: Certificate) -> str:
    return ", ".join(peer.names) or "nobody"


# --- kinds -------------------------------------------------------------------------------------


def _host(wanted: str, certificate: Certificate) -> Matched | None:
    given = [one.value for one in certificate.alternative if isinstance(one, x509.DNSName)]
    if given:
        return Matched() if wanted in {one.lower().rstrip(".") for one in given} else None
    common = {one.lower() for one in certificate.attributes(NameOID.COMMON_NAME)}
    return Matched(in_subject=True) if wanted and wanted in common else None


def _mail(wanted: str, certificate: Certificate) -> Matched | None:
    given = [one.value for one in certificate.alternative if isinstance(one, x509.RFC822Name)]
    if given:
        return Matched() if _mailbox(wanted) in {_mailbox(one) for one in given} else None
    old = {_mailbox(one) for one in certificate.attributes(NameOID.EMAIL_ADDRESS)}
    return Matched(in_subject=True) if wanted and _mailbox(wanted) in old else None


def _mailbox(text: str) -> tuple[str, str]:
    """The part before the @ is the host's business, and may differ by case (RFC 5280 §7.5)."""
    user, _, host = text.rpartition("@")
    return user, host.lower().rstrip(".")


def _address(identity: Identity, certificate: Certificate) -> Matched | None:
    """One of the certificate's addresses; for a subnet or range one that lies in it."""
    try:
        first, last = _bounds(identity)
    except (ValueError, WireError):
        return None
    if any(first <= int(one) <= last for one in _addresses(certificate, first_of=identity)):
        return Matched()
    if identity.kind in (IPV4_ADDR, IPV6_ADDR):
        common = {_as_address(one) for one in certificate.attributes(NameOID.COMMON_NAME)}
        if ip_address(identity.data) in common:
            return Matched(in_subject=True)
    return None


def _addresses(
    certificate: Certificate, *, first_of: Identity
) -> Iterable[IPv4Address | IPv6Address]:
    six = first_of.kind in (IPV6_ADDR, IPV6_ADDR_SUBNET, IPV6_ADDR_RANGE)
    for one in certificate.alternative:
        if isinstance(one, x509.IPAddress):
            value = one.value
            if isinstance(value, IPv6Address if six else IPv4Address):
                yield value


def _bounds(identity: Identity) -> tuple[int, int]:
    if identity.kind in (IPV4_ADDR_RANGE, IPV6_ADDR_RANGE):
        half = 4 if identity.kind == IPV4_ADDR_RANGE else 16
        if len(identity.data) != 2 * half:
            raise ValueError("no range")
        return int.from_bytes(identity.data[:half], "big"), int.from_bytes(
            identity.data[half:], "big"
        )
    network = identity.network()
    return int(network.network_address), int(network.broadcast_address)


def _as_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _general_name(data: bytes, certificate: Certificate) -> bool:
    """A GeneralName as it stands in the certificate's own list, or the subject as one."""
    if not data:
        return False
    names = general_names_of(data)
    if any(one in certificate.alternative for one in names):
        return True
    subject = certificate.parsed.subject
    return any(
        isinstance(one, x509.DirectoryName) and list(subject) and same_name(one.value, subject)
        for one in names
    )


def _key_id(data: bytes, certificate: Certificate) -> Matched | None:
    """A group name that is the certificate's organisational unit, its name, or its key's own id."""
    text = _text(data)
    if text and text in (*certificate.units, *certificate.attributes(NameOID.COMMON_NAME)):
        return Matched(in_subject=True)
    own = certificate.extension(x509.SubjectKeyIdentifier)
    return Matched() if own is not None and data and own.digest == data else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
