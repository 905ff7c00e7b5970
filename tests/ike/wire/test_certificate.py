"""CERT and CERTREQ payloads: read back as written, and nothing taken for a certificate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.wire.certificate import (
    CRL,
    PKCS7,
    READABLE,
    X509_SIGNATURE,
    certificate_parts,
    certificates,
    request_parts,
    requested,
)
from culvert.ike.wire.payload import CERT, CERTREQ, NONCE, Part

CONTENTS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(CONTENTS)
def test_certificates_written_are_read_back_in_their_order(chain: list[bytes]) -> None:
    assert certificates(certificate_parts(chain)) == tuple(chain)


@given(CONTENTS)
def test_requests_written_are_read_back(names: list[bytes]) -> None:
    parts = request_parts([b"", *names])
    assert all(part.body[0] == X509_SIGNATURE for part in parts)
    assert requested(parts) == (b"", *names)


def test_no_request_and_a_request_for_anything_are_not_the_same() -> None:
    assert requested((Part(NONCE, b"x"),)) is None
    assert requested((Part(CERTREQ, bytes((X509_SIGNATURE,))),)) == (b"",)
    assert requested((Part(CERTREQ, b"\x02whatever"),)) == ()


@given(st.integers(0, 255), st.binary(max_size=10))
def test_only_readable_encodings_with_something_in_them_are_certificates(
    encoding: int, content: bytes
) -> None:
    found = certificates((Part(CERT, b""), Part(CERT, bytes((encoding,)) + content)))
    assert found == ((content,) if encoding in READABLE and content else ())


def test_bundles_and_revocation_lists_are_handed_on() -> None:
    parts = [Part(CERT, bytes((encoding,)) + b"der") for encoding in (PKCS7, X509_SIGNATURE, CRL)]
    assert certificates(parts) == (b"der", b"der", b"der")
