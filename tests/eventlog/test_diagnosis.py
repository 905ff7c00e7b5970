"""Diagnoses: each has a sequence of events that calls for it, and a near one that does not."""

from __future__ import annotations

import pytest

from culvert.eventlog.diagnosis import diagnose, diagnoses
from culvert.eventlog.entry import Entry
from culvert.eventlog.vocabulary import vocabulary
from culvert.eventlog.wording import UNKNOWN, reasons
from culvert.identity.verdict import Cause
from eventlog.samples import (
    ANSWERED,
    ASKED_AT_THE_GATEWAY,
    AT_THE_GATEWAY,
    CALLER,
    CONNECTING,
    GIVEN,
    GOOD,
    LOGIN,
    PEER,
    STARTED,
    TWO_PAIRS,
    Happening,
    client,
    down,
    ended,
    gateway,
)

NO_ANSWER: Happening = (30.0, "ike.no-answer", {"peer": PEER, "attempts": 5, "seconds": 30.0})
UP = GOOD[-1]
WHO = {"user": "ann", "group": "sales", "source": CALLER}
PLAIN = tuple(one for one in ANSWERED if not one[1].startswith("ike.nat"))
NO_NAMES: Happening = (
    16.0,
    "client.dns-not-public",
    {"server": "192.168.2.53", "name": "example.com", "problem": "no answer"},
)
NO_LEASE: Happening = (
    0.2,
    "client.lease-failed",
    {"gateway": "172.16.172.50", "problem": "nobody answers"},
)
NOTHING_BACK: Happening = (40.0, "data.nothing-back", {"packets_out": 30, "packets_in": 0})
PROPOSAL = {"peer": CALLER, "remote": "3des-md5-modp768", "local": "aes256-sha1-modp1024"}

CONNECTING_MAIN: tuple[Happening, ...] = (
    *CONNECTING[:2],
    (0.02, "ike.phase1-started", {"peer": PEER, "mode": "main"}),
    (0.1, "ike.proposal-chosen", {"phase": 1, "suite": "aes256-sha1-modp1024", "number": 1}),
)
PIECES_LOST: Happening = (15.0, "ike.fragments-lost", {"peer": CALLER, "came": 1, "of": "2"})
NO_STREAM: Happening = (
    0.1,
    "client.tcp-failed",
    {"host": "192.0.2.1", "port": 10000, "problem": "no answer"},
)
WAY_BLOCKED: Happening = (
    8.0,
    "client.way-blocked",
    {
        "profile": "office",
        "way": "ESP, or NAT-T where it is needed",
        "blocked": "UDP 4500",
        "out": 5,
        "came": 1,
        "next": "IPsec over UDP",
    },
)
WAY_FOUND: Happening = (
    20.0,
    "client.way-found",
    {
        "profile": "office",
        "way": "IPsec over UDP",
        "transport": "udp",
        "network": "0a1b2c3d4e5f",
        "tried": 1,
    },
)
UNFRAGMENTED: Happening = (0.3, "ike.unfragmented", {"peer": PEER, "octets": 2000})
BEGAN_ANEW: Happening = (90.0, "gateway.started", {"version": "1", "listen": (), "engine": "c"})
LOST: Happening = (
    60.0,
    "client.reconnecting",
    {"profile": "office", "attempt": 1, "wait": 0.5, "reason": "lost-peer"},
)
AGAIN: Happening = (90.0, "ike.retransmit", {"peer": PEER, "attempt": 2})
REKEYING: Happening = (50.0, "quick.rekeying", {"spi_in": "0x1"})
UNANSWERED: Happening = (
    80.0,
    "quick.refused",
    {"reason": "no-answer", "remote": "0.0.0.0/0", "local": "40.1.1.1/32"},
)
PEER_DEAD: Happening = (90.0, "live.peer-dead", {"seconds": 30.0, "questions": 5})
DISPUTED: Happening = (
    1.0,
    "ike.notify-received",
    {"name": "INVALID-ID-INFORMATION", "peer": CALLER},
)
ANNOUNCED = {"peer": "192.0.2.9:4500", "dns": (), "nbns": ()}
FOLLOWED: Happening = (90.0, "dynamic.received", ANNOUNCED)
MOVED: Happening = (90.0, "ike.peer-moved", {"old": CALLER, "new": "171.69.89.78:2048"})


