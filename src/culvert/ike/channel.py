"""Channel: writing, repeating and reading the ISAKMP messages of one IKE SA.

It knows cookies, keys, the path and what is unanswered; what a message means is `peer`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

from culvert.crypto.hash import same
from culvert.errors import IntegrityError, UnexpectedMessage
from culvert.eventlog.event import Field, LogEvent
from culvert.ike.keys import Phase1Keys, exchange_hash
from culvert.ike.outputs import Keyed, Output, Send
from culvert.ike.retransmit import FIRST_WAIT, LONGEST_WAIT, Answers, Repeat
from culvert.ike.sealing import Sealing
from culvert.ike.timers import Timers
from culvert.ike.wire.fragment import cut
from culvert.ike.wire.header import QUICK, Header
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.payload import GENERIC_HEADER, HASH, Chain, Part, first_kind, join_chain
from culvert.inet.address import Path, text
from culvert.rng import Random
from culvert.tables.numbers import exchange_name, payload_name

WHOLE = 1248
"""Octets of a datagram that any path passes in one packet: 1280, less IP, UDP and marker."""

SMALL = 520
"""The same where even that seems too much: 576 octets less 24 for IP options (RFC 791)."""

SMALL_FROM = 3  # the attempt from which pieces are small

SEEN_IDS = 512  # message ids of the peer's finished exchanges; an id is never used again


@dataclass(frozen=True, slots=True)
class Sealed:
    """A decrypted message, not yet known to be genuine."""

    octets: bytes
    header: Header
    parts: Chain
    body: bytes

    @property
    def rest(self) -> bytes:
        """What the HASH in front covers: as received, to the end of the last payload."""
        ends = [len(part.body) + GENERIC_HEADER for part in self.parts]
        return self.body[ends[0] : sum(ends)] if ends else b""


class Channel:
    """Outputs gather in ``out`` until the owner hands them on."""

    def __init__(self, cookie_i: bytes, path: Path, rng: Random, timers: Timers) -> None:
        self.cookie_i = cookie_i
        self.cookie_r = bytes(8)
        self.path = path
        self.out: list[Output] = []
        self.answers = Answers()
        self.cuts = False
        """Whether the peer puts fragments together."""
        self._last_cut = 0
        self._rng = rng
        self._timers = timers
        self._sealing: Sealing | None = None
        self._keys: Phase1Keys | None = None
        self._repeats: dict[int, tuple[Repeat, str]] = {}
        self._seen: dict[int, None] = {}

    # --- telling -----------------------------------------------------------------------------

    def log(self, code: str, **fields: Field) -> None:
        self.out.append(LogEvent(code, {"cookies": self.label, **fields}))

    @property
    def label(self) -> str:
        """Which negotiation it is, as events name it."""
        return f"{self.cookie_i.hex()}/{self.cookie_r.hex()}"

    @property
    def cookies(self) -> bytes:
        return self.cookie_i + self.cookie_r

    # --- keys --------------------------------------------------------------------------------

    @property
    def keys(self) -> Phase1Keys:
        if self._keys is None:
            raise UnexpectedMessage("there are no keys yet")
        return self._keys

    @property
    def keyed(self) -> bool:
        return self._keys is not None

    @property
    def sealing(self) -> Sealing | None:
        """What seals and opens its messages; None while there are no keys."""
        return self._sealing

    def use(self, keys: Phase1Keys) -> None:
        self._keys = keys
        self._sealing = Sealing(keys)
        self.out.append(Keyed(self.cookie_i, keys.cipher_key))

    def finish_phase1(self) -> None:
        if self._sealing is not None:
            self._sealing.finish_phase1()

    # --- writing -----------------------------------------------------------------------------

    def new_id(self) -> int:
        """A message id that neither end has used yet."""
        while True:
            drawn = int.from_bytes(self._rng.octets(4), "big")
            if drawn and drawn not in self._seen and drawn not in self._repeats:
                return drawn

    def send_clear(self, exchange: int, parts: Chain) -> bytes:
        header = Header(self.cookie_i, self.cookie_r, 0, exchange, 0, 0)
        octets = clear_message(header, parts)
        self._sent(exchange, 0, parts, octets, encrypted=False)
        return octets

    def send_sealed(
        self, exchange: int, message_id: int, parts: Chain, *, hashed: bytes | None = None
    ) -> bytes:
        """Encrypt and send ``parts`` behind their HASH.

        ``hashed`` replaces the usual HASH(1); an empty one leaves it out (phase 1 writes its own).
        """
        if self._sealing is None:
            raise UnexpectedMessage("there are no keys yet")
        if hashed is None:
            hashed = exchange_hash(self.keys, message_id, join_chain(parts))
        whole = (Part(HASH, hashed), *parts) if hashed else parts
        header = Header(self.cookie_i, self.cookie_r, 0, exchange, 0, message_id)
        octets = self._sealing.seal(header, join_chain(whole), first_kind(whole))
        self._sent(exchange, message_id, whole, octets, encrypted=True)
        return octets

    def send_quick_answer(self, message_id: int, parts: Chain, nonce_i: bytes) -> bytes:
        """Message 2 of quick mode: its HASH(2) covers the initiator's nonce too."""
        hashed = exchange_hash(self.keys, message_id, join_chain(parts), nonce_i)
        return self.send_sealed(QUICK, message_id, parts, hashed=hashed)

    def send_again(self, octets: bytes, path: Path) -> None:
        self._emit(octets, path)

    def _emit(self, octets: bytes, path: Path, largest: int = WHOLE) -> None:
        """One message; in pieces if it is long and the peer can put them together."""
        if not self.cuts or len(octets) <= largest:
            if len(octets) > WHOLE:
                self.log("ike.unfragmented", peer=text(path.remote), octets=len(octets))
            self.out.append(Send(octets, path))
            return
        self._last_cut = self._last_cut % 0xFFFF + 1
        pieces = list(cut(octets, parse_header(octets), self._last_cut, largest))
        self.log("ike.fragmented", peer=text(path.remote), octets=len(octets), pieces=len(pieces))
        self.out += [Send(piece, path) for piece in pieces]

    def _sent(
        self, exchange: int, message_id: int, parts: Chain, octets: bytes, *, encrypted: bool
    ) -> None:
        self.log(
            "ike.sending",
            exchange=exchange_name(exchange),
            payloads=picture(parts),
            encrypted=encrypted,
            peer=text(self.path.remote),
            message_id=message_id,
            octets=len(octets),
        )
        self._emit(octets, self.path)

    # --- repeating ---------------------------------------------------------------------------

    def expect_answer(
        self,
        message_id: int,
        octets: bytes,
        *,
        patience: float,
        otherwise: str,
        now: float,
        longest: float = LONGEST_WAIT,
    ) -> None:
        """Repeat ``octets`` until `answered`; after ``patience`` the SA ends for ``otherwise``.
        ``longest``: seconds between two repeats, at most."""
        repeat = Repeat(octets, now + patience, now, longest=longest)
        self._repeats[message_id] = repeat, otherwise
        self._timers.set("repeat", now + FIRST_WAIT, message_id)

    def answered(self, message_id: int) -> bool:
        """Whether this was waited for."""
        self._timers.stop("repeat", message_id)
        return self._repeats.pop(message_id, None) is not None

    def unanswered(self, message_id: int) -> bool:
        return message_id in self._repeats

    def repeat(self, message_id: int, *, now: float) -> tuple[Repeat, str] | None:
        """A repeat is due. Returns it with its ending when patience is over."""
        found = self._repeats.get(message_id)
        if found is None:
            return None
        repeat, _ = found
        due = repeat.next(now)
        if due is None:
            del self._repeats[message_id]
            return found
        self.log("ike.retransmit", peer=text(self.path.remote), attempt=repeat.attempts)
        self._emit(repeat.octets, self.path, SMALL if repeat.attempts >= SMALL_FROM else WHOLE)
        self._timers.set("repeat", due, message_id)
        return None

    def stop_repeating(self) -> None:
        for message_id in list(self._repeats):
            self.answered(message_id)

    # --- reading -----------------------------------------------------------------------------

    def read_clear(self, octets: bytes, header: Header) -> Chain:
        parts = clear_body(octets, header)
        self.note_received(header, parts)
        return parts

    def read_sealed(self, octets: bytes, header: Header) -> Sealed:
        """Decrypt and parse; not yet authentic. Raises ProtocolError when there are no keys."""
        if self._sealing is None:
            raise UnexpectedMessage("encrypted before there are keys")
        parts, body = self._sealing.open(octets, header)
        return Sealed(octets, header, parts, body)

    def check(self, sealed: Sealed, *, nonce: bytes = b"") -> None:
        """The HASH in front covers the rest. Only then does the chain of IVs move on."""
        wanted = exchange_hash(self.keys, sealed.header.message_id, sealed.rest, nonce)
        self.check_against(sealed, wanted)

    def check_against(self, sealed: Sealed, wanted: bytes) -> None:
        parts = sealed.parts
        if not parts or parts[0].kind != HASH or not same(parts[0].body, wanted):
            name = exchange_name(sealed.header.exchange)
            raise IntegrityError(f"the hash of a message in exchange {name} is wrong")
        self.accept(sealed.octets, sealed.header)
        self.note_received(sealed.header, parts)

    def accept(self, octets: bytes, header: Header) -> None:
        """The message was genuine."""
        if self._sealing is not None and header.encrypted:
            self._sealing.accept(octets, header)

    def begin_exchange(self, header: Header) -> None:
        """The peer opens an exchange. Raises UnexpectedMessage for an id it has used before."""
        if header.message_id in self._seen:
            raise UnexpectedMessage("a message id that was used before: a replay")
        self._seen[header.message_id] = None
        if len(self._seen) > SEEN_IDS:
            del self._seen[next(iter(self._seen))]

    def not_yet(self, header: Header) -> None:
        """A genuine first message that came too early: said again, it is the first still."""
        self._seen.pop(header.message_id, None)
        self.end_exchange(header.message_id)

    def end_exchange(self, message_id: int) -> None:
        if self._sealing is not None:
            self._sealing.forget(message_id)

    def note_received(self, header: Header, parts: Chain) -> None:
        self.log(
            "ike.received",
            exchange=exchange_name(header.exchange),
            payloads=picture(parts),
            encrypted=header.encrypted,
            peer=text(self.path.remote),
            message_id=header.message_id,
            octets=header.length,
        )


def picture(parts: Chain) -> str:
    """``HASH, SA, NON``: how logs draw a message."""
    return ", ".join([payload_name(part.kind) for part in parts])
