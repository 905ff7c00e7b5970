"""An IKE identity against the names in a certificate: every kind."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from culvert.identity.certificates.match import check_identity, match
from culvert.identity.certificates.names import identity_from, name_of, same_name, spoken
from culvert.identity.certificates.reason import Untrusted
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.ike.wire.identity import (
    DER_ASN1_DN,
    FQDN,
    IPV4_ADDR,
    IPV4_ADDR_SUBNET,
    IPV6_ADDR,
    KEY_ID,
    USER_FQDN,
    Identity,
)
from identity.certificates.authority import general, issue, subject

GROUP = subject("gw.old.example", "Sales", mail="old@example.org")
KEY_OF_IT = x509.SubjectKeyIdentifier(b"\x01\x02\x03\x04")
NEW = issue(
    subject("Gateway", "Sales"),
    number=2,
    names=("gw.example.org", "gw@Example.org", "192.0.2.7", "2001:db8::7"),
    extra=((KEY_OF_IT, False),),
).certificate
OLD = issue(GROUP, number=2).certificate
ADDRESS = issue(subject("192.0.2.9"), number=2).certificate


def net(text: str) -> Identity:
    return Identity.of_network(ip_network(text))


def span(kind: int, first: str, last: str) -> Identity:
    return Identity(kind, ip_address(first).packed + ip_address(last).packed)


def general_name(text: str) -> Identity:
    """A GeneralName's own octets, cut out of an extension."""
    octets = x509.SubjectAlternativeName([general(text)]).public_bytes()
    return Identity(10, octets[2:])


FITTING = [
    Identity(FQDN, b"gw.example.org"),
    Identity(FQDN, b"GW.example.ORG."),
    Identity(USER_FQDN, b"gw@example.org"),
    Identity.of_address("192.0.2.7"),
    Identity.of_address("2001:db8::7"),
    net("192.0.2.0/24"),
    net("2001:db8::/64"),
    span(7, "192.0.2.1", "192.0.2.9"),
    span(8, "2001:db8::1", "2001:db8::9"),
    Identity(DER_ASN1_DN, subject("Gateway", "Sales").public_bytes()),
    Identity(DER_ASN1_DN, subject("GATEWAY", "sales").public_bytes()),
    general_name("gw.example.org"),
    general_name("192.0.2.7"),
    Identity(KEY_ID, b"Sales"),
    Identity(KEY_ID, b"Gateway"),
    Identity(KEY_ID, b"\x01\x02\x03\x04"),
]

NOT_FITTING = [
    Identity(FQDN, b"example.org"),
    Identity(FQDN, b"a.gw.example.org"),
    Identity(FQDN, b"*.example.org"),
    Identity(FQDN, b"gw.old.example"),
    Identity(FQDN, b""),
    Identity(FQDN, b"\xff\xfe"),
    Identity(USER_FQDN, b"GW@example.org"),
    Identity(USER_FQDN, b"gw"),
    Identity.of_address("192.0.2.8"),
    Identity.of_address("2001:db8::8"),
    net("198.51.100.0/24"),
    Identity(IPV4_ADDR, b"\xc0\x00\x02"),
    Identity(IPV4_ADDR_SUBNET, ip_address("192.0.2.0").packed + b"\xff\x00\xff\x00"),
    Identity(IPV6_ADDR, ip_address("192.0.2.7").packed),
    span(7, "192.0.2.8", "192.0.2.9"),
    span(7, "192.0.2.9", "192.0.2.1"),
    Identity(7, b"\x00"),
    Identity(8, bytes(8)),
    Identity(DER_ASN1_DN, subject("Gateway").public_bytes()),
    Identity(DER_ASN1_DN, subject("Gateway", "Sales").public_bytes() + b"\x00"),
    Identity(DER_ASN1_DN, b""),
    Identity(DER_ASN1_DN, b"\x30\x00"),
    Identity(DER_ASN1_DN, bytes(70_000)),
    general_name("other.example.org"),
    Identity(10, b""),
    Identity(10, bytes(70_000)),
    Identity(KEY_ID, b"sales people"),
    Identity(KEY_ID, b""),
    Identity(0, b"gw.example.org"),
    Identity(200, b"gw.example.org"),
]


