"""The whole judgement of a peer's certificate: one certificate per rule that it can break."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from culvert.identity.certificates.proof import Claim, Proven, prove
from culvert.identity.certificates.reason import Untrusted
from culvert.identity.certificates.rules import MD5, RSA1024, SHA1, Purpose, Rules
from culvert.ike.wire.identity import FQDN, Identity
from identity.certificates.authority import (
    DAY,
    NOW,
    SERVER,
    Holder,
    general,
    issue,
    middle,
    root,
    rsa_key,
)

DIGEST = bytes(range(20))
HOST = Identity(FQDN, b"gw.example.org")
NAMES = ("gw.example.org",)


def rules(*authorities: Holder, legacy: frozenset[str] = frozenset()) -> Rules:
    trusted = tuple(one.certificate for one in authorities)
    return Rules(trusted, Purpose.GATEWAY, expected=(HOST,), legacy=legacy)


def claim(peer: Holder, *others: Holder, identity: Identity = HOST) -> Claim:
    payloads = tuple(one.der for one in (peer, *others))
    return Claim(payloads, identity, DIGEST, peer.sign(DIGEST))


def proven(peer: Holder, *others: Holder, legacy: frozenset[str] = frozenset()) -> Proven:
    return prove(claim(peer, *others), rules(root(), legacy=legacy), at=NOW)


def refusal(peer: Holder, *others: Holder) -> Untrusted:
    with pytest.raises(Untrusted) as caught:
        proven(peer, *others)
    return caught.value


def gateway(issuer: Holder | None = None, **more: object) -> Holder:
    given: dict[str, Any] = {"number": 2, "names": NAMES, **more}
    return issue("gw", issuer or middle(), **given)


def test_a_sound_chain_is_accepted_in_any_order() -> None:
    peer = gateway(extended=SERVER, usage=("digital_signature",))
    for others in ((middle(), root()), (root(), middle()), (middle(),)):
        found = proven(peer, *others)
        assert [one.name for one in found.path] == ["gw", "Middle", "Root"]
        assert found.warnings == ()
    last = Claim((root().der, middle().der, peer.der), HOST, DIGEST, peer.sign(DIGEST))
    assert prove(last, rules(root()), at=NOW).peer == peer.certificate


def test_strangers_among_the_certificates_do_not_matter() -> None:
    stranger = issue("Somebody", number=5, names=("else.example.org",))
    same_name = issue("Middle", number=6, ca=True)
    assert proven(gateway(), stranger, same_name, middle()).peer.name == "gw"


def test_an_authority_that_was_not_sent_may_be_known_here() -> None:
    assert refusal(gateway()).cause == "unknown-issuer"
    knowing = replace(rules(root()), known=(middle().certificate,))
    assert len(prove(claim(gateway()), knowing, at=NOW).path) == 3


def test_certificates_within_pkcs7_are_read() -> None:
    peer = gateway()
    bundle = pkcs7.serialize_certificates(
        [peer.certificate.parsed, middle().certificate.parsed], Encoding.DER
    )
    bundled = Claim((bundle,), HOST, DIGEST, peer.sign(DIGEST))
    assert prove(bundled, rules(root()), at=NOW).peer == peer.certificate


def test_a_certificate_that_is_configured_itself_needs_no_authority() -> None:
    alone = issue("gw", number=2, names=NAMES)
    assert refusal(alone).cause == "self-signed"
    assert alone.certificate.fingerprint in refusal(alone).action
    assert prove(claim(alone), rules(alone), at=NOW).path == (alone.certificate,)
    silent = Claim((), HOST, DIGEST, alone.sign(DIGEST))
    assert prove(silent, rules(alone), at=NOW).peer == alone.certificate


def test_nothing_sent_and_nobody_trusted_are_told_apart() -> None:
    with pytest.raises(Untrusted) as nothing:
        prove(Claim((), HOST, DIGEST, bytes(256)), rules(root()), at=NOW)
    assert nothing.value.cause == "none-sent"
    with pytest.raises(Untrusted) as nobody:
        prove(claim(gateway(), middle()), rules(), at=NOW)
    assert nobody.value.cause == "no-authority"


def test_a_certificate_without_its_key_proves_nothing() -> None:
    thief = claim(gateway(), middle())
    forged = replace(thief, signature=issue("thief", number=7).sign(DIGEST))
    with pytest.raises(Untrusted) as caught:
        prove(forged, rules(root()), at=NOW)
    assert caught.value.cause == "not-its-own"
    other_digest = replace(thief, digest=bytes(20))
    with pytest.raises(Untrusted) as caught:
        prove(other_digest, rules(root()), at=NOW)
    assert caught.value.cause == "not-its-own"


def test_an_issuer_of_the_right_name_and_wrong_key_is_refused() -> None:
    false_root = issue("Root", ca=True, number=8)
    assert refusal(gateway(false_root)).cause == "wrong-signature"


def test_dates_count_for_every_certificate_on_the_way() -> None:
    old: dict[str, Any] = {"since": NOW - 10 * DAY, "until": NOW - DAY}
    late = issue("Middle", root(), ca=True, number=1, since=NOW - 10 * DAY, until=NOW - DAY)
    assert refusal(gateway(**old), middle()).cause == "expired"
    assert refusal(gateway(**old), middle()).ending == "certificate-expired"
    assert refusal(gateway(late), late).facts["subject"] == late.certificate.subject
    future = refusal(gateway(since=NOW + DAY), middle())
    assert future.cause == "not-yet-valid"
    assert "clock" in future.action
    assert proven(gateway(since=NOW + timedelta(minutes=4)), middle())


def test_a_certificate_about_to_expire_is_warned_of() -> None:
    found = proven(gateway(until=NOW + 10 * DAY), middle())
    assert [one.cause for one in found.warnings] == ["expires-soon"]
    assert "10 more days" in found.warnings[0].sentence


def test_only_authorities_issue() -> None:
    peer = issue("peer", middle(), number=3)
    assert refusal(gateway(peer), peer, middle()).cause == "not-an-authority"
    signs_no_certificates = issue("Middle", root(), ca=True, number=1, usage=("crl_sign",))
    refused = refusal(gateway(signs_no_certificates), signs_no_certificates)
    assert refused.cause == "not-an-authority"


def test_no_more_authorities_than_allowed_stand_in_between() -> None:
    tight = issue("Tight", root(), ca=True, number=1, pathlen=0)
    below = issue("Below", tight, ca=True, number=3)
    assert proven(gateway(tight), tight)
    assert refusal(gateway(below), below, tight).cause == "path-too-long"


def test_what_a_certificate_is_for_counts() -> None:
    mail = gateway(extended=(ExtendedKeyUsageOID.EMAIL_PROTECTION,))
    refused = refusal(mail, middle())
    assert refused.cause == "wrong-usage"
    assert "emailProtection" in refused.sentence
    assert refusal(gateway(usage=("key_encipherment",)), middle()).cause == "wrong-usage"
    client = gateway(extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert refusal(client, middle()).cause == "wrong-usage"
    as_client = replace(rules(root()), purpose=Purpose.CLIENT)
    assert prove(claim(client, middle()), as_client, at=NOW)
    for usage in ("1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.8.2.2", "2.5.29.37.0"):
        assert proven(gateway(extended=(x509.ObjectIdentifier(usage),)), middle())


@pytest.mark.requirement("S2-130", part="weak keys")
def test_weak_keys_need_a_switch_and_are_labelled() -> None:
    short = gateway(number=20, bits=1024)
    refused = refusal(short, middle())
    assert refused.cause == "weak-key"
    assert RSA1024 in refused.action
    found = proven(short, middle(), legacy=frozenset({RSA1024}))
    assert [one.cause for one in found.warnings] == ["weak-key"]


@pytest.mark.parametrize(("digest", "switch"), [("md5", MD5), ("sha1", SHA1)])
def test_weak_hashes_need_a_switch_and_are_labelled(digest: str, switch: str) -> None:
    old = gateway(digest=digest)
    refused = refusal(old, middle())
    assert refused.cause == "weak-hash"
    assert switch in refused.action
    found = proven(old, middle(), legacy=frozenset({switch}))
    assert [one.cause for one in found.warnings] == ["weak-hash"]


def test_the_hash_on_a_root_is_nobodys_concern() -> None:
    old_root = issue("Old root", ca=True, number=9, digest="sha1")
    peer = gateway(old_root)
    assert prove(claim(peer), rules(old_root), at=NOW).warnings == ()


def test_an_unknown_critical_extension_is_obeyed_by_refusing() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert refusal(gateway(extra=((strange, True),)), middle()).cause == "unknown-critical"
    assert proven(gateway(extra=((strange, False),)), middle())


@pytest.mark.parametrize(
    ("permitted", "excluded", "fine"),
    [
        (("example.org",), (), True),
        (("example.com",), (), False),
        ((), ("gw.example.org",), False),
        ((), ("example.com",), True),
        (("10.0.0.0/8",), (), True),
    ],
)
def test_an_authority_issues_only_for_names_it_may(
    permitted: tuple[str, ...], excluded: tuple[str, ...], fine: bool
) -> None:
    def trees(names: tuple[str, ...]) -> list[x509.GeneralName] | None:
        return [limit(one) for one in names] or None

    limits = x509.NameConstraints(trees(permitted), trees(excluded))
    limited = issue("Limited", root(), ca=True, number=1, extra=((limits, True),))
    if fine:
        assert proven(gateway(limited), limited)
    else:
        assert refusal(gateway(limited), limited).cause == "name-not-permitted"


def limit(text: str) -> x509.GeneralName:
    from ipaddress import ip_network

    return x509.IPAddress(ip_network(text)) if "/" in text else general(text)


def test_no_maze_of_issuers_takes_long() -> None:
    same = [issue("Middle", root(), ca=True, number=10 + n % 3) for n in range(10)]
    loop = [issue("Root", one, ca=True, number=11) for one in same[:1]]
    refused = refusal(gateway(middle()), *same, *loop)
    assert refused.cause in ("wrong-signature", "unknown-issuer")


def test_too_much_is_not_looked_at() -> None:
    peer = gateway()
    heap = Claim((peer.der,) * 13, HOST, DIGEST, peer.sign(DIGEST))
    with pytest.raises(Untrusted) as caught:
        prove(heap, rules(root()), at=NOW)
    assert caught.value.cause == "too-much"
    with pytest.raises(Untrusted) as caught:
        prove(replace(heap, payloads=(bytes(70_000),)), rules(root()), at=NOW)
    assert caught.value.cause == "too-much"


def test_signatures_with_the_name_of_a_hash_are_not_ikes() -> None:
    """RFC 2409 §5.1: no DigestInfo; taking both would let other signatures pass as IKE's."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    peer = gateway()
    signature = rsa_key(2).sign(DIGEST, PKCS1v15(), Prehashed(hashes.SHA1()))  # noqa: S303
    with pytest.raises(Untrusted) as caught:
        prove(replace(claim(peer, middle()), signature=signature), rules(root()), at=NOW)
    assert caught.value.cause == "not-its-own"
