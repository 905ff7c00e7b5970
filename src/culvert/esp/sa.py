"""The two halves of an IPsec SA (RFC 4303): seal and open batches of packets.

    SPI(4) sequence(4) | IV | inner packet, padding 1 2 3 …, pad length(1), next header(1) | ICV

A datagram here is exactly that; how it travels (UDP, bare, TCP) is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import inf
from typing import TypeVar

from culvert.crypto.packet import HEADER_OCTETS, PacketSuite
from culvert.errors import MisuseError
from culvert.esp.replay import WINDOW, ReplayWindow
from culvert.rng import Random

IPV4, IPV6, NO_NEXT_HEADER = 4, 41, 59  # next header (RFC 4303 §2.6)
RESERVED_SPIS = 255  # RFC 4303 §2.1
LAST_SEQUENCE = 2**32 - 1  # without extended sequence numbers the SA ends here (RFC 4303 §3.3.3)
WORN_SEQUENCE = LAST_SEQUENCE - 2**24
"""From here on the SA asks to be replaced: 16 s before its end at a million packets a second."""

Item = TypeVar("Item")

NEXT_HEADER = {4: IPV4, 6: IPV6}
"""IP version → what ESP says of the packet."""

_PADDING = tuple(bytes(range(1, count + 1)) for count in range(256))


class Refusal(StrEnum):
    """Why a datagram was not opened. Counted each for itself (RFC 4301 §4.4.2.1)."""

    SHORT = "short"  # too short, or not a whole number of blocks
    REPLAYED = "replayed"
    NOT_AUTHENTIC = "not-authentic"
    PADDING = "padding"  # authentic, but not padded 1, 2, 3 …
    # Authentic, but not the IP packet it is said to be (vpnc says IPv4 of every packet).
    NEXT_HEADER = "next-header"
    COMPRESSION = "compression"  # authentic, but it cannot be decompressed (RFC 3173)
    DUMMY = "dummy"  # traffic-flow padding: to be dropped without a word (RFC 4303 §2.6)


class OutboundSa:
    """Seals packets for one SPI, each under the next sequence number."""

    __slots__ = ("_hard", "_sealer", "_sequence", "_spi", "_trailers", "octets", "suite")

    def __init__(
        self,
        spi: int,
        suite: PacketSuite,
        *,
        cipher_key: bytes,
        salt: bytes,
        integrity_key: bytes,
        rng: Random,
        sealed: int = 0,
        hard: int = 0,
    ) -> None:
        """``sealed``: the last sequence number already used under these keys.

        ``hard``: when as many octets are sealed, no more packets are; 0: no such limit.
        """
        self.suite = suite
        self._spi = spi_octets(spi)
        self._sealer = suite.sealer(cipher_key, salt, integrity_key, rng)
        self._sequence = sealed
        self._hard = hard
        self.octets = 0
        """Sealed so far, as a lifetime counts them: what the cipher was applied to."""
        self._trailers = {header: _trailers(suite, header) for header in (IPV4, IPV6)}

    @property
    def worn(self) -> bool:
        """Whether it is time to negotiate a successor."""
        return self._sequence >= WORN_SEQUENCE or 0 < self.suite.cipher.volume <= self.octets

    @property
    def sequence(self) -> int:
        """The last number used."""
        return self._sequence

    def go_on(self, sequence: int, octets: int) -> None:
        """Another one has sealed so much with these keys, and will not seal any more."""
        self._sequence = max(self._sequence, sequence)
        self.octets = octets

    def seal_batch(self, packets: Sequence[bytes]) -> list[bytes]:
        """One datagram per whole IPv4 or IPv6 packet, in order.

        Fewer than given when the sequence numbers end, as a number is never used twice (RFC 4303
        §3.3.3), or the lifetime (RFC 4301 §4.4.2.1): the last packets are left out.
        """
        return self._seal((NEXT_HEADER[packet[0] >> 4], packet) for packet in self._room(packets))

    def seal_payloads(self, payloads: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Transport mode: one datagram for each payload with its IP protocol, likewise."""
        for protocol, _ in payloads:
            if protocol not in self._trailers:
                self._trailers[protocol] = _trailers(self.suite, protocol)
        return self._seal(self._room(payloads))

    def _room(self, given: Sequence[Item]) -> Sequence[Item]:
        return given[: LAST_SEQUENCE - self._sequence]

    def _seal(self, given: Iterable[tuple[int, bytes]]) -> list[bytes]:
        seal, spi, sequence = self._sealer.seal, self._spi, self._sequence
        octets, most = self.octets, self._hard or inf
        sealed: list[bytes] = []
        for next_header, packet in given:
            if octets >= most:
                break
            sequence += 1
            trailers = self._trailers[next_header]
            clear = packet + trailers[len(packet) % len(trailers)]
            octets += len(clear)
            sealed.append(seal(spi + sequence.to_bytes(4, "big"), sequence, clear))
        self._sequence = sequence
        self.octets = octets
        return sealed


