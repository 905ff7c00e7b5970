"""A packet capture as lines: what is seen of IKE and ESP, for the family ``capture`` to explain.

IKE is decoded with our own codec as far as it is in the clear. In aggressive mode the proof of the
gateway travels in the clear as well: with a group key at hand it is made again and compared, so
that a wrong key is known for certain although nothing was decrypted. With a key log of one of the
ends everything is opened.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import BinaryIO

from culvert.crypto.hash import hmac
from culvert.errors import ProtocolError
from culvert.explain.ikev2 import ikev2
from culvert.explain.inside import said
from culvert.explain.opened import Opener
from culvert.explain.pcap import ESP, Seen, packets
from culvert.ike.fragments import STRANGERS, Reassembly
from culvert.ike.keys import skeyid_from_psk
from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import (
    AGGRESSIVE,
    IDENTITY_PROTECTION,
    INFORMATIONAL,
    NO_COOKIE,
    QUICK,
    TRANSACTION,
    Header,
)
from culvert.ike.wire.message import clear_body, parse_header
from culvert.ike.wire.notify import Notify
from culvert.ike.wire.payload import (
    HASH,
    ID,
    KE,
    NONCE,
    NOTIFY,
    SA,
    VENDOR_ID,
    Chain,
    of_kind,
    one,
)
from culvert.ike.wire.proposal import SecurityAssociation, Transform
from culvert.secret import Secret
from culvert.tables.algorithms import AUTHENTICATIONS, GROUPS, HASHES, IKE_CIPHERS
from culvert.tables.numbers import notify_name, payload_name

IKE_PORT, NATT_PORT = 500, 4500
IKE_PORTS = frozenset((IKE_PORT, NATT_PORT, 10000))
MARKER = bytes(4)
COOKIE = 8
NEGOTIATIONS = 1000
"""Negotiations followed at once; the longest silent is forgotten."""

PAIRS = 1000
"""Pairs of addresses whose ESP is counted."""

NO_KEYS: Mapping[bytes, bytes] = {}

SHOWN_ESP = 24
"""ESP packets that get a line for each direction; the rest is counted."""

MODES = {IDENTITY_PROTECTION: "main", AGGRESSIVE: "aggressive"}
ENCRYPTION, HASH_KIND, AUTHENTICATION, GROUP, KEY_LENGTH = 1, 2, 3, 4, 14


@dataclass(slots=True)
class Negotiation:
    """What the clear messages of one pair of cookies said."""

    initiator: str
    sa_i: bytes = b""
    public_i: bytes = b""
    nonce_i: bytes = b""
    seen: dict[tuple[str, bytes], int] = field(default_factory=dict[tuple[str, bytes], int])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    natt: bool = False
    up: bool = False
    opener: Opener | None = None
    shut: bool = False


@dataclass(slots=True)
class Flow:
    """ESP between two addresses, by sender."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    both: bool = False


def lines(
    file: BinaryIO, group_key: Secret | None = None, keys: Mapping[bytes, bytes] = NO_KEYS
) -> Iterator[str]:
    """The lines of a capture; ``keys`` of phase 1 by initiator's cookie (`explain.keys`).

    Raises ConfigError if its head is damaged.
    """
    watched = _Watched(group_key, keys)
    for seen in packets(file):
        if isinstance(seen, int):
            yield from watched.totals(seen)
        else:
            yield from watched.packet(seen)


def _stamp(seen: Seen) -> str:
    return f"{seen.at:%Y-%m-%d %H:%M:%S.%f} packet {seen.number}"


def _line(seen: Seen, text: str) -> str:
    return f"{_stamp(seen)} IKE {seen.source} > {seen.target} {text}"


