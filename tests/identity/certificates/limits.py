"""Extensions with many parts, for certificates that are to be changed octet by octet."""

from __future__ import annotations

from ipaddress import ip_network

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

Extras = tuple[tuple[x509.ExtensionType, bool], ...]

LIMITS: Extras = (
    (
        x509.NameConstraints(
            [x509.DNSName("example.org"), x509.IPAddress(ip_network("192.0.2.0/24"))],
            [x509.RFC822Name("example.com")],
        ),
        True,
    ),
)

_LIST = x509.UniformResourceIdentifier("http://crl.example.org/root.crl")
_OCSP = x509.UniformResourceIdentifier("http://ocsp.example.org/")

PLACES: Extras = (
    (x509.CRLDistributionPoints([x509.DistributionPoint([_LIST], None, None, None)]), False),
    (
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _OCSP)]
        ),
        False,
    ),
)
