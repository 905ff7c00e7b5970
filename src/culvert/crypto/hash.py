"""Hashes and HMAC by the names of tables/algorithms.toml. HMAC of the hash is IKEv1's prf."""

from __future__ import annotations

import hashlib
import hmac as _hmac
from hmac import compare_digest

_OPENSSL_NAMES = {
    "md5": "md5",
    "sha1": "sha1",
    "sha2-256": "sha256",
    "sha2-384": "sha384",
    "sha2-512": "sha512",
}


def digest(name: str, data: bytes) -> bytes:
    return hashlib.new(_OPENSSL_NAMES[name], data, usedforsecurity=False).digest()


def hmac(name: str, key: bytes, data: bytes) -> bytes:
    return _hmac.digest(key, data, _OPENSSL_NAMES[name])


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return compare_digest(left, right)
