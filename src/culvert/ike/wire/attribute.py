"""Data attributes of transforms, Mode Config and RESPONDER-LIFETIME (RFC 2408 §3.3).

|A| type (15) | value or length (16) | value, if the length form |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

SHORT_FORM = 0x8000
SHORTEST = 4  # octets of an attribute
MOST = 64  # attributes in one list; the longest known (SPLIT lists excepted, one each) has 20


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. ``short`` keeps the form seen on the wire, so that what the peer hashed is
    what we hash."""

    kind: int
    value: bytes
    short: bool

    @classmethod
    def of(cls, kind: int, number: int) -> Self:
        """Short form up to 16 bits, else long form of at least four octets, which is how every
        known peer writes a life duration."""
        if number <= 0xFFFF:
            return cls(kind, number.to_bytes(2, "big"), short=True)
        size = max(4, (number.bit_length() + 7) // 8)
        return cls(kind, number.to_bytes(size, "big"), short=False)

    @classmethod
    def octets(cls, kind: int, value: bytes) -> Self:
        """Long form, whatever the length."""
        return cls(kind, value, short=False)

    @property
    def number(self) -> int:
        return int.from_bytes(self.value, "big")

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        head = cursor.u16("attribute type")
        if head & SHORT_FORM:
            return cls(head & 0x7FFF, cursor.octets(2, "attribute value"), short=True)
        length = cursor.u16("attribute length")
        return cls(head, cursor.octets(length, "attribute value"), short=False)

    def to_bytes(self) -> bytes:
        if self.short:
            return (self.kind | SHORT_FORM).to_bytes(2, "big") + self.value
        return self.kind.to_bytes(2, "big") + len(self.value).to_bytes(2, "big") + self.value


def parse_attributes(cursor: Cursor, *, padded: bool = False) -> tuple[Attribute, ...]:
    """All that are left; ``padded``: fewer zero octets than an attribute has may follow them."""
    found: list[Attribute] = []
    while cursor.left:
        if padded and cursor.left < SHORTEST and cursor.blank:
            break
        if len(found) == MOST:
            raise WireError(f"more than {MOST} attributes in one list", offset=cursor.offset)
        found.append(Attribute.parse(cursor))
    return tuple(found)


def join(attributes: Iterable[Attribute]) -> bytes:
    return b"".join([attribute.to_bytes() for attribute in attributes])
