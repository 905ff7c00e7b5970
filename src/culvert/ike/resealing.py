"""A transaction with other values in it, sealed again: for records, which keep no password
(docs/decisions/0186-records-of-a-gateway.md).

Nothing moves in the message: other values have the length of those they stand for. Padding, which
may be any octets, is zero after it. A HASH that was right is right again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.crypto.hash import same
from culvert.errors import UnexpectedMessage
from culvert.ike.channel import Channel, Sealed
from culvert.ike.keys import exchange_hash
from culvert.ike.wire.attribute import SHORTEST, Attribute
from culvert.ike.wire.config import (
    XAUTH_ANSWER,
    XAUTH_NEXT_PIN,
    XAUTH_PASSCODE,
    XAUTH_USER_PASSWORD,
)
from culvert.ike.wire.header import OCTETS, Header
from culvert.ike.wire.message import decrypted_body
from culvert.ike.wire.payload import ATTRIBUTES, GENERIC_HEADER, HASH, Chain
from culvert.octets.cursor import Cursor

SECRETS = frozenset((XAUTH_USER_PASSWORD, XAUTH_PASSCODE, XAUTH_NEXT_PIN, XAUTH_ANSWER))
"""Attributes whose values are a person's secrets. (A RADIUS-CHAP response comes as a password.)"""

CONFIG_HEAD = 4
"""Octets before the attributes of a configuration message."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """``genuine``: the HASH in front was right, so this message moves its chain of IVs."""

    octets: bytes
    genuine: bool


def resealed(
    channel: Channel,
    octets: bytes,
    header: Header,
    ivs: tuple[bytes, bytes],
    other: Callable[[bytes], bytes],
) -> Resealed:
    """``octets``, sealed with the first of ``ivs``, with other secrets and sealed with the second.

    Raises ProtocolError for what cannot be read as a transaction, and so might hold anything.
    """
    keys = channel.keys
    sealed = octets[OCTETS : header.length]
    if not sealed or len(sealed) % keys.block:
        raise UnexpectedMessage("an encrypted body that is no number of whole blocks")
    body = bytearray(cbc_decrypt(keys.cipher_name, keys.cipher_key, ivs[0], sealed))
    parts = decrypted_body(bytes(body), header)
    genuine = same(_hash(parts), _wanted(channel, octets, header, bytes(body)))
    _replace(body, parts, other)
    if genuine:
        hashed = _wanted(channel, octets, header, bytes(body))
        body[GENERIC_HEADER : GENERIC_HEADER + len(hashed)] = hashed
    again = cbc_encrypt(keys.cipher_name, keys.cipher_key, ivs[1], bytes(body))
    return Resealed(octets[:OCTETS] + again, genuine)


def _hash(parts: Chain) -> bytes:
    return parts[0].body if parts and parts[0].kind == HASH else b""


def _wanted(channel: Channel, octets: bytes, header: Header, body: bytes) -> bytes:
    sealed = Sealed(octets, header, decrypted_body(body, header), body)
    return exchange_hash(channel.keys, header.message_id, sealed.rest)


def _replace(body: bytearray, parts: Chain, other: Callable[[bytes], bytes]) -> None:
    if not any(part.kind == ATTRIBUTES for part in parts):
        raise UnexpectedMessage("a transaction without attributes")
    start = 0
    for part in parts:
        start += GENERIC_HEADER
        if part.kind == ATTRIBUTES:
            _replace_values(body, start, bytes(part.body), other)
        start += len(part.body)
    body[start:] = bytes(len(body) - start)


def _replace_values(
    body: bytearray, start: int, payload: bytes, other: Callable[[bytes], bytes]
) -> None:
    cursor = Cursor(payload, base=start)
    cursor.take(CONFIG_HEAD, "configuration message")
    while cursor.left and not (cursor.left < SHORTEST and cursor.blank):
        attribute = Attribute.parse(cursor)
        if attribute.kind in SECRETS:
            end = cursor.offset
            body[end - len(attribute.value) : end] = other(attribute.value)
