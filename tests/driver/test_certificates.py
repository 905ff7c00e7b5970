"""The certificate office: signatures and words about certificates on a running loop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from culvert.driver.certificates import CertificateOffice
from culvert.effects import CertificateJudged, JudgeCertificate, Sign, Signed
from culvert.eventlog.event import LogEvent
from culvert.identity.certificates.rules import Purpose, Rules, Strictness
from culvert.identity.certificates.signature import verified
from culvert.ike.wire.identity import FQDN, Identity
from culvert.vault.credential import Contents, credential
from culvert.vault.trust import Trust
from identity.certificates.authority import Holder, issue
from netio.web import reply, server

NOW = datetime.now(UTC).replace(microsecond=0)
VALID: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=365)}
HOST = Identity(FQDN, b"gw.example.org")
DIGEST = bytes(range(20))


def made() -> tuple[Holder, Holder]:
    root = issue("Root", ca=True, number=0, **VALID)
    return root, issue("me", root, number=3, **VALID)


def trust(**more: Any) -> Trust:
    root, me = made()
    own = credential("own", Contents((me.certificate, root.certificate), me.key))
    rules = Rules((root.certificate,), Purpose.GATEWAY, expected=(HOST,), **more)
    return Trust(rules, own, ("127.0.0.1",))


def peer_naming(url: str) -> Holder:
    name = x509.UniformResourceIdentifier(url)
    point = x509.DistributionPoint([name], None, None, None)
    extra = ((x509.CRLDistributionPoints([point]), False),)
    return issue("gw", made()[0], number=2, names=("gw.example.org",), extra=extra, **VALID)


def order(peer: Holder, ticket: int = 1) -> JudgeCertificate:
    return JudgeCertificate(
        ticket, (peer.der,), HOST, DIGEST, peer.sign(DIGEST), "aa/bb", "192.0.2.1:500"
    )


def judged(peer: Holder, given: Trust) -> tuple[CertificateJudged, list[LogEvent]]:
    events: list[LogEvent] = []

    async def play() -> CertificateJudged:
        office = CertificateOffice(given, events.append)
        try:
            return await office.judge(order(peer))
        finally:
            await asyncio.to_thread(office.close)

    return asyncio.run(play()), events


def test_what_is_signed_is_verified_by_the_own_certificate() -> None:
    given = trust()

    async def play() -> Signed:
        office = CertificateOffice(given, lambda event: None)
        try:
            return await office.sign(Sign(5, "own", DIGEST, "aa/bb"))
        finally:
            await asyncio.to_thread(office.close)

    signed = asyncio.run(play())
    assert given.own is not None
    key = given.own.chain[0].rsa_key
    assert key is not None
    assert verified(key, DIGEST, signed.signature)
    assert [one.name for one in given.own.chain] == ["me"], "a root is not sent"
    assert given.requests == (made()[0].certificate.parsed.subject.public_bytes(),)


def test_a_list_is_fetched_from_a_listed_address_and_from_no_other() -> None:
    root, _ = made()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.certificate.parsed.subject)
        .last_update(NOW - timedelta(hours=1))
        .next_update(NOW + timedelta(days=1))
    )
    octets = builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)
    hard = trust(revocation=Strictness.HARD)
    with server(reply(octets)) as port:
        peer = peer_naming(f"http://127.0.0.1:{port}/root.crl")
        word, events = judged(peer, hard)
        assert word.accepted, word.problem
        assert [event.code for event in events] == ["certificate.fetched", "certificate.accepted"]
        word, events = judged(peer, replace(hard, fetch_targets=()))
    assert word.cause == "revocation-unknown"
    assert "not listed in fetch_targets" in word.problem
    assert [event.code for event in events] == ["certificate.fetch-failed", "certificate.refused"]


def test_many_at_once_get_their_own_answers() -> None:
    peer, stranger = peer_naming("http://127.0.0.1:1/"), issue("gw", number=9, **VALID)

    async def play() -> list[CertificateJudged]:
        office = CertificateOffice(trust(), lambda event: None)
        try:
            asked = [order(stranger if n % 3 == 0 else peer, n) for n in range(30)]
            return await asyncio.gather(*(office.judge(one) for one in asked))
        finally:
            await asyncio.to_thread(office.close)

    for number, word in enumerate(asyncio.run(play())):
        assert (word.ticket, word.accepted) == (number, number % 3 != 0)
