"""Notify and delete payloads (RFC 2408 §3.14-3.15).

notify: DOI (4) | protocol | SPI octets | type (2) | SPI | data
delete: DOI (4) | protocol | SPI octets | number of SPIs (2) | SPIs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from culvert.errors import WireError
from culvert.ike.wire.payload import DELETE, NOTIFY, Part
from culvert.ike.wire.proposal import IPSEC_DOI

# RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5.4, Cisco Unity
INVALID_EXCHANGE_TYPE = 7
INVALID_SPI = 11
NO_PROPOSAL_CHOSEN = 14
INVALID_ID_INFORMATION = 18
INVALID_CERTIFICATE = 20
CERT_TYPE_UNSUPPORTED = 21
INVALID_CERT_AUTHORITY = 22
INVALID_HASH_INFORMATION = 23
AUTHENTICATION_FAILED = 24
INVALID_SIGNATURE = 25
UNSUPPORTED_EXCHANGE_TYPE = 29
RESPONDER_LIFETIME = 24576
REPLAY_STATUS = 24577
INITIAL_CONTACT = 24578
R_U_THERE = 36136
R_U_THERE_ACK = 36137
ALTIGA_KEEPALIVE = 40500

MOST_SPIS = 256


@dataclass(frozen=True, slots=True)
class Notify:
    kind: int
    protocol: int = 0
    spi: bytes = b""
    data: bytes = b""
    doi: int = IPSEC_DOI

    @classmethod
    def parse(cls, part: Part) -> Self:
        cursor = part.cursor()
        doi = cursor.u32("domain of interpretation")
        protocol = cursor.u8("protocol")
        spi_octets = cursor.u8("SPI size")
        kind = cursor.u16("notify type")
        spi = cursor.octets(spi_octets, "SPI")
        return cls(kind, protocol, spi, cursor.rest(), doi)

    def to_bytes(self) -> bytes:
        head = self.doi.to_bytes(4, "big") + bytes((self.protocol, len(self.spi)))
        return head + self.kind.to_bytes(2, "big") + self.spi + self.data

    def part(self) -> Part:
        return Part(NOTIFY, self.to_bytes())


@dataclass(frozen=True, slots=True)
class Delete:
    protocol: int
    spis: tuple[bytes, ...]
    doi: int = IPSEC_DOI

    @classmethod
    def parse(cls, part: Part) -> Self:
        cursor = part.cursor()
        doi = cursor.u32("domain of interpretation")
        protocol = cursor.u8("protocol")
        spi_octets = cursor.u8("SPI size")
        count = cursor.u16("number of SPIs")
        if count > MOST_SPIS:
            raise WireError(f"delete of {count} SPIs at once", offset=part.offset + 6)
        return cls(protocol, tuple([cursor.octets(spi_octets, "SPI") for _ in range(count)]), doi)

    def to_bytes(self) -> bytes:
        size = len(self.spis[0]) if self.spis else 0
        head = self.doi.to_bytes(4, "big") + bytes((self.protocol, size))
        return head + len(self.spis).to_bytes(2, "big") + b"".join(self.spis)

    def part(self) -> Part:
        return Part(DELETE, self.to_bytes())
