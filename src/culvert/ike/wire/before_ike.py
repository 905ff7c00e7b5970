"""What a gateway says of its new address before it calls, to one with which no IKE SA stands.

An ISAKMP message in clear of exchange type 241 (private use, RFC 2408 §3.1) with one notify 33101:

    stamp (8, ms since 1970) | nonce (16) | attributes as in `announcement` | proof (32)

proof = prf(prf(key, LABEL | stamp | nonce), all before it); prf is HMAC-SHA-256, key the one that
both gateways share. A later stamp outdates an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from culvert.errors import WireError
from culvert.ike.wire.announcement import ANNOUNCEMENT, Announcement
from culvert.ike.wire.header import NO_COOKIE, Header
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import Notify
from culvert.ike.wire.payload import NOTIFY, one
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.octets.cursor import Cursor

EXCHANGE = 241
EXCHANGE_AT = 18  # of the header
LABEL = b"culvert announcement"
STAMP, NONCE, PROOF = 8, 16, 32
COOKIE = 8


def is_one(octets: bytes) -> bool:
    return octets[EXCHANGE_AT : EXCHANGE_AT + 1] == bytes((EXCHANGE,))


@dataclass(frozen=True, slots=True)
class BeforeIke:
    """``proved``: the octets that the proof is over."""

    stamp: int
    nonce: bytes
    told: Announcement
    proved: bytes
    proof: bytes

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        header = parse_header(octets)
        part = one(clear_body(octets, header), NOTIFY)
        notify = Notify.parse(part) if part is not None else None
        if header.exchange != EXCHANGE or notify is None or notify.kind != ANNOUNCEMENT:
            raise WireError("no announcement in a message of its exchange type", offset=EXCHANGE_AT)
        data = notify.data
        cursor = Cursor(data)
        stamp = int.from_bytes(cursor.octets(STAMP, "stamp"), "big")
        nonce = cursor.octets(NONCE, "nonce")
        listed = cursor.octets(max(cursor.left - PROOF, 0), "attributes")
        proof = cursor.octets(PROOF, "proof")
        told = Announcement.parse(bytes(4) + listed)
        return cls(stamp, nonce, told, data[:-PROOF], proof)


def challenge(stamp: int, nonce: bytes) -> bytes:
    """What the shared key is applied to."""
    return LABEL + stamp.to_bytes(STAMP, "big") + nonce


def unproved(stamp: int, nonce: bytes, dns: tuple[str, ...], nbns: tuple[str, ...]) -> bytes:
    """The octets that the proof is over."""
    return challenge(stamp, nonce)[len(LABEL) :] + Announcement(0, dns, nbns).to_bytes()[4:]


def message(proved: bytes, proof: bytes, cookie: bytes) -> bytes:
    header = Header(cookie, NO_COOKIE, NOTIFY, EXCHANGE, 0, 0)
    return clear_message(header, (Notify(ANNOUNCEMENT, PROTO_ISAKMP, b"", proved + proof).part(),))
