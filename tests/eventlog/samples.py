"""Events of whole connections, in the order the cores record them, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.log import EventLog

BEGAN = datetime(2026, 7, 2, 10, 0, 0, tzinfo=UTC)
START = 5000.0
"""The monotonic second of `BEGAN`."""

Happening = tuple[float, str, Mapping[str, Field]]
"""Seconds since the beginning, code, fields."""

PEER = "172.16.172.50:500"
PEER_4500 = "172.16.172.50:4500"
CALLER = "171.69.89.78:1024"


def recorded(happened: Iterable[Happening], **more: Field) -> tuple[Entry, ...]:
    """The entries of these events, each with the correlation keys ``more``."""
    log = EventLog()
    return tuple(
        log.record(
            LogEvent(code, {**more, **fields}),
            at=BEGAN + timedelta(seconds=after),
            now=START + after,
        )
        for after, code, fields in happened
    )


def client(*happened: Happening) -> tuple[Entry, ...]:
    return recorded(happened, connection="office", cookies="1122334455667788/99aabbccddeeff00")


def gateway(*happened: Happening) -> tuple[Entry, ...]:
    return recorded(happened, cookies="1122334455667788/99aabbccddeeff00")


def message(code: str, exchange: str, payloads: str, *, encrypted: bool) -> dict[str, Field]:
    return {
        "exchange": exchange,
        "payloads": payloads,
        "encrypted": encrypted,
        "peer": PEER,
        "message_id": 0,
        "octets": 400,
    }


CONNECTING: tuple[Happening, ...] = (
    (0.0, "client.connecting", {"profile": "office", "host": "vpn.example.org"}),
    (0.01, "client.resolved", {"host": "vpn.example.org", "address": "172.16.172.50"}),
    (0.02, "ike.phase1-started", {"peer": PEER, "mode": "aggressive"}),
    (
        0.02,
        "ike.sending",
        message("ike.sending", "Aggressive", "SA KE NONCE ID", encrypted=False),
    ),
)

ANSWERED: tuple[Happening, ...] = (
    (
        0.1,
        "ike.received",
        message("ike.received", "Aggressive", "SA KE NONCE ID HASH", encrypted=False),
    ),
    (0.1, "ike.vendor-id", {"hex": "12f5f28c457168a9702d9fe274cc0100", "name": "Cisco Unity"}),
    (0.1, "ike.peer-supports", {"feature": "XAUTH"}),
    (0.1, "ike.vendor-id", {"hex": "0123456789abcdef", "name": "unknown (0123456789abcdef)"}),
    (0.1, "ike.peer-supports", {"feature": "DPD"}),
    (0.1, "ike.peer-supports", {"feature": "NAT-T"}),
    (0.1, "ike.proposal-chosen", {"phase": 1, "suite": "aes256-sha1-modp1024", "number": 1}),
    (0.1, "ike.nat-detected", {"local": True, "remote": False}),
    (0.1, "ike.natt-negotiated", {"version": "natt-rfc3947", "port": 4500}),
    (
        0.12,
        "ike.phase1-established",
        {
            "peer": PEER_4500,
            "suite": "aes256-sha1-modp1024",
            "authentication": "xauth-psk",
            "life_seconds": 86400,
        },
    ),
    (0.12, "ike.sending", message("ike.sending", "Aggressive", "HASH", encrypted=True)),
)

LOGIN: tuple[Happening, ...] = (
    (0.2, "xauth.asked", {"wants": ("user", "password"), "message": ""}),
    (0.2, "client.asking", {"wants": ("user", "password")}),
    (17.2, "xauth.answered", {"user": "ann"}),
)

GIVEN: tuple[Happening, ...] = (
    (17.3, "xauth.accepted", {"user": "ann"}),
    (17.3, "config.requested", {"names": ("INTERNAL_IP4_ADDRESS", "INTERNAL_IP4_DNS")}),
    (17.4, "config.attribute", {"name": "INTERNAL_IP4_ADDRESS", "value": "40.1.1.1"}),
    (17.4, "config.attribute", {"name": "INTERNAL_IP4_DNS", "value": "192.168.2.10"}),
    (17.4, "config.application", {"value": "culvert 0.1.0"}),
    (17.4, "config.received", {"count": 3}),
)


def quick(after: float, spi: int, remote: str, *, additional: bool) -> tuple[Happening, ...]:
    fields: dict[str, Field] = {"message_id": spi, "local": "40.1.1.1/32", "remote": remote}
    return (
        (after, "quick.started", fields),
        (after + 0.02, "ike.responder-lifetime", {"protocol": "ESP", "seconds": 28800}),
        (after + 0.02, "ike.lifetime-shortened", {"alive": 0, "expiry": 28800}),
        (
            after + 0.03,
            "quick.established",
            {
                **fields,
                "spi_in": spi,
                "spi_out": spi + 1,
                "suite": "aes256-sha1",
                "additional": additional,
                "life_seconds": 28800,
                "life_kilobytes": 0,
            },
        ),
    )


SETTLED: tuple[Happening, ...] = (
    (
        17.9,
        "client.machine-configured",
        {
            "interface": "culvert0",
            "address": "40.1.1.1",
            "routes": ("192.168.2.0/24",),
            "dns": ("192.168.2.10",),
        },
    ),
    (18.0, "client.up", {"profile": "office", "address": "40.1.1.1", "seconds": 18.0}),
)

TWO_PAIRS = (
    *quick(17.5, 0x02CC3526, "172.16.172.50/32", additional=False),
    *quick(17.6, 0x5BEEBB4C, "0.0.0.0/0", additional=True),
)

GOOD: tuple[Happening, ...] = (*CONNECTING, *ANSWERED, *LOGIN, *GIVEN, *TWO_PAIRS, *SETTLED)

AT_THE_GATEWAY: tuple[Happening, ...] = (
    (0.0, "ike.phase1-started", {"peer": CALLER, "mode": "aggressive"}),
    (0.0, "ike.proposal-chosen", {"phase": 1, "suite": "aes256-sha1-modp1024", "number": 1}),
    (0.1, "ike.nat-detected", {"local": False, "remote": True}),
    (0.1, "ike.natt-negotiated", {"version": "natt-rfc3947", "port": 4500}),
    (
        0.1,
        "ike.phase1-established",
        {
            "peer": CALLER,
            "suite": "aes256-sha1-modp1024",
            "authentication": "xauth-psk",
            "life_seconds": 86400,
        },
    ),
)

ASKED_AT_THE_GATEWAY: tuple[Happening, ...] = (
    (0.1, "xauth.asked", {"wants": ("user", "password"), "message": ""}),
    (9.0, "xauth.answered", {"user": "ann"}),
)


def down(reason: str, after: float = 60.0, *, by_peer: bool = False) -> Happening:
    return (after, "client.down", {"profile": "office", "reason": reason, "by_peer": by_peer})


def ended(reason: str, after: float = 60.0, *, by_peer: bool = False) -> Happening:
    fields: dict[str, Field] = {
        "user": "ann",
        "group": "sales",
        "reason": reason,
        "by_peer": by_peer,
        "seconds": after,
        "octets_in": 10,
        "octets_out": 20,
    }
    return (after, "session.ended", fields)


STARTED: Happening = (
    9.5,
    "session.started",
    {
        "user": "ann",
        "group": "sales",
        "assigned": "40.1.1.1",
        "public": CALLER,
        "transport": "nat-t",
        "suite": "aes256-sha1",
    },
)
