"""DES keys that are refused: weak and semi-weak ones, and 3DES that is only DES.

(RFC 2409 App. A, RFC 2405 §3, RFC 2451 §2.3)
"""

from __future__ import annotations

DES_KEY = 8

WEAK = frozenset(
    bytes.fromhex(key)
    for key in (
        *("0101010101010101", "1f1f1f1fe0e0e0e0", "e0e0e0e01f1f1f1f", "fefefefefefefefe"),
        *("01fe01fe01fe01fe", "fe01fe01fe01fe01", "1fe01fe00ef10ef1", "e01fe01ff10ef10e"),
        *("01e001e001f101f1", "e001e001f101f101", "1ffe1ffe0efe0efe", "fe1ffe1ffe0efe0e"),
        *("011f011f010e010e", "1f011f010e010e01", "e0fee0fef1fef1fe", "fee0fee0fef1fef1"),
    )
)
"""With odd parity. Encrypting twice with a weak key, or with a semi-weak one and its partner, gives
the clear text back. As RFC 2409 prints them, the weak ones of mixed halves as FIPS 74 does."""

WEAK_HALVES = frozenset((bytes.fromhex("1f1f1f1f0e0e0e0e"), bytes.fromhex("e0e0e0e0f1f1f1f1")))
"""The two weak keys of mixed halves as the cipher's key schedule has them (FIPS 74 §3.6)."""


def refused(cipher: str, key: bytes) -> bool:
    """Whether ``cipher`` (a name of tables/algorithms.toml) may not be used with this key."""
    if cipher == "des-cbc":
        odd = with_parity(key)
        return odd in WEAK or odd in WEAK_HALVES
    if cipher == "3des-cbc":
        one, two, three = (with_parity(key[at : at + DES_KEY]) for at in (0, 8, 16))
        return two in (one, three)
    return False


def with_parity(key: bytes) -> bytes:
    """The lowest bit of each octet is no part of the key: set so that the octet is odd."""
    return bytes(octet & 0xFE | (octet >> 1).bit_count() % 2 ^ 1 for octet in key)
