"""Certificates with octets changed: read or refused, never anything else, never for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.identity.certificates.certificate import receive
from culvert.identity.certificates.proof import Claim, prove
from culvert.identity.certificates.reason import Untrusted
from culvert.identity.certificates.revocation import Standing, decide_list, decide_ocsp, sources
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.ike.wire.identity import FQDN, Identity
from identity.certificates.authority import NOW, SERVER, issue, middle, root
from identity.certificates.limits import LIMITS, PLACES

DIGEST = bytes(20)
RULES = Rules((root().certificate,), Purpose.GATEWAY)
PEER = issue("gw", middle(), number=2, names=("gw.example.org",), extended=SERVER, extra=PLACES)
LIMITED = issue("Middle", root(), number=1, ca=True, pathlen=0, extra=LIMITS)
SIGNATURE = PEER.sign(DIGEST)
HOST = Identity(FQDN, b"gw.example.org")

changes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


def changed(octets: bytes, at: list[tuple[int, int]]) -> bytes:
    made = bytearray(octets)
    for place, value in at:
        made[place % len(made)] = value
    return bytes(made)


def judged(payloads: tuple[bytes, ...]) -> bool:
    try:
        prove(Claim(payloads, HOST, DIGEST, SIGNATURE), RULES, at=NOW)
    except Untrusted as error:
        assert error.sentence
        assert error.action
        return False
    return True


def test_the_unchanged_ones_are_accepted() -> None:
    assert judged((PEER.der, LIMITED.der))


@given(changes, changes)
def test_a_changed_certificate_is_refused_in_words(
    peer: list[tuple[int, int]], authority: list[tuple[int, int]]
) -> None:
    other = (changed(PEER.der, peer), changed(LIMITED.der, authority))
    if other[0] != PEER.der:
        assert not judged((other[0], LIMITED.der))
    if other[1] != LIMITED.der:
        assert not judged((PEER.der, other[1]))
    judged(other)


@given(changes)
def test_a_changed_certificate_has_readable_places_or_none(at: list[tuple[int, int]]) -> None:
    try:
        found = receive((changed(PEER.der, at),)).certificates
    except Untrusted:
        return
    for one in found:
        try:
            sources(one, middle().certificate)
        except ValueError:
            raise AssertionError("places that cannot be read were let in") from None
        assert one.names
        assert one.units == one.units


@given(st.binary(max_size=600))
def test_no_octets_are_an_answer(octets: bytes) -> None:
    for decide in (decide_list, decide_ocsp):
        status = decide(octets, PEER.certificate, middle().certificate, at=NOW)
        assert status.standing is Standing.UNKNOWN
        assert status.why