def fault(what: str) -> Happening:
    return (0.0, "service.fault", {"what": what, "action": "See to it."})


def refused(reason: str) -> Happening:
    return (17.5, "quick.refused", {"reason": reason, "remote": "10.0.0.0/8", "local": "0.0.0.0/0"})


def over(reason: str) -> Happening:
    return (30.0, "ike.over", {"reason": reason, "by_peer": False})


def failed_setup(problem: str) -> tuple[Entry, ...]:
    return client(*GOOD[:-2], (18.0, "client.machine-failed", {"problem": problem}))


def login(code: str) -> tuple[Happening, ...]:
    return (*AT_THE_GATEWAY, *ASKED_AT_THE_GATEWAY, (9.1, code, dict(WHO)))


def login_fails(code: str) -> tuple[Entry, ...]:
    return gateway(*login(code))


def second_try(code: str) -> tuple[Entry, ...]:
    return gateway(*login(code), (12.0, "auth.accepted", dict(WHO)))


def closed(reason: str) -> tuple[Entry, ...]:
    return client(*GOOD, down(reason, by_peer=True))


def not_closed() -> tuple[Entry, ...]:
    return client(*GOOD)


UNTRUSTED = (
    0.9,
    "certificate.refused",
    {
        "peer": "192.0.2.1:500",
        "claimed": "gw.example.org",
        "cause": "expired",
        "problem": "The certificate of CN=gw was valid until 2026-01-01 only.",
        "advice": "Renew that certificate.",
    },
)