class _Watched:
    def __init__(self, group_key: Secret | None, keys: Mapping[bytes, bytes]) -> None:
        self._group_key = group_key
        self._keys = keys
        self._pieces = Reassembly(STRANGERS)
        self._known: OrderedDict[bytes, Negotiation] = OrderedDict()
        self._flows: OrderedDict[frozenset[str], Flow] = OrderedDict()
        self._last = ""

    def packet(self, seen: Seen) -> Iterator[str]:
        self._last = f"{seen.at:%Y-%m-%d %H:%M:%S.%f}"
        if seen.offset:
            size = len(seen.octets)
            yield _line(seen, f"a piece of a UDP datagram: {size} octets at {seen.offset}")
        elif seen.protocol == ESP:
            yield from self._esp(seen, "bare")
        elif not IKE_PORTS.isdisjoint(seen.ports) and len(seen.octets) > 1:
            natt = IKE_PORT not in seen.ports
            if natt and not seen.octets.startswith(MARKER):
                yield from self._esp(seen, "in UDP")
                return
            octets = seen.octets.removeprefix(MARKER) if natt else seen.octets
            if (two := ikev2(octets)) is not None:
                yield from self._ikev2(seen, octets, two, natt=natt)
                return
            try:
                whole = self._whole(seen, octets)
                if whole is None:
                    yield _line(seen, "a piece of an IKE message")
                else:
                    yield from self._ike(seen, whole, natt=natt)
            except ProtocolError as error:
                yield _line(seen, f"no IKEv1 message: {error}")

    def _ike(self, packet: Seen, octets: bytes, *, natt: bool) -> Iterator[str]:
        header = parse_header(octets)
        found = self._negotiation(packet, header.cookie_i)
        if again := self._again(packet, found, octets):
            yield _line(packet, again)
            return
        side = "I" if packet.source == found.initiator else "R"
        if natt and not found.natt:
            found.natt = True
            yield _line(packet, "moves to UDP port 4500")
        chain = () if header.encrypted else clear_body(octets, header)
        yield from self._message(packet, header, found, side, chain)
        yield from self._opened(packet, header, found, side, chain, octets)

    def _ikev2(self, packet: Seen, octets: bytes, told: str, *, natt: bool) -> Iterator[str]:
        """What the head of a message of the other version says; nothing else of it is decoded."""
        found = self._negotiation(packet, octets[:COOKIE])
        if again := self._again(packet, found, octets):
            yield _line(packet, again)
            return
        if natt and not found.natt:
            found.natt = True
            yield _line(packet, "moves to UDP port 4500")
        yield _line(packet, told)

    def _negotiation(self, packet: Seen, cookie: bytes) -> Negotiation:
        found = self._known.get(cookie)
        if found is None:
            found = self._known[cookie] = Negotiation(packet.source)
            if (key := self._keys.get(cookie)) is not None:
                found.opener = Opener(key)
            if len(self._known) > NEGOTIATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(cookie)
        return found

    def _again(self, packet: Seen, found: Negotiation, octets: bytes) -> str:
        """Says so if the sender's message before was the same."""
        if (before := found.seen.get((packet.source, octets))) is not None:
            return f"sent again: the same {len(octets)} octets as in packet {before}"
        found.seen = {key: when for key, when in found.seen.items() if key[0] != packet.source}
        found.seen[packet.source, octets] = packet.number
        return ""

    def _whole(self, packet: Seen, octets: bytes) -> bytes | None:
        """The message of a datagram, or that to which it is the last piece."""
        header = parse_header(octets)
        if header.next_payload != FRAGMENT:
            return octets
        source = packet.source, packet.ports[0]
        key = header.cookie_i + header.cookie_r, source
        now = packet.at.timestamp()
        self._pieces.tick(now=now)
        return self._pieces.take(key, Fragment.parse(octets, header), now=now)

    def _opened(
        self,
        packet: Seen,
        header: Header,
        found: Negotiation,
        side: str,
        chain: Chain,
        octets: bytes,
    ) -> Iterator[str]:
        """With its key, what is in an encrypted message."""
        opener = found.opener
        if opener is None:
            return
        if not header.encrypted:
            if header.exchange in MODES:
                opener.hears(chain, side)
            return
        inside = opener.open(octets, header)
        if inside is not None:
            for phrase in said(header, inside, side):
                yield _line(packet, phrase)
        elif not found.shut:
            found.shut = True
            yield f"{_stamp(packet)} cannot be opened with the key log: {opener.why_not}"

    def _message(
        self, packet: Seen, header: Header, found: Negotiation, side: str, chain: Chain
    ) -> Iterator[str]:
        if header.exchange in MODES:
            yield _line(packet, _phase1(header, found, side, chain))
            for part in of_kind(chain, SA):
                for transform in SecurityAssociation.parse(part).proposals[0].transforms[:1]:
                    if side == "I":
                        yield _line(packet, f"offers {_suite(transform)} for phase 1")
            for part in of_kind(chain, VENDOR_ID):
                if side == "R":
                    yield _line(packet, f"vendor ID {part.body.hex().upper()}")
            if header.exchange == AGGRESSIVE:
                yield from self._key_checked(packet, header, found, side, chain)
            return
        if header.exchange in (TRANSACTION, QUICK) and side == "R" and not found.up:
            found.up = True
            yield _line(packet, "phase 1 stands: a message of the next phase follows")
        if header.exchange == INFORMATIONAL and chain:
            for part in of_kind(chain, NOTIFY):
                kind = notify_name(Notify.parse(part).kind).replace(" ", "-")
                yield _line(packet, f"informational [{_names(chain)}] type={kind}")
            return
        word = {TRANSACTION: "transaction", QUICK: f"phase 2 {side}"}
        yield _line(
            packet,
            f"{word.get(header.exchange, 'informational')} encrypted, {header.length} octets",
        )

    def _key_checked(
        self, packet: Seen, header: Header, found: Negotiation, side: str, chain: Chain
    ) -> Iterator[str]:
        """HASH_R = prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi | IDir), RFC 2409 §5.4."""
        parts = {kind: one(chain, kind) for kind in (SA, KE, NONCE, ID, HASH)}
        sa, ke, nonce, identity = parts[SA], parts[KE], parts[NONCE], parts[ID]
        if sa is None or ke is None or nonce is None or identity is None:
            return
        if side == "I" and header.cookie_r == NO_COOKIE:
            found.sa_i, found.public_i, found.nonce_i = sa.body, ke.body, nonce.body
            return
        proof = parts[HASH]
        if proof is None or self._group_key is None or not found.sa_i:
            return
        chosen = SecurityAssociation.parse(sa).proposals[0].transforms[0].value(HASH_KIND)
        name = next((row.name for row in HASHES if row.number == chosen), "")
        if not name:
            return
        key = self._group_key.octets()
        skeyid = skeyid_from_psk(name, key, found.nonce_i, nonce.body)
        cookies = header.cookie_r + header.cookie_i
        made = hmac(name, skeyid, ke.body + found.public_i + cookies + found.sa_i + identity.body)
        head = f"{_stamp(packet)} the group key is"
        if compare_digest(made, proof.body):
            yield f"{head} the one {packet.source} has: HASH_R fits"
        else:
            yield f"{head} not the one {packet.source} has: HASH_R was made with another key"

    def _esp(self, packet: Seen, how: str) -> Iterator[str]:
        key = frozenset((packet.source, packet.target))
        flow = self._flows.setdefault(key, Flow())
        if len(self._flows) > PAIRS:
            self._flows.popitem(last=False)
        count = flow.counts.get(packet.source, 0) + 1
        flow.counts[packet.source] = count
        if count <= SHOWN_ESP:
            yield _line(packet, f"ESP SPI 0x{packet.octets[:4].hex()} {how}")
        if len(flow.counts) > 1 and not flow.both:
            flow.both = True
            yield f"{_stamp(packet)} ESP both ways: phase 2 stands"

    def totals(self, number: int) -> Iterator[str]:
        for pair, flow in self._flows.items():
            ends = sorted(pair, key=lambda end: -flow.counts.get(end, 0))
            said = ", ".join(f"{flow.counts.get(end, 0)} from {end}" for end in ends)
            yield f"{self._last} packet {number} ESP in all: {said}"


