"""The chain of payloads behind an ISAKMP header (RFC 2408 §3.2).

    | next payload | reserved | length, with these 4 | body … |

A `Part` keeps the body as it stood on the wire: bodies are hashed as received, never re-encoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

# RFC 2408 §3.1; 14 draft-ietf-ipsec-isakmp-mode-cfg; 20, 21 RFC 3947; its drafts: 15 in
# 04-08, 130, 131 in 00-03
NONE = 0
SA = 1
PROPOSAL = 2
TRANSFORM = 3
KE = 4
ID = 5
CERT = 6
CERTREQ = 7
HASH = 8
SIG = 9
NONCE = 10
NOTIFY = 11
DELETE = 12
VENDOR_ID = 13
ATTRIBUTES = 14
NAT_D_LATE = 15
NAT_D = 20
NAT_OA = 21
NAT_D_DRAFT = 130
NAT_OA_DRAFT = 131
FRAGMENT = 132

MOST = 64  # payloads in one message; the longest known first message has 20
GENERIC_HEADER = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One payload: its number and its body without the generic header."""

    kind: int
    body: bytes
    offset: int = 0

    def cursor(self) -> Cursor:
        return Cursor(self.body, base=self.offset)


Chain = tuple[Part, ...]


def parse_chain(first: int, cursor: Cursor) -> Chain:
    """Walks by length and stops at next payload 0; what follows is padding and is not looked at.

    The walk only goes forward (a length counts its own header), so no chain can loop.
    """
    parts: list[Part] = []
    kind = first
    while kind != NONE:
        if len(parts) == MOST:
            raise WireError(f"more than {MOST} payloads", offset=cursor.offset)
        following = cursor.u8("next payload")
        cursor.u8("reserved octet")
        at = cursor.offset
        length = cursor.u16("payload length")
        if length < GENERIC_HEADER:
            raise WireError(f"payload length {length} is below its own header", offset=at)
        body_at = cursor.offset
        body = cursor.octets(length - GENERIC_HEADER, f"payload {kind}")
        parts.append(Part(kind, body, body_at))
        kind = following
    return tuple(parts)


def join_chain(parts: Iterable[Part]) -> bytes:
    """The inverse of `parse_chain`, without padding."""
    listed = tuple(parts)
    followers = [*[part.kind for part in listed], NONE][1:]
    return b"".join(
        [
            bytes((following, 0)) + (len(part.body) + GENERIC_HEADER).to_bytes(2, "big") + part.body
            for part, following in zip(listed, followers, strict=True)
        ]
    )


def first_kind(parts: Chain) -> int:
    return parts[0].kind if parts else NONE


def of_kind(parts: Iterable[Part], *kinds: int) -> tuple[Part, ...]:
    return tuple([part for part in parts if part.kind in kinds])


def one(parts: Iterable[Part], kind: int) -> Part | None:
    """The first payload of this kind, or None."""
    for part in parts:
        if part.kind == kind:
            return part
    return None


def must(parts: Iterable[Part], kind: int) -> Part:
    """The first payload of this kind, which the script has promised. Raises WireError without."""
    found = one(parts, kind)
    if found is None:
        raise WireError(f"payload {kind} is missing", offset=0)
    return found