CASES: dict[tuple[str, str], tuple[tuple[Entry, ...], tuple[Entry, ...]]] = {
    # (id, side): what calls for it, what nearly does
    ("net.dns-failed", ""): (
        client(
            CONNECTING[0],
            (5.0, "client.resolve-failed", {"host": "vpn.example.org", "problem": "no such name"}),
        ),
        client(*CONNECTING[:2]),
    ),
    ("net.port-in-use", ""): (
        client(fault("UDP port 500: Address already in use")),
        client(fault("UDP port 500: no such device")),
    ),
    ("platform.privilege", ""): (
        failed_setup("/dev/net/tun: Operation not permitted"),
        failed_setup("/dev/net/tun: No such file or directory"),
    ),
    ("platform.disk-full", ""): (
        failed_setup("the undo log undo/1.changes cannot be written: No space left on device"),
        failed_setup("the undo log undo/1.changes cannot be written: Input/output error"),
    ),
    ("net.local-adapter", "gateway"): (
        gateway(*AT_THE_GATEWAY, ended("machine-failed", 1.0, by_peer=True)),
        gateway(*AT_THE_GATEWAY, ended("by-user", 1.0, by_peer=True)),
    ),
    ("net.local-adapter", "client"): (
        failed_setup("/dev/net/tun: No such file or directory"),
        client(*GOOD[:-1]),
    ),
    ("p1.group-unknown", "gateway"): (
        gateway(AT_THE_GATEWAY[0], (0.1, "ike.group-unknown", {"group": "sale", "peer": CALLER})),
        gateway(AT_THE_GATEWAY[0]),
    ),
    ("p1.psk-mismatch", "gateway"): (
        gateway(
            AT_THE_GATEWAY[0], (0.2, "ike.group-key-mismatch", {"group": "sales", "peer": CALLER})
        ),
        gateway(*AT_THE_GATEWAY),
    ),
    ("p1.proof-missing", "gateway"): (
        gateway(AT_THE_GATEWAY[0], (30.0, "ike.proof-missing", {"group": "sales", "peer": CALLER})),
        gateway(*AT_THE_GATEWAY),
    ),
    ("p1.psk-mismatch", "client"): (
        client(*CONNECTING, ANSWERED[0], down("group-mismatch", 0.2)),
        client(*CONNECTING, ANSWERED[0], down("protocol-error", 0.2)),
    ),
    ("p1.psk-mismatch", ""): (
        client(*CONNECTING_MAIN, NO_ANSWER, down("group-mismatch", 90.0)),
        client(*CONNECTING_MAIN, down("group-mismatch", 90.0)),
    ),
    ("p1.no-proposal", ""): (
        gateway(AT_THE_GATEWAY[0], (0.1, "ike.proposal-refused", {"phase": 1, **PROPOSAL})),
        gateway(*AT_THE_GATEWAY, (0.1, "ike.proposal-refused", {"phase": 2, **PROPOSAL})),
    ),
    ("p1.mode-mismatch", ""): (
        gateway((0.0, "ike.mode-refused", {"mode": "main", "peer": CALLER})),
        gateway(AT_THE_GATEWAY[0]),
    ),
    ("p1.id-mismatch", ""): (
        client(*CONNECTING, ANSWERED[0], down("id-refused", 1.0)),
        client(*CONNECTING, ANSWERED[0], down("mode-refused", 1.0)),
    ),
    ("p1.id-mismatch", "gateway"): (
        gateway(AT_THE_GATEWAY[0], DISPUTED, over("half-open-timeout")),
        gateway(*AT_THE_GATEWAY, DISPUTED),
    ),
    ("p1.no-response", ""): (
        client(*CONNECTING, NO_ANSWER, down("no-answer", 30.0)),
        client(*CONNECTING, ANSWERED[0], NO_ANSWER, down("no-answer", 30.0)),
    ),
    ("net.fragments-lost", "client"): (
        client(*CONNECTING_MAIN, UNFRAGMENTED, NO_ANSWER, down("no-answer", 90.0)),
        client(*CONNECTING_MAIN, UNFRAGMENTED, UNTRUSTED, down("certificate-refused", 1.0)),
    ),
    ("net.fragments-lost", "gateway"): (
        gateway(AT_THE_GATEWAY[0], PIECES_LOST, over("half-open-timeout")),
        gateway(AT_THE_GATEWAY[0], over("half-open-timeout")),
    ),
    ("net.udp4500-blocked", "client"): (
        client(*CONNECTING, *ANSWERED, NO_ANSWER),
        client(*CONNECTING, *PLAIN, NO_ANSWER),
    ),
    ("p1.caller-silent", "gateway"): (
        gateway(AT_THE_GATEWAY[0], over("half-open-timeout")),
        gateway(AT_THE_GATEWAY[0], over("proposal-refused")),
    ),
    ("p1.failed", ""): (
        client(*CONNECTING, ANSWERED[0], over("a reason of tomorrow")),
        client(*CONNECTING, *ANSWERED, over("a reason of tomorrow")),
    ),
    ("xauth.user-unknown", "gateway"): (
        login_fails("auth.unknown-user"),
        second_try("auth.unknown-user"),
    ),
    ("xauth.locked", "gateway"): (login_fails("auth.locked"), second_try("auth.locked")),
    ("xauth.group-lock", "gateway"): (
        login_fails("auth.not-in-group"),
        gateway(*login("auth.not-in-group"), STARTED),
    ),
    ("xauth.disabled", "gateway"): (login_fails("auth.disabled"), second_try("auth.disabled")),
    ("xauth.expired", "gateway"): (login_fails("auth.expired"), second_try("auth.expired")),
    ("auth.busy", "gateway"): (login_fails("auth.busy"), second_try("auth.busy")),
    ("auth.backend", "gateway"): (
        login_fails("auth.unavailable"),
        second_try("auth.unavailable"),
    ),
    ("xauth.failed", "gateway"): (
        login_fails("auth.wrong-password"),
        second_try("auth.wrong-password"),
    ),
    ("xauth.failed", ""): (
        client(
            *CONNECTING,
            *ANSWERED,
            *LOGIN,
            (17.3, "xauth.rejected", {"user": "ann", "reason": "auth-rejected"}),
        ),
        client(
            *CONNECTING,
            *ANSWERED,
            *LOGIN,
            (17.3, "xauth.rejected", {"user": "ann", "reason": "auth-rejected"}),
            (30.0, "xauth.accepted", {"user": "ann"}),
        ),
    ),
    ("xauth.cancelled", ""): (
        client(*CONNECTING, *ANSWERED, *LOGIN[:2], down("auth-silence")),
        client(*CONNECTING, *ANSWERED, *LOGIN, down("auth-silence")),
    ),
    ("xauth.timeout", "gateway"): (
        gateway(*AT_THE_GATEWAY, *ASKED_AT_THE_GATEWAY, over("peer-deleted")),
        gateway(*AT_THE_GATEWAY, *ASKED_AT_THE_GATEWAY, over("half-open-timeout")),
    ),
    ("xauth.timeout", ""): (
        client(*CONNECTING, *ANSWERED, *LOGIN, NO_ANSWER),
        client(*CONNECTING, *ANSWERED, *LOGIN, GIVEN[0], NO_ANSWER),
    ),
    ("cfg.no-address", ""): (
        gateway(*AT_THE_GATEWAY, (9.2, "session.no-address", {"pool": "sales"})),
        gateway(*AT_THE_GATEWAY, (9.2, "config.refused", {"reason": "session-limit"})),
    ),
    ("session.limit", ""): (
        gateway(*AT_THE_GATEWAY, (9.2, "session.limit", {"limit": 100})),
        gateway(*AT_THE_GATEWAY, (9.2, "config.refused", {"reason": "no-address"})),
    ),
    ("session.duplicate-limit", ""): (
        gateway(*AT_THE_GATEWAY, (9.2, "session.duplicate-limit", {"user": "ann", "limit": 1})),
        gateway(*AT_THE_GATEWAY, (9.2, "session.limit", {"limit": 1})),
    ),
    ("session.outside-hours", ""): (
        login_fails("auth.outside-hours"),
        gateway(*login("auth.outside-hours"), STARTED),
    ),
    ("session.client-not-allowed", ""): (
        client(*CONNECTING, *ANSWERED, down("client-not-allowed")),
        client(*CONNECTING, *ANSWERED, down("outside-hours")),
    ),
    ("cfg.firewall-required", ""): (closed("firewall-mismatch"), closed("peer-deleted")),
    ("cfg.failed", ""): (
        client(*CONNECTING, *ANSWERED, *LOGIN, *GIVEN[:2], NO_ANSWER),
        client(*CONNECTING, *ANSWERED, *LOGIN, *GIVEN, NO_ANSWER),
    ),
    ("p2.no-proposal", ""): (
        gateway(*AT_THE_GATEWAY, (0.2, "ike.proposal-refused", {"phase": 2, **PROPOSAL})),
        gateway(*AT_THE_GATEWAY, (0.2, "ike.proposal-refused", {"phase": 1, **PROPOSAL})),
    ),
    ("p2.pfs-mismatch", ""): (
        gateway(*AT_THE_GATEWAY, (0.2, "quick.pfs-mismatch", {"remote": "none", "local": "modp"})),
        gateway(*AT_THE_GATEWAY, (0.2, "ike.proposal-refused", {"phase": 2, **PROPOSAL})),
    ),
    ("p2.id-mismatch", ""): (
        gateway(*AT_THE_GATEWAY, refused("10.0.0.0/8 is not reachable for this peer")),
        gateway(*AT_THE_GATEWAY, refused("phase2-refused")),
    ),
    ("p2.failed", ""): (
        client(*CONNECTING, *ANSWERED, *LOGIN, *GIVEN, down("phase2-refused")),
        client(*GOOD, refused("phase2-refused")),
    ),
    ("p2.no-response", ""): (
        client(*CONNECTING, *ANSWERED, *LOGIN, *GIVEN, TWO_PAIRS[0], NO_ANSWER),
        client(*CONNECTING, *ANSWERED, *LOGIN, *GIVEN, *TWO_PAIRS, NO_ANSWER),
    ),
    ("data.no-natt", ""): (
        client(*CONNECTING, *PLAIN, (0.1, "ike.natt-missing", {}), *TWO_PAIRS, UP, NOTHING_BACK),
        client(*CONNECTING, *PLAIN, (0.1, "ike.natt-missing", {}), *TWO_PAIRS, UP),
    ),
    ("data.pass-through", ""): (
        gateway(
            STARTED, (40.0, "data.pass-through", {"packets_out": 5, "packets_in": 0, "other": "1"})
        ),
        gateway(STARTED),
    ),
    ("data.esp-blocked", ""): (
        client(*CONNECTING, *PLAIN, *TWO_PAIRS, UP, NOTHING_BACK),
        client(*CONNECTING, *ANSWERED, *TWO_PAIRS, UP, NOTHING_BACK),
    ),
    ("data.one-way", ""): (client(*GOOD, NOTHING_BACK), client(*GOOD)),
    ("data.dns", "client"): (client(*GOOD, NO_NAMES), client(*GOOD)),
    ("cfg.no-lease", "gateway"): (
        gateway(STARTED, ended("no-address")),
        gateway(STARTED, ended("by-user")),
    ),
    ("cfg.no-lease", "client"): (
        client(*CONNECTING, NO_LEASE, down("no-address", 0.2)),
        client(*CONNECTING, down("no-address", 0.2)),
    ),
    ("data.hmac", ""): (
        client(*GOOD, (40.0, "data.not-authentic", {"count": 3})),
        client(*GOOD, (40.0, "data.replayed", {"count": 3})),
    ),
    ("data.subnet-overlap", "gateway"): (
        gateway(STARTED, (40.0, "data.not-leased", {"count": 3})),
        client(*GOOD, (40.0, "data.not-leased", {"count": 3})),
    ),
    ("live.rekey-failed", "client"): (
        client(*GOOD, REKEYING, UNANSWERED, down("lost-peer", 90.0)),
        client(*GOOD, REKEYING, UNANSWERED, PEER_DEAD, down("lost-peer", 90.0)),
    ),
    ("live.dpd-timeout", ""): (
        client(*GOOD, (90.0, "live.peer-dead", {"seconds": 30.0, "questions": 5})),
        client(*GOOD, (90.0, "live.answer", {"sequence": 5, "seconds": 0.1})),
    ),
    ("live.gateway-killed", "gateway"): (
        gateway(STARTED, BEGAN_ANEW),
        gateway(STARTED, ended("by-user"), BEGAN_ANEW),
    ),
    ("live.poll-failed", ""): (closed("line-polling-failed"), closed("peer-shutdown")),
    ("live.no-poll-entry", ""): (
        client(CONNECTING[0], (0.1, "client.no-poll-entry", {"profile": "office"})),
        client(CONNECTING[0], down("no-answer", 0.1)),
    ),
    ("live.peer-shutdown", ""): (closed("peer-shutdown"), closed("peer-reboot")),
    ("live.peer-reboot", ""): (closed("peer-reboot"), closed("peer-shutdown")),
    ("live.max-connect", ""): (closed("max-connect-time"), closed("idle-timeout")),
    ("live.idle", ""): (closed("idle-timeout"), closed("max-connect-time")),
    ("live.admin", ""): (closed("by-administrator"), closed("by-user")),
    ("live.lifetime-expired", ""): (closed("lifetime-expired"), not_closed()),
    ("live.cert-expired", ""): (closed("certificate-expired"), closed("lifetime-expired")),
    ("cert.untrusted", ""): (
        client(*CONNECTING, ANSWERED[0], UNTRUSTED, down("certificate-refused", 1.0)),
        client(*CONNECTING, ANSWERED[0], down("certificate-refused", 1.0)),
    ),
    ("cert.refused", ""): (closed("certificate-refused"), closed("no-certificate")),
    ("cert.disputed", ""): (closed("certificate-disputed"), closed("certificate-refused")),
    ("cert.none", ""): (closed("no-certificate"), closed("certificate-refused")),
    ("live.replaced", ""): (closed("replaced"), not_closed()),
    ("live.delete-unspecified", ""): (closed("peer-deleted"), closed("by-administrator")),
    ("peer.protocol", ""): (closed("protocol-error"), not_closed()),
    ("internal.fault", ""): (client(*GOOD, fault("a pump stopped")), closed("protocol-error")),
    ("live.rekey-failed", ""): (
        client(*GOOD, down("no-answer")),
        client(*CONNECTING, down("no-answer")),
    ),
    ("live.ended", ""): (closed("a reason of tomorrow"), not_closed()),
    ("ok.disconnected", ""): (closed("by-user"), closed("by-administrator")),
    ("ok.came-back", "client"): (
        client(LOST, *CONNECTING[2:], *TWO_PAIRS, UP),
        client(LOST, *CONNECTING[2:]),
    ),
    ("net.loss", ""): (
        client(*GOOD, *[AGAIN] * 3),
        client(*GOOD[:-1], *[AGAIN] * 3, UP),
    ),
    ("p1.no-response", "client"): (
        client(*CONNECTING[:2], WAY_BLOCKED, NO_STREAM, NO_ANSWER, down("no-answer", 30.0)),
        client(*CONNECTING[:2], WAY_BLOCKED, ANSWERED[0], NO_STREAM, down("no-answer", 30.0)),
    ),
    ("net.tcp10000-blocked", "client"): (
        client(*CONNECTING[:2], NO_STREAM, down("no-answer", 0.2)),
        client(*CONNECTING[:2], down("no-answer", 0.2)),
    ),
    ("ok.other-way", "client"): (
        client(*CONNECTING[:2], WAY_BLOCKED, *GOOD[2:], WAY_FOUND),
        client(*CONNECTING[:2], WAY_BLOCKED, *GOOD[2:]),
    ),
    ("ok.followed", "client"): (client(*GOOD, FOLLOWED), client(FOLLOWED, *GOOD)),
    ("ok.moved", "gateway"): (gateway(STARTED, MOVED), gateway(MOVED, STARTED)),
    ("ok.established", ""): (client(*GOOD), client(*GOOD[:-1])),
    ("unknown.incomplete", ""): (client(*CONNECTING), client(*GOOD)),
}

