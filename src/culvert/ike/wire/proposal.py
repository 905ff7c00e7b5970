"""SA, proposal and transform payloads (RFC 2408 §3.4-3.6, RFC 2407 §4.6.1).

SA body:   DOI (4) | situation (4) | proposals
proposal:  number | protocol | SPI octets | transforms | SPI | transform payloads
transform: number | id | reserved (2) | attributes
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from culvert.errors import WireError
from culvert.ike.wire.attribute import Attribute, join, parse_attributes
from culvert.ike.wire.payload import (
    PROPOSAL,
    TRANSFORM,
    Part,
    join_chain,
    parse_chain,
)
from culvert.octets.cursor import Cursor

IPSEC_DOI = 1
IDENTITY_ONLY = 1

PROTO_ISAKMP = 1
PROTO_AH = 2
PROTO_ESP = 3
PROTO_IPCOMP = 4

KEY_IKE = 1  # the one transform id of phase 1

MOST_TRANSFORMS = 255  # of one SA; they are numbered in one octet, and each costs time to look at


@dataclass(frozen=True, slots=True)
class Transform:
    number: int
    identifier: int
    attributes: tuple[Attribute, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        number = cursor.u8("transform number")
        identifier = cursor.u8("transform id")
        cursor.u16("reserved octets")
        return cls(number, identifier, parse_attributes(cursor))

    def to_bytes(self) -> bytes:
        return bytes((self.number, self.identifier, 0, 0)) + join(self.attributes)

    def value(self, kind: int) -> int | None:
        """The number of the first attribute of this kind; order does not matter."""
        for attribute in self.attributes:
            if attribute.kind == kind:
                return attribute.number
        return None


@dataclass(frozen=True, slots=True)
class Proposal:
    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        number = cursor.u8("proposal number")
        protocol = cursor.u8("protocol")
        spi_octets = cursor.u8("SPI size")
        cursor.u8("number of transforms")  # the chain itself says how many there are
        spi = cursor.octets(spi_octets, "SPI")
        transforms = tuple([Transform.parse(part.cursor()) for part in _only(TRANSFORM, cursor)])
        return cls(number, protocol, spi, transforms)

    def to_bytes(self) -> bytes:
        head = bytes((self.number, self.protocol, len(self.spi), len(self.transforms)))
        return (
            head + self.spi + join_chain([Part(TRANSFORM, t.to_bytes()) for t in self.transforms])
        )


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """An SA payload. ``body`` is what was hashed: the octets received, or those written."""

    proposals: tuple[Proposal, ...]
    doi: int = IPSEC_DOI
    situation: int = IDENTITY_ONLY
    body: bytes = field(default=b"", compare=False)

    @classmethod
    def parse(cls, part: Part) -> Self:
        cursor = part.cursor()
        doi = cursor.u32("domain of interpretation")
        situation = cursor.u32("situation")
        if (doi, situation) != (IPSEC_DOI, IDENTITY_ONLY):
            raise WireError(
                f"DOI {doi} with situation {situation}, not 1 and 1", offset=part.offset
            )
        proposals: list[Proposal] = []
        left = MOST_TRANSFORMS
        for each in _only(PROPOSAL, cursor):
            proposals.append(Proposal.parse(each.cursor()))
            left -= len(proposals[-1].transforms)
            if left < 0:
                raise WireError(f"more than {MOST_TRANSFORMS} transforms", offset=each.offset)
        return cls(tuple(proposals), doi, situation, part.body)

    def to_bytes(self) -> bytes:
        head = self.doi.to_bytes(4, "big") + self.situation.to_bytes(4, "big")
        return head + join_chain([Part(PROPOSAL, p.to_bytes()) for p in self.proposals])


def _only(kind: int, cursor: Cursor) -> tuple[Part, ...]:
    """A nested chain must hold nothing else; an SA without proposals says nothing."""
    at = cursor.offset
    parts = parse_chain(kind, cursor)
    if any(part.kind != kind for part in parts):
        raise WireError(f"a payload other than {kind} inside this one", offset=at)
    return parts
