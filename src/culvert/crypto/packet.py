"""Packet ciphers: what protects one ESP packet, kept ready per SA (RFC 2405, 2410, 2451, 3602…).

The form is ``header ‖ IV ‖ ciphertext ‖ ICV``. The header (SPI and sequence number) is
authenticated and sent in clear; what it means, and how the clear text is padded, `culvert.esp`
knows. Everything is kept ready between packets: making a cipher costs more than using it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from culvert.crypto.cipher import des
from culvert.errors import MisuseError
from culvert.rng import Random
from culvert.tables.packet import (
    PACKET_CIPHERS,
    PACKET_INTEGRITIES,
    PacketCipher,
    PacketIntegrity,
)

AES_BLOCK = 16
DES_KEY = 8
HEADER_OCTETS = 8  # SPI and sequence number (RFC 4303 §2)


class Sealer(Protocol):
    """Protects packets of one outbound SA."""

    def seal(self, header: bytes, sequence: int, clear: bytes) -> bytes:
        """``clear`` is aligned; ``sequence`` is never given twice to one sealer."""
        ...


class Opener(Protocol):
    """Opens packets of one inbound SA."""

    def open(self, datagram: bytes) -> bytes | None:
        """The clear text with its trailer; None if the ICV is wrong.

        The caller has checked the length: `PacketSuite.shortest` and whole units more.
        """
        ...


@dataclass(frozen=True, slots=True)
class PacketSuite:
    """One cipher with its integrity algorithm (None: the cipher has its own)."""

    cipher: PacketCipher
    integrity: PacketIntegrity | None

    @property
    def icv(self) -> int:
        return self.cipher.icv if self.integrity is None else self.integrity.icv

    @property
    def shortest(self) -> int:
        """Octets of a datagram whose clear text is one unit of the cipher's alignment."""
        return HEADER_OCTETS + self.cipher.iv + self.cipher.align + self.icv

    def sealer(self, key: bytes, salt: bytes, integrity_key: bytes, rng: Random) -> Sealer:
        self.check(key, salt, integrity_key)
        if self.integrity is None:
            return _GcmSealer(key, salt)
        if not self.cipher.block:
            return _NullSealer(_icv(self.integrity, integrity_key))
        chain = rng.octets(self.cipher.block)
        return _CbcSealer(_algorithm(self.cipher, key), chain, _icv(self.integrity, integrity_key))

    def opener(self, key: bytes, salt: bytes, integrity_key: bytes) -> Opener:
        self.check(key, salt, integrity_key)
        if self.integrity is None:
            return _GcmOpener(key, salt)
        if not self.cipher.block:
            return _NullOpener(_icv(self.integrity, integrity_key), self.icv)
        return _CbcOpener(
            _algorithm(self.cipher, key), _icv(self.integrity, integrity_key), self.icv
        )

    def check(self, key: bytes, salt: bytes, integrity_key: bytes) -> None:
        """Raises MisuseError for keys of wrong length."""
        name = self.cipher.name
        if len(key) not in self.cipher.keys:
            raise MisuseError(f"{name}: key of {len(key)} octets, wants {self.cipher.keys}")
        if len(salt) != self.cipher.salt:
            raise MisuseError(f"{name}: salt of {len(salt)} octets, wants {self.cipher.salt}")
        wanted = self.integrity.key if self.integrity else 0
        if len(integrity_key) != wanted:
            raise MisuseError(
                f"{name}: integrity key of {len(integrity_key)} octets, wants {wanted}"
            )


def packet_suite(cipher: str, integrity: str) -> PacketSuite:
    """The suite of these names (``integrity`` empty for a cipher that authenticates itself).

    Raises MisuseError: what nobody here can do must not have been negotiated.
    """
    row = PACKET_CIPHERS.get(cipher)
    if row is None:
        raise MisuseError(f"no packet cipher is called {cipher!r}")
    if row.icv:
        if integrity:
            raise MisuseError(f"{cipher} authenticates itself: no {integrity!r} beside it")
        return PacketSuite(row, None)
    check = PACKET_INTEGRITIES.get(integrity)
    if check is None:
        raise MisuseError(f"{cipher} needs an integrity algorithm, {integrity!r} is none")
    return PacketSuite(row, check)