ROWS = {(row.id, row.side): row for row in diagnoses()}


@pytest.mark.parametrize("key", ROWS, ids=lambda key: ".".join(filter(None, key)))
def test_it_is_told_when_called_for_and_not_when_nearly(key: tuple[str, str]) -> None:
    calls, nearly = CASES[key]
    verdict = diagnose(calls)
    assert (verdict.id, verdict.what) == (key[0], ROWS[key].title)
    assert UNKNOWN not in verdict.why
    told = diagnose(nearly)
    assert (told.id, told.what) != (verdict.id, verdict.what)


def test_every_diagnosis_has_its_cases() -> None:
    assert CASES.keys() == ROWS.keys()


@pytest.mark.parametrize(
    "reason", [id for id in reasons() if id != "half-open-timeout"]
)  # only a responder waits for a caller that began
def test_every_ending_has_a_diagnosis_at_the_client(reason: str) -> None:
    asked = (*ANSWERED, LOGIN[0]) if reason == "auth-silence" else ()
    verdict = diagnose(client(*CONNECTING, *asked, down(reason)))
    assert verdict.id not in {"unknown.incomplete", "live.ended", "p1.failed"}


@pytest.mark.parametrize("reason", reasons())
def test_every_ending_of_what_was_up_is_told_with_what_to_do(reason: str) -> None:
    for entries in (client(*GOOD, down(reason)), gateway(STARTED, ended(reason))):
        verdict = diagnose(entries)
        assert verdict.id != "unknown.incomplete"
        assert verdict.actions
        assert not [text for text in (verdict.what, verdict.why) if UNKNOWN in text]


