"""IPComp (RFC 3173) within ESP: packets that get shorter are compressed, all others are not.

    next header(1) flags(1) CPI(2) | compressed payload

Each packet stands for itself. DEFLATE is RFC 2394, LZS RFC 2395.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from culvert.errors import WireError
from culvert.esp import lzs
from culvert.esp.sa import Refusal

PROTOCOL = 108  # as next header
HEADER_OCTETS = 4
WORTH_TRYING = 90
"""Octets: shorter payloads hardly ever get shorter by more than the header (RFC 2394 §2.2,
RFC 2395 §2.2)."""
PATIENCE = 8
"""Packets in a row that do not get shorter, before others are passed over: a picture or a film is
under way, and trying costs more than sending."""
PASSED_OVER = 63
"""How many are passed over before the next is tried."""
MOST = 65535
"""Octets that may come out of one packet: no IP packet has more. What would become longer is
refused before it is there, so a small packet cannot take much memory or time."""

Payload = tuple[int, bytes]
"""Next header, octets."""


def _deflate(octets: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(octets) + made.flush()


def _inflate(octets: bytes, most: int) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        made = machine.decompress(octets, most)
    except zlib.error as error:
        raise WireError(f"not DEFLATE: {error}", offset=0) from error
    if not machine.eof or machine.unused_data:
        raise WireError("not one whole DEFLATE stream", offset=len(octets))
    return made


@dataclass(frozen=True, slots=True)
class _Algorithm:
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    well_known: int  # its CPI where none was negotiated (RFC 3173 §3.3)


_ALGORITHMS = {
    "deflate": _Algorithm(_deflate, _inflate, 2),
    "lzs": _Algorithm(lzs.compress, lzs.decompress, 3),
}
NAMES = frozenset(_ALGORITHMS)


class IpComp:
    """Both directions of one pair. ``cpi_in`` is what the peer writes, ``cpi_out`` what we do;
    ``room``: octets that may come out."""

    __slots__ = ("_algorithm", "_cpi_out", "_cpis_in", "_failed", "_passing", "_room")

    def __init__(self, algorithm: str, cpi_in: int, cpi_out: int, *, room: int = MOST) -> None:
        self._room = room
        self._algorithm = _ALGORITHMS[algorithm]
        self._cpis_in = frozenset((cpi_in, self._algorithm.well_known))
        self._cpi_out = cpi_out.to_bytes(2, "big")
        self._failed = 0  # packets in a row that did not get shorter
        self._passing = 0  # how many are not tried any more

    def wrap(self, payload: Payload) -> Payload:
        """Compressed if that is shorter, header included. While nothing gets shorter, most packets
        are not even tried (RFC 3173 §2.2)."""
        protocol, octets = payload
        if len(octets) < WORTH_TRYING or protocol == PROTOCOL:
            return payload
        if self._passing:
            self._passing -= 1
            return payload
        packed = self._algorithm.compress(octets)
        if len(packed) + HEADER_OCTETS >= len(octets):
            self._failed += 1
            if self._failed >= PATIENCE:
                self._passing = PASSED_OVER
            return payload
        self._failed = 0
        return PROTOCOL, bytes((protocol, 0)) + self._cpi_out + packed

    def unwrap(self, payload: Payload) -> Payload | Refusal:
        """The payload as it was; one that is not compressed is itself."""
        protocol, octets = payload
        if protocol != PROTOCOL:
            return payload
        if len(octets) < HEADER_OCTETS or octets[0] == PROTOCOL:
            return Refusal.COMPRESSION
        if int.from_bytes(octets[2:HEADER_OCTETS], "big") not in self._cpis_in:
            return Refusal.COMPRESSION
        try:
            made = self._algorithm.decompress(octets[HEADER_OCTETS:], self._room)
        except WireError:
            return Refusal.COMPRESSION
        return octets[0], made
