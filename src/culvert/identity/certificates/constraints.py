"""Names that an authority may issue certificates for (name constraints, RFC 5280 §4.2.1.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509
from cryptography.x509.oid import NameOID

from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.reason import Untrusted

MOST_COMPARISONS = 4096
"""Names times limits in one check; a real certificate has a few of each."""

COMPARED = frozenset(
    {
        x509.DNSName,
        x509.RFC822Name,
        x509.DirectoryName,
        x509.IPAddress,
        x509.UniformResourceIdentifier,
    }
)
"""Kinds of names that are compared; a limit on names of any other kind forbids them all."""


def check(one: Certificate, authority: Certificate, limits: x509.NameConstraints) -> None:
    """Raises Untrusted if ``one`` has a name that ``authority`` may not certify."""
    permitted = list(limits.permitted_subtrees or ())
    excluded = list(limits.excluded_subtrees or ())
    names = list(_names(one))
    if len(names) * (len(permitted) + len(excluded)) > MOST_COMPARISONS:
        raise _refused(one, authority, f"{len(names)} names")
    for name in names:
        if type(name) not in COMPARED and any(type(limit) is type(name) for limit in excluded):
            raise _refused(one, authority, name)
        if any(_within(name, limit) for limit in excluded):
            raise _refused(one, authority, name.value)
        fitting = [limit for limit in permitted if type(limit) is type(name)]
        if fitting and not any(_within(name, limit) for limit in fitting):
            raise _refused(one, authority, name.value)


def _refused(one: Certificate, authority: Certificate, name: object) -> Untrusted:
    shown = name.rfc4514_string() if isinstance(name, x509.Name) else str(name)
    return Untrusted(
        "name-not-permitted", authority=authority.subject, subject=one.subject, name=shown
    )


def _names(one: Certificate) -> Iterator[x509.GeneralName]:
    """Its names of every kind; mail addresses of old stand in the subject."""
    if list(one.parsed.subject):
        yield x509.DirectoryName(one.parsed.subject)
    yield from one.alternative
    if not any(isinstance(name, x509.RFC822Name) for name in one.alternative):
        for text in one.attributes(NameOID.EMAIL_ADDRESS):
            try:
                yield x509.RFC822Name(text)
            except ValueError:
                raise Untrusted("unreadable", problem="its mail address is no ASCII text") from None


def _within(name: x509.GeneralName, limit: x509.GeneralName) -> bool:
    match name, limit:
        case x509.DNSName(), x509.DNSName():
            return _domain_within(name.value, limit.value)
        case x509.RFC822Name(), x509.RFC822Name():
            return _mail_within(name.value, limit.value)
        case x509.DirectoryName(), x509.DirectoryName():
            return _starts_with(name.value.rdns, limit.value.rdns)
        case x509.IPAddress(), x509.IPAddress():
            address, network = name.value, limit.value
            return (
                isinstance(network, IPv4Network | IPv6Network)
                and isinstance(address, IPv4Address | IPv6Address)
                and address in network
            )
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _mail_within(f"@{_host(name.value)}", limit.value)
        case _:
            return False


def _domain_within(name: str, limit: str) -> bool:
    name, limit = name.lower().rstrip("."), limit.lower().strip(".")
    return not limit or name == limit or name.endswith(f".{limit}")


def _mail_within(name: str, limit: str) -> bool:
    """A limit is a mailbox, a host, or with a leading dot everything below a domain."""
    name, limit = name.lower(), limit.lower()
    host = name.rpartition("@")[2]
    if "@" in limit:
        return name == limit
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _host(uri: str) -> str:
    return uri.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]


def _starts_with(
    name: Iterable[x509.RelativeDistinguishedName], limit: Iterable[x509.RelativeDistinguishedName]
) -> bool:
    whole, start = list(name), list(limit)
    return whole[: len(start)] == start
