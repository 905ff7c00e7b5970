"""ISAKMP header (RFC 2408 §3.1).

0        8        16     17       18       19     20          24      28
| CKY-I  | CKY-R  | next | version| exch.  | flags| message id| length |
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Self

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

OCTETS = 28
VERSION = 0x10
NO_COOKIE = bytes(8)

ENCRYPTED = 0x01
COMMIT = 0x02
AUTHENTICATION_ONLY = 0x04

# Exchange types (RFC 2408 §3.1, RFC 2409 App. A, draft-ietf-ipsec-isakmp-mode-cfg §4)
BASE = 1
IDENTITY_PROTECTION = 2
AGGRESSIVE = 4
INFORMATIONAL = 5
TRANSACTION = 6
QUICK = 32

_LAYOUT = Struct("!8s8sBBBBII")


@dataclass(frozen=True, slots=True)
class Header:
    cookie_i: bytes
    cookie_r: bytes
    next_payload: int
    exchange: int
    flags: int
    message_id: int
    length: int = 0
    version: int = VERSION

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Raises WireError unless the length names this datagram's octets exactly or fewer."""
        start = cursor.offset
        whole = OCTETS + max(cursor.left - OCTETS, 0)
        cookie_i, cookie_r, following, version, exchange, flags, message_id, length = (
            _LAYOUT.unpack(cursor.take(OCTETS, "ISAKMP header"))
        )
        if version >> 4 != VERSION >> 4:
            raise WireError(f"ISAKMP major version {version >> 4}, not 1", offset=start + 17)
        if cookie_i == NO_COOKIE:
            raise WireError("the initiator cookie is zero", offset=start)
        if not OCTETS <= length <= whole:
            raise WireError(
                f"the header announces {length} octets, the datagram has {whole}",
                offset=start + 24,
            )
        return cls(cookie_i, cookie_r, following, exchange, flags, message_id, length, version)

    def to_bytes(self, body_octets: int) -> bytes:
        """The header of a message whose body (padding included) has ``body_octets``."""
        return _LAYOUT.pack(
            self.cookie_i,
            self.cookie_r,
            self.next_payload,
            self.version,
            self.exchange,
            self.flags,
            self.message_id,
            OCTETS + body_octets,
        )

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & ENCRYPTED)