@pytest.mark.parametrize("identity", FITTING, ids=spoken)
def test_these_are_borne_out(identity: Identity) -> None:
    assert match(identity, NEW) is not None


@pytest.mark.parametrize("identity", NOT_FITTING, ids=lambda one: spoken(one)[:60] or "empty")
def test_these_are_not(identity: Identity) -> None:
    assert match(identity, NEW) is None


def test_names_of_old_stand_in_the_subject() -> None:
    for identity in (Identity(FQDN, b"gw.old.example"), Identity(USER_FQDN, b"old@example.org")):
        found = match(identity, OLD)
        assert found is not None
        assert found.in_subject
    found = match(Identity.of_address("192.0.2.9"), ADDRESS)
    assert found is not None
    assert found.in_subject


RULES = Rules((), Purpose.GATEWAY, expected=(Identity(FQDN, b"gw.example.org"),))


def test_whoever_was_expected_is_fine_under_any_of_its_names() -> None:
    assert check_identity(Identity(FQDN, b"gw.example.org"), NEW, RULES) == []
    assert check_identity(Identity.of_address("192.0.2.7"), NEW, RULES) == []
    own_name = Identity(DER_ASN1_DN, NEW.parsed.subject.public_bytes())
    assert check_identity(own_name, NEW, RULES) == []


def test_another_one_is_refused_with_both_names() -> None:
    other = replace(RULES, expected=(Identity(FQDN, b"gw.example.com"),))
    with pytest.raises(Untrusted) as caught:
        check_identity(Identity(FQDN, b"gw.example.org"), NEW, other)
    assert caught.value.cause == "unexpected-identity"
    assert caught.value.ending == "id-refused"
    assert "gw.example.org" in caught.value.sentence
    assert "gw.example.com" in caught.value.sentence


def test_a_name_that_the_certificate_lacks_is_refused_with_both() -> None:
    with pytest.raises(Untrusted) as caught:
        check_identity(Identity(FQDN, b"liar.example.org"), NEW, RULES)
    assert caught.value.cause == "wrong-identity"
    assert "liar.example.org" in caught.value.sentence
    assert "gw.example.org" in caught.value.sentence


def test_unverified_names_are_warned_of() -> None:
    careless = replace(RULES, verify_identity=False)
    (warning,) = check_identity(Identity(FQDN, b"liar.example.org"), NEW, careless)
    assert warning.cause == "identity-not-checked"
    assert "liar.example.org" in warning.sentence
    assert check_identity(Identity(FQDN, b"gw.example.org"), NEW, careless) == []


def test_a_gateway_takes_whoever_the_certificate_says() -> None:
    anybody = replace(RULES, expected=())
    assert check_identity(Identity(KEY_ID, b"\x01\x02\x03\x04"), NEW, anybody) == []
    (warning,) = check_identity(Identity(KEY_ID, b"Sales"), NEW, anybody)
    assert warning.cause == "name-in-subject"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("192.0.2.1", 1),
        ("2001:db8::1", 5),
        ("gw.example.org", 2),
        ("me@example.org", 3),
        ("CN=gw,O=Acme", 9),
        ("@Sales", 11),
    ],
)
def test_people_write_identities_as_they_are_shown(text: str, kind: int) -> None:
    identity = identity_from(text)
    assert identity.kind == kind
    shown = spoken(identity).removesuffix("/32").removesuffix("/128")
    assert shown == text.removeprefix("@")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is no name such as CN=gw"):
        identity_from("XX=unknown")


@given(st.binary(max_size=300), st.integers(0, 12))
def test_no_octets_get_more_than_an_answer(octets: bytes, kind: int) -> None:
    identity = Identity(kind, octets)
    match(identity, NEW)
    assert isinstance(spoken(identity), str)


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text))
def test_a_name_is_the_same_as_itself(text: str) -> None:
    try:
        name, other = subject(text), subject(f" {text.upper()}  ")
    except ValueError:  # 64 octets at the most
        return
    read = name_of(name.public_bytes())
    assert read is not None
    assert same_name(read, name)
    assert same_name(read, other) or text.upper().lower() != text.lower()
