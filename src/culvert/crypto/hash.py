"""Hashes and HMAC by the names of tables/algorithms.toml. HMAC of the hash is IKEv1's prf."""

from __future__ import annotations

import hashlib
import hmac as _hmac
from functools import partial
from hmac import compare_digest

_CONSTRUCTORS = {
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha2-256": hashlib.sha256,
    "sha2-384": hashlib.sha384,
    "sha2-512": hashlib.sha512,
}
_OPENSSL_NAMES = {
    "md5": "md5",
    "sha1": "sha1",
    "sha2-256": "sha256",
    "sha2-384": "sha384",
    "sha2-512": "sha512",
}


def digest(name: str, data: bytes) -> bytes:
    return _CONSTRUCTORS[name](data).digest()


def hmac(name: str, key: bytes, data: bytes) -> bytes:
    return _hmac.digest(key, data, _OPENSSL_NAMES[name])


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return compare_digest(left, right)