def test_conditions_name_events_and_fields_that_exist() -> None:
    for row in diagnoses():
        for condition in (*row.all, *row.any, *row.none):
            if "end" in condition:
                assert condition.keys() == {"end"}
                continue
            known = vocabulary()[str(condition["code"])]
            assert condition.keys() - {"code", "times", "after"} <= {*known.fields, "side"}
            assert str(condition.get("after", "client.up")) in vocabulary()
        assert row.stage in {"", "before-up", "after-up"}


def test_a_reason_that_is_asked_for_is_one_that_exists() -> None:
    asked = {
        str(condition.get("end") or condition.get("reason") or "*")
        for row in diagnoses()
        for condition in (*row.all, *row.any, *row.none)
    }
    known = {*reasons(), *(str(cause) for cause in Cause)}
    assert {reason for reason in asked if "*" not in reason} <= known


def test_everybody_who_is_to_act_is_somebody() -> None:
    for row in diagnoses():
        assert {action["who"] for action in row.actions} <= {"user", "administrator", "network"}
        assert row.actions or row.outcome in {"working", "unfinished"}
        assert row.outcome in {"failed", "ended", "impaired", "working", "unfinished"}


def test_the_client_hears_one_text_for_group_name_and_group_key() -> None:
    verdict = diagnose(client(*CONNECTING, ANSWERED[0], down("group-mismatch", 0.2)))
    assert "Group name or group key" in verdict.what


def test_the_client_hears_one_text_for_user_and_password() -> None:
    refusal = (17.3, "xauth.rejected", {"user": "ann", "reason": "auth-rejected"})
    verdict = diagnose(client(*CONNECTING, *ANSWERED, *LOGIN, refusal))
    assert "does not say which" in verdict.why


def test_a_stronger_cause_goes_before_what_followed_from_it() -> None:
    assert diagnose(client(*GOOD, NOTHING_BACK, down("by-user"))).id == "data.one-way"
    assert diagnose(client(*GOOD, down("by-user"))).id == "ok.disconnected"
    assert diagnose(client(*GOOD)).good
