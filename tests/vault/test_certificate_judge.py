"""The certificate judge with a live revocation service: soft and hard, cached, in words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from culvert.effects import CertificateJudged, JudgeCertificate
from culvert.eventlog.event import LogEvent
from culvert.eventlog.vocabulary import vocabulary
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.revocation import Source
from culvert.identity.certificates.rules import Purpose, Rules, Strictness
from culvert.ike.wire.identity import FQDN, Identity
from culvert.netio.fetch import Fetcher, Targets
from culvert.vault.certificate_judge import CertificateJudge, judge
from culvert.vault.revocation import MOST_ANSWERS, Revocation
from identity.certificates.authority import DAY, NOW, Holder, issue, root
from netio.web import reply, server

HOST = Identity(FQDN, b"gw.example.org")
DIGEST = bytes(range(32))

Revoked = dict[int, datetime]


def revocation_list(issuer: Holder, revoked: Revoked, *, until: datetime = NOW + DAY) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.parsed.subject)
        .last_update(NOW - DAY)
        .next_update(until)
    )
    for serial, when in revoked.items():
        one = (
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(when)
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        )
        builder = builder.add_revoked_certificate(one.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def responder(
    issuer: Holder,
    peers: Callable[[], Sequence[Certificate]],
    revoked: Revoked,
    *,
    delegate: Holder | None = None,
    until: datetime | None = NOW + DAY,
) -> Callable[[bytes], bytes]:
    """An OCSP responder; ``delegate`` signs in the authority's place."""

    def answer(question: bytes) -> bytes:
        serial = ocsp.load_der_ocsp_request(question).serial_number
        about = next(one for one in peers() if one.parsed.serial_number == serial)
        bad = serial in revoked
        signer = delegate or issuer
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                about.parsed,
                issuer.certificate.parsed,
                hashes.SHA1(),  # noqa: S303
                ocsp.OCSPCertStatus.REVOKED if bad else ocsp.OCSPCertStatus.GOOD,
                NOW - timedelta(hours=1),
                until,
                revoked.get(serial),
                x509.ReasonFlags.superseded if bad else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate.parsed)
        )
        if delegate:
            builder = builder.certificates([delegate.certificate.parsed])
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return answer


@dataclass
class Service:
    """What the authority's web server has, and who asked."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    ask: Callable[[bytes], bytes] | None = None
    asked: list[str] = field(default_factory=list[str])
    port: int = 0

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {request.path}")
        if request.command == "POST" and self.ask is not None:
            question = request.rfile.read(int(request.headers["Content-Length"]))
            reply(self.ask(question))(request)
        elif request.path in self.files:
            reply(self.files[request.path])(request)
        else:
            reply(b"", 404)(request)


def places(service: Service, *kinds: str) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """Extensions that name the service."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if "crl" in kinds:
        name = x509.UniformResourceIdentifier(f"http://127.0.0.1:{service.port}/root.crl")
        point = x509.DistributionPoint([name], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    if "ocsp" in kinds:
        name = x509.UniformResourceIdentifier(f"http://127.0.0.1:{service.port}/ocsp")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, name)
        found.append((x509.AuthorityInformationAccess([access]), False))
    return tuple(found)


@contextmanager
def service() -> Iterator[Service]:
    made = Service()
    with server(made) as port:
        made.port = port
        yield made


@contextmanager
def asking() -> Iterator[Revocation]:
    fetcher = Fetcher(Targets.of(["127.0.0.1"]))

    def fetch(source: Source) -> bytes:
        kind = "application/ocsp-request" if source.question else ""
        return fetcher.fetch(source.url, body=source.question, kind=kind)

    try:
        yield Revocation(fetch)
    finally:
        fetcher.close()


def order(peer: Holder, *lists: bytes, ticket: int = 7) -> JudgeCertificate:
    return JudgeCertificate(
        ticket, (peer.der, *lists), HOST, DIGEST, peer.sign(DIGEST), "aa/bb", "192.0.2.1:500"
    )


def rules(strictness: Strictness) -> Rules:
    return Rules((root().certificate,), Purpose.GATEWAY, expected=(HOST,), revocation=strictness)


def peer_at(here: Service, *kinds: str) -> Holder:
    return issue("gw", root(), number=2, names=("gw.example.org",), extra=places(here, *kinds))