def _phase1(header: Header, found: Negotiation, side: str, chain: Chain) -> str:
    count = found.counts.get(side, 0)
    found.counts[side] = count + 1
    step = "proof" if header.encrypted else "first" if count == 0 else "next"
    if header.exchange == AGGRESSIVE and side == "I" and count == 1:
        step = "proof"  # RFC 2409 §5.4 lets the third message travel in the clear
    inside = "encrypted" if header.encrypted else _names(chain)
    return f"phase 1 {side} {MODES[header.exchange]} {step} [{inside}] {header.length} octets"


def _names(chain: Chain) -> str:
    return " ".join(payload_name(part.kind) for part in chain)


def _suite(transform: Transform) -> str:
    """Names where there are any, numbers for the rest."""
    bits = transform.value(KEY_LENGTH) or 0
    number, hash, way, group = (
        transform.value(kind) for kind in (ENCRYPTION, HASH_KIND, AUTHENTICATION, GROUP)
    )
    ciphers = [row.token for row in IKE_CIPHERS if (row.number, row.key_bits) == (number, bits)]
    hashes = [row.token for row in HASHES if row.number == hash]
    groups = [row.token for row in GROUPS if row.number == group]
    ways = [row.label for row in AUTHENTICATIONS if row.number == way]
    return (
        "-".join(
            (
                *(ciphers or [f"cipher {number}{f'/{bits}' if bits else ''}"])[:1],
                *(hashes or [f"hash {hash}"])[:1],
                *(groups or [f"group {group}"])[:1],
            )
        )
        + f" ({(ways or [f'authentication {way}'])[0]})"
    )
