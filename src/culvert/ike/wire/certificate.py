"""CERT and CERTREQ payloads (RFC 2408 §3.9, §3.10): encoding | certificate, or name of an
authority."""

from __future__ import annotations

from collections.abc import Iterable

from culvert.ike.wire.payload import CERT, CERTREQ, Chain, Part, of_kind

PKCS7 = 1
X509_SIGNATURE = 4
X509_KEY_EXCHANGE = 5
CRL = 7

READABLE = frozenset((PKCS7, X509_SIGNATURE, X509_KEY_EXCHANGE, CRL))


def certificate_parts(chain: Iterable[bytes]) -> Chain:
    """A payload for each, the end's own first."""
    return tuple([Part(CERT, bytes((X509_SIGNATURE,)) + der) for der in chain])


def certificates(parts: Iterable[Part]) -> tuple[bytes, ...]:
    """What the CERT payloads hold, in their order; encodings that nobody reads are left out, and
    so are the empty ones of hybrid clients."""
    found: list[bytes] = []
    for part in of_kind(parts, CERT):
        if not part.body:
            continue
        cursor = part.cursor()
        encoding = cursor.u8("certificate encoding")
        content = cursor.rest()
        if encoding in READABLE and content:
            found.append(content)
    return tuple(found)


def request_parts(authorities: Iterable[bytes]) -> Chain:
    """A payload for each authority, by its name in DER; an empty name stands for any."""
    return tuple([Part(CERTREQ, bytes((X509_SIGNATURE,)) + name) for name in authorities])


def requested(parts: Iterable[Part]) -> tuple[bytes, ...] | None:
    """The authorities of which the peer would take a certificate; None: it does not ask for one.

    An empty name among them stands for any.
    """
    found: list[bytes] = []
    asked = False
    for part in of_kind(parts, CERTREQ):
        asked = True
        cursor = part.cursor()
        encoding = cursor.u8("certificate encoding")
        name = cursor.rest()
        if encoding in READABLE:
            found.append(name)
    return tuple(found) if asked else None
