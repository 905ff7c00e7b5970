"""LZS, the compression of Stac (ANSI X3.241, RFC 2395 §2): one packet at a time, without memory.

0 + 8 bits                   this octet
1 + offset + length          as many octets from so far back
    offset  1 + 7 bits, or 0 + 11 bits
    length  2..4: 00 01 10 · 5..7: 1100 1101 1110 · from 8 on 1111 and further groups of four
1 1 0000000                  the end; zero bits up to a whole octet
"""

from __future__ import annotations

from culvert.errors import WireError

HISTORY = 2047
"""Octets: how far back a string may lie (11 bits)."""
NEAR = 128
SHORTEST = 2
"""Octets of a string."""
LONGEST = 4096
"""Octets of a string that we write in one piece; a longer run is several. Anything may be read."""

_END = 0b110000000
_SHORT = {2: (0b00, 2), 3: (0b01, 2), 4: (0b10, 2), 5: (0b1100, 4), 6: (0b1101, 4), 7: (0b1110, 4)}
_GROUP = 15  # what a group of four ones adds to a length
_FIRST_LONG = 8


def compress(octets: bytes) -> bytes:
    """Greedy: the longest of the last places where the next two octets stood."""
    made, bits = 1, 0  # all bits so far behind a leading one, cut into octets at the end
    pieces: list[bytes] = []
    places: dict[bytes, int] = {}
    at, size = 0, len(octets)
    while at < size:
        start = octets[at : at + SHORTEST]
        back = places.get(start, -1) if len(start) == SHORTEST else -1
        if back < 0 or at - back > HISTORY:
            code, width, step = octets[at], 9, 1
        else:
            step = _common(octets, back, at)
            code, width = _string(at - back, step)
        made, bits = made << width | code, bits + width
        for place in range(at, at + step):
            places[octets[place : place + SHORTEST]] = place
        at += step
        if bits >= _FLUSH:
            over = bits % 8
            pieces.append((made >> over).to_bytes((bits - over) // 8 + 1, "big")[1:])
            made, bits = 1 << over | made & ((1 << over) - 1), over
    made, bits = made << 9 | _END, bits + 9
    padding = -bits % 8
    pieces.append((made << padding).to_bytes((bits + padding) // 8 + 1, "big")[1:])
    return b"".join(pieces)


_FLUSH = 2048  # bits kept in one number: longer ones cost more to shift


def _common(octets: bytes, back: int, at: int) -> int:
    """How many octets are the same at both places; they may overlap."""
    most = min(len(octets) - at, LONGEST)
    count = SHORTEST
    while count < most and octets[back + count] == octets[at + count]:
        count += 1
    return count


def _string(offset: int, length: int) -> tuple[int, int]:
    """The code of a string, and its bits."""
    code, width = (0b11 << 7 | offset, 9) if offset < NEAR else (0b10 << 11 | offset, 13)
    short = _SHORT.get(length)
    if short is not None:
        return code << short[1] | short[0], width + short[1]
    groups, rest = divmod(length - _FIRST_LONG, _GROUP)
    ones = 4 * (groups + 1)
    return (code << ones | (1 << ones) - 1) << 4 | rest, width + ones + 4


def decompress(octets: bytes, most: int) -> bytes:
    """Raises WireError for what is not LZS, has no end, or would become more than ``most``."""
    reader = _Bits(octets)
    made = bytearray()
    while True:
        if not reader.take(1):
            made.append(reader.take(8))
        else:
            offset = reader.take(7) if reader.take(1) else reader.take(11)
            if not offset:
                reader.finish()
                return bytes(made)
            _copy(made, offset, reader.length(most), most)
        if len(made) > most:
            raise WireError(f"more than {most} octets come out", offset=len(octets))


def _copy(made: bytearray, offset: int, length: int, most: int) -> None:
    if offset > len(made):
        raise WireError("a string from before the beginning", offset=len(made))
    if len(made) + length > most:
        raise WireError(f"more than {most} octets come out", offset=len(made))
    start = len(made) - offset
    if offset >= length:
        made += made[start : start + length]
    else:  # it runs into itself: a pattern that repeats
        pattern = bytes(made[start:])
        made += (pattern * (length // offset + 1))[:length]


class _Bits:
    """Reads bits from the highest of the first octet on."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0
        self._end = 8 * len(octets)

    def take(self, count: int) -> int:
        first, at = self._at >> 3, self._at & 7
        self._at += count
        if self._at > self._end:
            raise WireError("ends without an end marker", offset=len(self._octets))
        window = int.from_bytes(self._octets[first : first + 3].ljust(3, b"\0"), "big")
        return window >> (24 - at - count) & ((1 << count) - 1)

    def length(self, most: int) -> int:
        head = self.take(2)
        if head < 0b11:
            return head + 2
        tail = self.take(2)
        if tail < 0b11:
            return tail + 5
        length = _FIRST_LONG
        while (group := self.take(4)) == _GROUP:
            length += _GROUP
            if length > most:
                raise WireError(f"more than {most} octets come out", offset=self._at >> 3)
        return length + group

    def finish(self) -> None:
        """Nothing but zero bits up to a whole octet may follow the end marker."""
        rest = -self._at % 8
        if self.take(rest) or self._at != self._end:
            raise WireError("octets behind the end marker", offset=self._at >> 3)
