"""Obfuscated passwords of Cisco profiles (``enc_GroupPwd``, ``enc_UserPassword``) and vpnc's.

    octets = unhex(value) = h1 (20) | h4 (20) | enc (multiple of 8)
    key    = SHA1(h1, last octet + 1) | SHA1(h1, last octet + 3)[0:4]       iv = h1[0:8]
    h4     = SHA1(enc)              clear = 3DES-CBC-decrypt(enc), padded as in PKCS #7

There is no secret in it: whoever has the value has the password. Hence "obfuscation".
"""

from __future__ import annotations

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.crypto.hash import digest, same
from culvert.errors import ConfigError, WireError
from culvert.octets.cursor import Cursor
from culvert.rng import Random
from culvert.secret import Secret

HASH = 20
BLOCK = 8
CIPHER = "3des-cbc"
LONGEST = 2048
"""Hexadecimal digits: four times the longest value that the field's programs write."""


def decode(value: str) -> Secret:
    """The password in ``value``.

    Text is UTF-8 where it is valid, else Latin-1, which is what the Windows client wrote.

    Raises ConfigError, which never repeats the value.
    """
    digits = value.strip()
    if len(digits) > LONGEST:
        raise ConfigError(f"has more than {LONGEST} digits")
    try:
        octets = bytes.fromhex(digits) if digits.isascii() else b""
    except ValueError:
        octets = b""
    if not octets:
        raise ConfigError("is not hexadecimal")
    cursor = Cursor(octets)
    try:
        first = cursor.octets(HASH, "first hash")
        check = cursor.octets(HASH, "check value")
    except WireError:
        raise ConfigError("is too short: a piece of it is missing") from None
    sealed = cursor.rest()
    if not sealed or len(sealed) % BLOCK:
        raise ConfigError("has a wrong length: a piece of it is missing")
    if not same(digest("sha1", sealed), check):
        raise ConfigError("is damaged: its check value does not fit")
    return _text(cbc_decrypt(CIPHER, _key(first), first[:BLOCK], sealed))


def encode(secret: Secret, rng: Random) -> str:
    """The value that other programs read as ``secret``; a different one each time."""
    first = rng.octets(HASH)
    clear = secret.octets()
    count = BLOCK - len(clear) % BLOCK
    sealed = cbc_encrypt(CIPHER, _key(first), first[:BLOCK], clear + bytes([count]) * count)
    return (first + digest("sha1", sealed) + sealed).hex().upper()


def _key(first: bytes) -> bytes:
    second, third = (
        digest("sha1", first[:-1] + bytes([(first[-1] + step) % 256])) for step in (1, 3)
    )
    return second + third[:4]


def _text(padded: bytes) -> Secret:
    # The padding is checked in full: a count taken on trust would cut or keep the wrong octets.
    count = padded[-1]
    if not 1 <= count <= BLOCK or padded[-count:] != bytes([count]) * count:
        raise ConfigError("is damaged: its padding does not fit")
    clear = padded[:-count]
    try:
        text = clear.decode("utf-8")
    except UnicodeDecodeError:
        text = clear.decode("latin-1")
    return Secret(text)
