"""What a record has in place of messages with passwords: the same with others in them.

    really received   … IV a │ REPLY name, password │ block x     next one with IV x
    in the record     … IV a │ REPLY name, masked   │ block y     next one with IV y

The last encrypted block of a message is the next one's IV in the same exchange (RFC 2409 App. B),
so what is said further in that exchange is sealed again as well.
"""

from __future__ import annotations

from contextlib import suppress

from culvert.errors import ProtocolError, UnexpectedMessage
from culvert.ike.endpoint import Endpoint
from culvert.ike.fragments import STRANGERS, Reassembly
from culvert.ike.keys import exchange_iv
from culvert.ike.peer import IkeSa
from culvert.ike.resealing import resealed
from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import (
    AGGRESSIVE,
    IDENTITY_PROTECTION,
    NO_COOKIE,
    OCTETS,
    TRANSACTION,
    Header,
)
from culvert.ike.wire.message import parse_header
from culvert.inet.address import Path
from culvert.rng import Random

LETTERS = b"abcdefghijklmnopqrstuvwxyz234567"


class UnmaskableError(ProtocolError):
    """It may hold a password, and cannot be told without it."""


class Masking:
    """``keep``: passwords stay as they are."""

    def __init__(self, rng: Random, *, keep: bool) -> None:
        self.blind = False
        """Whether there is something in the record that nobody could look into."""
        self._rng = rng
        self._keep = keep
        self._values: dict[bytes, bytes] = {}
        self._told: dict[bytes, bytes] = {}  # what was received -> what the record has of it
        self._last: dict[tuple[bytes, int], bytes] = {}
        """Of exchanges that differ: the message that was really the last."""
        self._phase1: dict[bytes, bytes] = {}
        """The last encrypted message of phase 1 by the caller's cookie."""
        self._pieces = Reassembly(STRANGERS)

    def received(self, octets: bytes, path: Path, endpoint: Endpoint, *, now: float) -> bytes:
        """What the record has of a datagram, for ``endpoint``, which knows what is recorded.

        Raises UnmaskableError.
        """
        if self._keep:
            return octets
        try:
            header = parse_header(octets)
        except ProtocolError:
            return self._nothing_of(octets)
        if header.next_payload == FRAGMENT:
            self._fragment(octets, header, path, endpoint, now)
        elif header.exchange == TRANSACTION:
            if octets not in self._told:
                self._told[octets] = self._masked(octets, header, path, endpoint)
            return self._told[octets]
        else:
            self._note_phase1(octets, header)
        return octets

    def sent(self, octets: bytes) -> None:
        """Really, by the gateway."""
        if self.differs(octets):
            self._last[_exchange(parse_header(octets))] = octets

    def differs(self, octets: bytes) -> bool:
        """Whether this message is sealed otherwise in the record."""
        header = parse_header(octets)
        return header.exchange == TRANSACTION and _exchange(header) in self._last

    def _fragment(
        self, octets: bytes, header: Header, path: Path, endpoint: Endpoint, now: float
    ) -> None:
        """Those of phase 1 hold certificates; later ones might hold what a person typed."""
        sa = endpoint.owner(header, path)
        later = header.cookie_r != NO_COOKIE if sa is None else not sa.in_phase1
        inner = header
        with suppress(ProtocolError):
            piece = Fragment.parse(octets, header)
            key = header.cookie_i + header.cookie_r, path.remote
            if (whole := self._pieces.take(key, piece, now=now)) is not None:
                inner = parse_header(whole)
                self._note_phase1(whole, inner)
        if later or TRANSACTION in (header.exchange, inner.exchange):
            raise UnmaskableError("what may be a login came in fragments")

    def _note_phase1(self, octets: bytes, header: Header) -> None:
        if header.encrypted and header.exchange in (AGGRESSIVE, IDENTITY_PROTECTION):
            self._phase1[header.cookie_i] = octets[: header.length]

    def _masked(self, octets: bytes, header: Header, path: Path, endpoint: Endpoint) -> bytes:
        sa = endpoint.owner(header, path)
        exchange = _exchange(header)
        try:
            if sa is None or (sealing := sa.channel.sealing) is None or not header.encrypted:
                raise UnexpectedMessage("nobody has the keys to it any more, or yet")
            real = recorded = self._early_iv(sa, header) or sealing.iv(header.message_id)
            if sealing.chains(header.message_id) and exchange in self._last:
                real = self._last[exchange][-sa.channel.keys.block :]
            made = resealed(sa.channel, octets, header, (real, recorded), self._other)
        except ProtocolError:
            return self._nothing_of(octets)
        if made.genuine and made.octets != octets[: header.length]:
            self._last[exchange] = octets[: header.length]
        elif made.genuine:
            self._last.pop(exchange, None)
        return made.octets

    def _early_iv(self, sa: IkeSa, header: Header) -> bytes:
        """Of a message that came while the proof in front of it was still looked at; else none."""
        last = self._phase1.get(header.cookie_i)
        if last is None or not sa.in_phase1:
            return b""
        keys = sa.channel.keys
        return exchange_iv(keys, last[-keys.block :], header.message_id)

    def _nothing_of(self, octets: bytes) -> bytes:
        """Nobody can tell what is in it: the header, and octets that are as wrong as it is."""
        self.blind = True
        return octets[:OCTETS] + self._rng.octets(max(len(octets) - OCTETS, 0))

    def _other(self, value: bytes) -> bytes:
        """Another secret of the same length; the same for the same. A trailing NUL stays."""
        text = value.removesuffix(b"\x00")
        if text and text not in self._values:
            made = text
            while made == text:
                made = bytes([LETTERS[one % len(LETTERS)] for one in self._rng.octets(len(text))])
            self._values[text] = made
        return self._values.get(text, b"") + value[len(text) :]


def _exchange(header: Header) -> tuple[bytes, int]:
    return header.cookie_i, header.message_id
