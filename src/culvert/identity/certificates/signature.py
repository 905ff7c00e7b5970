"""The signature of IKE phase 1 with RSA: the HASH alone in PKCS #1 padding, without the name of an
algorithm before it (RFC 2409 §5.1)."""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: TC002
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

DIGEST_OCTETS = (16, 64)
"""The shortest (MD5) and longest (SHA-512) HASH of phase 1. Nothing else is signed or believed."""


def verified(key: RSAPublicKey, digest: bytes, signature: bytes) -> bool:
    """Whether the owner of ``key`` signed ``digest``."""
    if not DIGEST_OCTETS[0] <= len(digest) <= DIGEST_OCTETS[1]:
        return False
    if len(signature) != (key.key_size + 7) // 8:
        return False
    try:
        signed = key.recover_data_from_signature(signature, PKCS1v15(), NoDigestInfo())
    except (InvalidSignature, ValueError):
        return False
    return hmac.compare_digest(signed, digest)
