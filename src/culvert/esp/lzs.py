"""LZS, the compression of Stac (ANSI X3.241, RFC 2395 §2): one packet at a time, without memory.

0 + 8 bits                   this octet
1 + offset + length          as many octets from so far back
    offset  1 + 7 bits, or 0 + 11 bits
    length  2..4: 00 01 10 · 5..7: 1100 1101 1110 · from 8 on 1111 and further groups of four
1 1 0000000                  the end; zero bits up to a whole octet
"""

from __future__ import annotations

from itertools import pairwise

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
    """Greedy: the longest string from the last place where the next two octets stood."""
    made, bits = 1, 0  # all bits so far behind a leading one, cut into octets now and then
    pieces: list[bytes] = []
    keys = [one << 8 | other for one, other in pairwise(octets)]
    keys.append(_NO_KEY)  # the last octet begins no pair
    places: dict[int, int] = {}
    at, size = 0, len(octets)
    while at < size:
        key = keys[at]
        back = places.get(key, -1)
        if back < 0 or at - back > HISTORY or key == _NO_KEY:
            made, bits = made << 9 | octets[at], bits + 9
            places[key] = at
            at += 1
        else:
            step = _common(octets, back, at)
            code, width = _string(at - back, step)
            made, bits = made << width | code, bits + width
            places.update(zip(keys[at : at + step], range(at, at + step), strict=True))
            at += step
        if bits >= _FLUSH:
            over = bits % 8
            pieces.append((made >> over).to_bytes((bits - over) // 8 + 1, "big")[1:])
            made, bits = 1 << over | made & ((1 << over) - 1), over
    made, bits = made << 9 | _END, bits + 9
    padding = -bits % 8
    pieces.append((made << padding).to_bytes((bits + padding) // 8 + 1, "big")[1:])
    return b"".join(pieces)


_FLUSH = 512  # bits kept in one number: longer ones cost more to shift
_NO_KEY = -1


def _common(octets: bytes, back: int, at: int) -> int:
    """How many octets are the same at both places; they may overlap."""
    most = min(len(octets) - at, LONGEST)
    count = SHORTEST
    while count + _BLOCK < most and (
        octets[back + count : back + count + _BLOCK] == octets[at + count : at + count + _BLOCK]
    ):
        count += _BLOCK
    while count < most and octets[back + count] == octets[at + count]:
        count += 1
    return count


_BLOCK = 32  # octets compared at a time


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
        made += reader.literals()
        if len(made) > most:
            raise WireError(f"more than {most} octets come out", offset=len(octets))
        offset = reader.offset()
        if not offset:
            reader.finish()
            return bytes(made)
        _copy(made, offset, reader.length(most), most)


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

    __slots__ = ("_have", "_octets", "_taken", "_window")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._window = 0  # the next bits
        self._have = 0  # how many of them
        self._taken = 0  # octets that are in the window or behind it

    def take(self, count: int) -> int:
        if self._have < count:
            self._fill(count)
        self._have -= count
        found = self._window >> self._have
        self._window &= (1 << self._have) - 1
        return found

    def _fill(self, count: int) -> None:
        more = self._octets[self._taken : self._taken + _CHUNK]
        self._window = self._window << 8 * len(more) | int.from_bytes(more, "big")
        self._have += 8 * len(more)
        self._taken += len(more)
        if self._have < count:
            raise WireError("ends without an end marker", offset=len(self._octets))

    def literals(self) -> bytearray:
        """As many octets as stand here by themselves; the bit that is none of them is taken."""
        found = bytearray()
        window, have = self._window, self._have
        while True:
            if have < 9:
                self._window, self._have = window, have
                self._fill(1)
                window, have = self._window, self._have
            if window >> have - 1:
                self._window, self._have = window & ~(1 << have - 1), have - 1
                return found
            if have < 9:
                raise WireError("ends without an end marker", offset=len(self._octets))
            have -= 9
            found.append(window >> have)
            window &= (1 << have) - 1

    def offset(self) -> int:
        """How far back a string lies; 0 for the end."""
        near = self.take(1)
        found = self.take(7) if near else self.take(11)
        if not found and not near:
            raise WireError("a string from nowhere", offset=self._taken)
        return found

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
                raise WireError(f"more than {most} octets come out", offset=self._taken)
        return length + group

    def finish(self) -> None:
        """Nothing but zero bits up to a whole octet may follow the end marker."""
        if self._window or self._have >= 8 or self._taken < len(self._octets):
            raise WireError("octets behind the end marker", offset=self._taken)


_CHUNK = 16  # octets read at a time