def word(
    peer: Holder, revocation: Revocation, strictness: Strictness, *lists: bytes, at: datetime = NOW
) -> tuple[CertificateJudged, tuple[LogEvent, ...]]:
    """Through the judge's threads, as a driver has it."""
    said: queue.Queue[tuple[CertificateJudged, Sequence[LogEvent]]] = queue.Queue()
    one = CertificateJudge(
        rules(strictness),
        revocation,
        lambda judged, events: said.put((judged, events)),
        wall=lambda: at,
    )
    one.judge(order(peer, *lists))
    judged, events = said.get(timeout=10)
    one.close()
    return judged, tuple(events)


def test_a_peer_that_is_good_is_accepted_and_told_of() -> None:
    with service() as here, asking() as revocation:
        here.files["/root.crl"] = revocation_list(root(), {})
        judged, events = word(peer_at(here, "crl"), revocation, Strictness.HARD)
    assert (judged.ticket, judged.accepted, judged.name) == (7, True, "gw")
    assert judged.warnings == ()
    assert [event.code for event in events] == ["certificate.fetched", "certificate.accepted"]


@pytest.mark.requirement("S2-130", part="revocation by CRL")
def test_a_withdrawn_certificate_is_refused_even_if_soft() -> None:
    with service() as here, asking() as revocation:
        peer = peer_at(here, "crl")
        serial = peer.certificate.parsed.serial_number
        here.files["/root.crl"] = revocation_list(root(), {serial: NOW - 2 * DAY})
        judged, events = word(peer, revocation, Strictness.SOFT)
    assert (judged.accepted, judged.cause, judged.reason) == (
        False,
        "revoked",
        "certificate-refused",
    )
    assert "2026-05-30" in judged.problem
    assert "key_compromise" in judged.problem or "keyCompromise" in judged.problem
    assert events[-1].code == "certificate.refused"


