"""The internet checksum (RFC 1071) and its update after a change (RFC 1624)."""

from __future__ import annotations

_HALVES = tuple(((1 << bits) - 1, bits) for bits in (5760, 2880, 1440, 720, 368))
"""Where to fold long numbers, in multiples of 16 bits: a remainder of a long number is slow."""


def sum_of(data: bytes | bytearray) -> int:
    """Ones' complement sum of 16-bit words, not folded; an odd last octet is a high one.

    2^16 leaves remainder 1 when divided by 65535, so the words may be added in any order, many at
    a time. Of sums of sums only the remainder by 65535 means anything.
    """
    number = int.from_bytes(data, "big")
    if len(data) % 2:
        number <<= 8
    for mask, bits in _HALVES:
        if number > mask:
            number = (number & mask) + (number >> bits)
    return number


def checksum(data: bytes | bytearray) -> int:
    """Complement of the folded `sum_of`; only the two zeros need telling apart."""
    number = sum_of(data)
    total = number % 0xFFFF
    return 0xFFFF - (total or (0xFFFF if number else 0))


def updated(old_checksum: int, old: int, new: int, *, odd: bool = False) -> int:
    """The checksum after one 16-bit value changed (RFC 1624 §3, eqn. 3).

    ``odd``: the value starts at an odd offset, so its octets lie in two words (RFC 1071 §2 B).
    """
    if odd:
        old, new = _swapped(old), _swapped(new)
    total = (old_checksum ^ 0xFFFF) + (old ^ 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _swapped(value: int) -> int:
    return (value & 0xFF) << 8 | value >> 8
