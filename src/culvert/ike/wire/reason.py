"""Delete with reason between two of our own ends: payload 129.

    DOI (4) | protocol | SPI octets | number of SPIs (2) | SPIs | attributes

Cisco's layout of it is not public; this one is ours, sent only to peers that sent our vendor id,
and always beside the standard delete (docs/reference/delete-with-reason.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from culvert.ike.wire.attribute import Attribute, join, parse_attributes
from culvert.ike.wire.notify import Delete
from culvert.ike.wire.payload import Part

DELETE_WITH_REASON = 129

CODE, TEXT, ENDING = 1, 2, 3  # attribute numbers: reason number, its text, our own name for it

LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Reason:
    """``code`` as in tables/endings.toml (0 = none fits); ``ending`` a row's id of that table."""

    code: int = 0
    text: str = ""
    ending: str = ""

    def part(self, deleted: Delete) -> Part:
        attributes = [
            Attribute.of(CODE, self.code),
            Attribute.octets(TEXT, self.text.encode()[:LONGEST_TEXT]),
            Attribute.octets(ENDING, self.ending.encode()[:LONGEST_TEXT]),
        ]
        return Part(DELETE_WITH_REASON, deleted.to_bytes() + join(attributes))

    @classmethod
    def parse(cls, part: Part) -> Self:
        """The SPIs are those of the standard delete and are passed over."""
        cursor = part.cursor()
        cursor.u32("domain of interpretation")
        cursor.u8("protocol")
        spi_octets = cursor.u8("SPI size")
        cursor.take(spi_octets * cursor.u16("number of SPIs"), "SPIs")
        given = {a.kind: a for a in parse_attributes(cursor)}
        return cls(
            given[CODE].number if CODE in given else 0,
            _text(given.get(TEXT)),
            _text(given.get(ENDING)),
        )


def _text(attribute: Attribute | None) -> str:
    if attribute is None:
        return ""
    return attribute.value[:LONGEST_TEXT].decode("utf-8", "replace")