@pytest.mark.requirement("S2-130", part="revocation by OCSP")
@pytest.mark.parametrize("delegated", [False, True])
def test_ocsp_is_asked_first_and_believed_from_who_may_answer(delegated: bool) -> None:
    delegate = (
        issue("Responder", root(), number=4, extended=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        if delegated
        else None
    )
    with service() as here, asking() as revocation:
        peer = peer_at(here, "ocsp", "crl")
        here.ask = responder(root(), lambda: [peer.certificate], {}, delegate=delegate)
        judged, _ = word(peer, revocation, Strictness.HARD)
        assert judged.accepted
        assert here.asked == ["POST /ocsp"]
    with service() as here, asking() as revocation:
        peer = peer_at(here, "ocsp")
        bad = {peer.certificate.parsed.serial_number: NOW - DAY}
        here.ask = responder(root(), lambda: [peer.certificate], bad, delegate=delegate)
        judged, _ = word(peer, revocation, Strictness.SOFT)
        assert judged.cause == "revoked"


def test_an_answer_from_who_may_not_answer_is_no_answer() -> None:
    nobody = issue("Somebody", root(), number=4)
    with service() as here, asking() as revocation:
        peer = peer_at(here, "ocsp", "crl")
        here.ask = responder(root(), lambda: [peer.certificate], {}, delegate=nobody)
        here.files["/root.crl"] = revocation_list(root(), {})
        judged, _ = word(peer, revocation, Strictness.HARD)
        assert judged.accepted, "the list knows"
        assert here.asked == ["POST /ocsp", "GET /root.crl"]


@pytest.mark.parametrize("missing", ["nothing there", "not signed", "of yesterday", "rubbish"])
def test_not_knowing_is_a_warning_if_soft_and_a_refusal_if_hard(missing: str) -> None:
    false_root = issue("Root", ca=True, number=8)
    answers = {
        "not signed": revocation_list(false_root, {}),
        "of yesterday": revocation_list(root(), {}, until=NOW - timedelta(hours=1)),
        "rubbish": b"\x30\x03\x02\x01\x01",
    }
    for strictness, accepted in ((Strictness.SOFT, True), (Strictness.HARD, False)):
        with service() as here, asking() as revocation:
            if missing in answers:
                here.files["/root.crl"] = answers[missing]
            judged, events = word(peer_at(here, "crl"), revocation, strictness)
        assert judged.accepted is accepted
        assert "certificate.fetch-failed" in {event.code for event in events}
        if accepted:
            assert "could not be found out" in judged.warnings[0]
        else:
            assert judged.cause == "revocation-unknown"
            assert "soft" in judged.problem


def test_off_asks_nobody() -> None:
    with service() as here, asking() as revocation:
        judged, _ = word(peer_at(here, "crl", "ocsp"), revocation, Strictness.OFF)
        assert judged.accepted
        assert here.asked == []


def test_nobody_is_asked_about_strangers() -> None:
    with service() as here, asking() as revocation:
        stranger = issue("Else", ca=True, number=5)
        peer = issue("gw", stranger, number=2, names=("gw.example.org",), extra=places(here, "crl"))
        judged, _ = word(peer, revocation, Strictness.HARD)
        assert judged.cause == "unknown-issuer"
        assert here.asked == []


def test_nobody_is_asked_about_a_certificate_whose_owner_did_not_sign() -> None:
    with service() as here, asking() as revocation:
        peer = peer_at(here, "crl")
        forged = replace(order(peer), digest=bytes(32))
        judged, _ = judge(forged, rules(Strictness.HARD), revocation, at=NOW)
        assert judged.cause == "not-its-own"
        assert here.asked == []


def test_an_answer_is_kept_until_it_ends() -> None:
    with service() as here, asking() as revocation:
        here.files["/root.crl"] = revocation_list(root(), {}, until=NOW + timedelta(hours=2))
        peer = peer_at(here, "crl")
        for minutes in (0, 1, 119):
            judged, _ = word(peer, revocation, Strictness.HARD, at=NOW + timedelta(minutes=minutes))
            assert judged.accepted
        assert len(here.asked) == 1
        serial = peer.certificate.parsed.serial_number
        here.files["/root.crl"] = revocation_list(root(), {serial: NOW}, until=NOW + DAY)
        judged, _ = word(peer, revocation, Strictness.HARD, at=NOW + timedelta(minutes=121))
        assert judged.cause == "revoked"
        assert len(here.asked) == 2


def test_a_silent_service_is_left_in_peace_for_a_minute() -> None:
    with service() as here, asking() as revocation:
        peer = peer_at(here, "crl")
        for seconds in (0, 30, 59, 61):
            word(peer, revocation, Strictness.SOFT, at=NOW + timedelta(seconds=seconds))
        assert len(here.asked) == 2


def test_a_list_that_the_peer_brings_along_spares_the_way() -> None:
    with service() as here, asking() as revocation:
        judged, _ = word(
            peer_at(here, "crl"), revocation, Strictness.HARD, revocation_list(root(), {})
        )
        assert judged.accepted
        assert here.asked == []


def test_what_is_kept_is_bounded() -> None:
    asked: list[str] = []

    def fetch(source: Source) -> bytes:
        asked.append(source.url)
        return answer

    answer = revocation_list(root(), dict.fromkeys(range(1, 400), NOW - DAY))
    revocation = Revocation(fetch)
    peers = [many(number) for number in range(MOST_ANSWERS + 1)]
    for peer in peers:
        assert revocation.standing(peer, root().certificate, at=NOW).status.standing == "good"
    assert len(asked) == len(peers)
    revocation.standing(peers[-1], root().certificate, at=NOW)
    assert len(asked) == len(peers), "the last is kept"
    revocation.standing(peers[0], root().certificate, at=NOW)
    assert len(asked) == len(peers) + 1, "the first had to go"


def many(number: int) -> Certificate:
    """A certificate that names a place of its own."""
    name = x509.UniformResourceIdentifier(f"http://crl{number:05}.example/")
    point = x509.DistributionPoint([name], None, None, None)
    extra = ((x509.CRLDistributionPoints([point]), False),)
    return issue("gw", root(), number=2, extra=extra).certificate


def test_too_many_at_once_are_refused_without_waiting() -> None:
    release, said = threading.Event(), list[CertificateJudged]()

    def fetch(source: Source) -> bytes:
        release.wait(10)
        return b""

    with service() as here:
        peer = peer_at(here, "crl")
    one = CertificateJudge(
        rules(Strictness.SOFT),
        Revocation(fetch),
        lambda judged, _: said.append(judged),
        threads=1,
        queue=2,
        wall=lambda: NOW,
    )
    for ticket in range(3):
        one.judge(order(peer, ticket=ticket))
    assert [(judged.ticket, judged.cause) for judged in said] == [(2, "busy")]
    release.set()
    one.close()


def test_every_event_of_the_judge_has_its_fields() -> None:
    with service() as here, asking() as revocation:
        for strictness in Strictness:
            for event in word(peer_at(here, "crl"), revocation, strictness)[1]:
                assert set(vocabulary()[event.code].fields) <= event.fields.keys()
