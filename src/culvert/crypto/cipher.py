"""CBC of whole messages by cipher name, for ISAKMP (RFC 2409 App. B) and obfuscated file values."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

with warnings.catch_warnings():
    # Older releases keep 3DES in `ciphers` and warn; newer ones moved it.
    warnings.simplefilter("ignore")
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    except ImportError:  # pragma: no cover  (cryptography before 43)
        from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES


def des(key: bytes) -> TripleDES:
    """DES is 3DES whose three keys are one: the middle step undoes the first."""
    return TripleDES(key * 3)


_ALGORITHMS: dict[str, Callable[[bytes], AES | TripleDES]] = {
    "aes-cbc": AES,
    "3des-cbc": TripleDES,
    "des-cbc": des,
}


def cbc_encrypt(cipher_name: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    """``data`` must be whole blocks."""
    encryptor = Cipher(_ALGORITHMS[cipher_name](key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def cbc_decrypt(cipher_name: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    """``data`` must be whole blocks. Says nothing about whether it was genuine."""
    decryptor = Cipher(_ALGORITHMS[cipher_name](key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()