class InboundSa:
    """Opens datagrams of one SPI."""

    __slots__ = ("_align", "_opener", "_shortest", "_window", "octets", "spi", "suite")

    def __init__(
        self,
        spi: int,
        suite: PacketSuite,
        *,
        cipher_key: bytes,
        salt: bytes,
        integrity_key: bytes,
        window: int = WINDOW,
    ) -> None:
        self.spi = spi_octets(spi)
        self.suite = suite
        # Asked per packet, so not computed per packet.
        self._shortest, self._align = suite.shortest, suite.cipher.align
        self._opener = suite.opener(cipher_key, salt, integrity_key)
        self._window = ReplayWindow(window)
        self.octets = 0
        """Opened so far, as a lifetime counts them."""

    @property
    def highest(self) -> int:
        """The highest sequence number that proved authentic."""
        return self._window.highest

    @property
    def seen(self) -> int:
        """Bit n: whether the number ``highest`` - n was seen."""
        return self._window.seen

    def go_on(self, highest: int, seen: int, octets: int) -> None:
        """Another one has opened so much with these keys."""
        self._window.go_on(highest, seen)
        self.octets = octets

    def open_batch(self, datagrams: Sequence[bytes]) -> list[bytes | Refusal]:
        """For each datagram, in order, its inner packet or why there is none."""
        return [inner(_payload(self._open(datagram))) for datagram in datagrams]

    def open_payloads(self, datagrams: Sequence[bytes]) -> list[tuple[int, bytes] | Refusal]:
        """Transport mode: for each datagram what it carries, with its IP protocol."""
        return [_payload(self._open(datagram)) for datagram in datagrams]

    def _open(self, datagram: bytes) -> bytes | Refusal:
        """Clear text with its trailer."""
        beyond = len(datagram) - self._shortest
        if beyond < 0 or beyond % self._align:
            return Refusal.SHORT
        sequence = int.from_bytes(datagram[4:HEADER_OCTETS], "big")
        if not self._window.fresh(sequence):
            return Refusal.REPLAYED
        clear = self._opener.open(datagram)
        if clear is None:
            return Refusal.NOT_AUTHENTIC
        self._window.advance(sequence)
        self.octets += len(clear)
        return clear


def spi_octets(spi: int) -> bytes:
    """The SPI as a datagram begins with it. Raises MisuseError for a reserved one."""
    if not RESERVED_SPIS < spi < 2**32:
        raise MisuseError(f"SPI {spi:#x} is reserved or no SPI at all")
    return spi.to_bytes(4, "big")


def _trailers(suite: PacketSuite, next_header: int) -> tuple[bytes, ...]:
    """What ends a packet, by the packet's length modulo the alignment."""
    align = suite.cipher.align
    return tuple(
        _PADDING[count] + bytes((count, next_header))
        for count in (-(length + 2) % align for length in range(align))
    )


def _payload(clear: bytes | Refusal) -> tuple[int, bytes] | Refusal:
    if isinstance(clear, Refusal):
        return clear
    padding, next_header = clear[-2], clear[-1]
    if next_header == NO_NEXT_HEADER:
        return Refusal.DUMMY
    end = len(clear) - 2 - padding
    if end < 0 or clear[end:-2] != _PADDING[padding]:
        return Refusal.PADDING
    return next_header, clear[:end]


def inner(found: tuple[int, bytes] | Refusal) -> bytes | Refusal:
    """Tunnel mode: the packet that a payload is, if it is the IP version it is said to be."""
    if isinstance(found, Refusal):
        return found
    next_header, packet = found
    if not packet or NEXT_HEADER.get(packet[0] >> 4) != next_header:
        return Refusal.NEXT_HEADER
    return packet