class _GcmSealer:
    """AES-GCM-16 (RFC 4106): the IV is the sequence number, so no nonce comes twice under a key."""

    __slots__ = ("_encrypt", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._encrypt = AESGCM(key).encrypt
        self._salt = salt

    def seal(self, header: bytes, sequence: int, clear: bytes) -> bytes:
        iv = sequence.to_bytes(8, "big")
        return header + iv + self._encrypt(self._salt + iv, clear, header)


class _GcmOpener:
    __slots__ = ("_decrypt", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._decrypt = AESGCM(key).decrypt
        self._salt = salt

    def open(self, datagram: bytes) -> bytes | None:
        try:
            return self._decrypt(self._salt + datagram[8:16], datagram[16:], datagram[:8])
        except InvalidTag:
            return None


class _CbcSealer:
    """CBC with HMAC: every packet begins anew with the SA's secret ``chain``.

    IV = E_K(counter XOR chain): it cannot be known before it is sent, and no packet waits for the
    one before, so the compiled engine encrypts many at a time (docs/decisions/0221). Here one
    encryptor serves for the life of the SA, as making one costs more than using it: what it would
    carry over from the packet before is taken out again. It must not serve two threads.
    """

    __slots__ = ("_before", "_block", "_chain", "_encrypt", "_icv")

    def __init__(
        self, algorithm: BlockCipherAlgorithm, chain: bytes, icv: Callable[[bytes], bytes]
    ) -> None:
        self._block = len(chain)
        self._encrypt = Cipher(algorithm, modes.CBC(bytes(self._block))).encryptor().update
        self._chain = int.from_bytes(chain, "big")
        self._before = 0
        self._icv = icv

    def seal(self, header: bytes, sequence: int, clear: bytes) -> bytes:
        first = (self._before ^ self._chain ^ sequence).to_bytes(self._block, "big")
        body = header + self._encrypt(first + clear)
        self._before = int.from_bytes(body[-self._block :], "big")
        return body + self._icv(body)


class _CbcOpener:
    """The other end of any CBC sender: ``IV ‖ ciphertext`` goes through one decryptor.

    What the IV decrypts to depends on the packet before and is dropped; everything after it
    depends on this packet alone. Only whole blocks may enter, or later packets would be shifted.
    """

    __slots__ = ("_block", "_decrypt", "_icv", "_icv_octets")

    def __init__(
        self, algorithm: BlockCipherAlgorithm, icv: Callable[[bytes], bytes], icv_octets: int
    ) -> None:
        self._block = algorithm.block_size // 8
        self._decrypt = Cipher(algorithm, modes.CBC(bytes(self._block))).decryptor().update
        self._icv = icv
        self._icv_octets = icv_octets

    def open(self, datagram: bytes) -> bytes | None:
        body = datagram[: -self._icv_octets]
        if not compare_digest(self._icv(body), datagram[-self._icv_octets :]):
            return None
        return self._decrypt(body[HEADER_OCTETS:])[self._block :]


class _NullSealer:
    """No encryption, an ICV alone (RFC 2410)."""

    __slots__ = ("_icv",)

    def __init__(self, icv: Callable[[bytes], bytes]) -> None:
        self._icv = icv

    def seal(self, header: bytes, sequence: int, clear: bytes) -> bytes:
        body = header + clear
        return body + self._icv(body)


class _NullOpener:
    __slots__ = ("_icv", "_icv_octets")

    def __init__(self, icv: Callable[[bytes], bytes], icv_octets: int) -> None:
        self._icv = icv
        self._icv_octets = icv_octets

    def open(self, datagram: bytes) -> bytes | None:
        body = datagram[: -self._icv_octets]
        if not compare_digest(self._icv(body), datagram[-self._icv_octets :]):
            return None
        return body[HEADER_OCTETS:]


def _algorithm(cipher: PacketCipher, key: bytes) -> BlockCipherAlgorithm:
    if cipher.block == AES_BLOCK:
        return AES(key)
    return des(key) if cipher.keys == (DES_KEY,) else TripleDES(key)


def _icv(row: PacketIntegrity, key: bytes) -> Callable[[bytes], bytes]:
    """HMAC (RFC 2104) cut to the check value, with both padded keys hashed once for all packets."""
    padded = key.ljust(row.block, b"\0")
    inner = hashlib.new(row.hash, bytes(octet ^ 0x36 for octet in padded))
    outer = hashlib.new(row.hash, bytes(octet ^ 0x5C for octet in padded))
    size = row.icv

    def icv(data: bytes) -> bytes:
        first = inner.copy()
        first.update(data)
        second = outer.copy()
        second.update(first.digest())
        return second.digest()[:size]

    return icv
