"""A whole ISAKMP message before encryption or after decryption."""

from __future__ import annotations

from dataclasses import replace

from culvert.ike.wire.header import ENCRYPTED, OCTETS, Header
from culvert.ike.wire.payload import GENERIC_HEADER, Chain, first_kind, join_chain, parse_chain
from culvert.octets.cursor import Cursor

LARGEST = 65_507  # octets of a UDP datagram over IPv4


def parse_header(octets: bytes) -> Header:
    return Header.parse(Cursor(octets))


def clear_body(octets: bytes, header: Header) -> Chain:
    """The payloads of an unencrypted message."""
    body = memoryview(octets)[OCTETS : header.length]
    return parse_chain(header.next_payload, Cursor(body, base=OCTETS))


def decrypted_body(body: bytes, header: Header) -> Chain:
    """The payloads of a decrypted body. Padding is any octets at all (racoon: random)."""
    return parse_chain(header.next_payload, Cursor(body, base=OCTETS))


def clear_message(header: Header, parts: Chain) -> bytes:
    """An unencrypted message; the header's next payload and length are filled in."""
    body = join_chain(parts)
    head = replace(header, next_payload=first_kind(parts), flags=header.flags & ~ENCRYPTED)
    return head.to_bytes(len(body)) + body


def message_octets(parts: Chain) -> int:
    """How long an unencrypted message with these payloads is."""
    return OCTETS + sum(len(part.body) + GENERIC_HEADER for part in parts)
