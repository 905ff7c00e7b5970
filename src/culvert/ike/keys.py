"""Keys of IKEv1 (RFC 2409 §5 and App. B), as functions of what was exchanged.

Values hashed are bodies without generic header and exactly as received; public values and
g^xy are as wide as the group.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from culvert.crypto.des_keys import refused
from culvert.crypto.hash import digest, hmac
from culvert.errors import NegotiationError
from culvert.ike.suite import EspSuite, IkeSuite


@dataclass(frozen=True, slots=True)
class Phase1Keys:
    """SKEYID and what follows from it, the cipher key and the first IV."""

    hash_name: str
    cipher_name: str
    block: int
    skeyid: bytes = field(repr=False)
    skeyid_d: bytes = field(repr=False)
    skeyid_a: bytes = field(repr=False)
    skeyid_e: bytes = field(repr=False)
    cipher_key: bytes = field(repr=False)
    first_iv: bytes = field(repr=False)


def skeyid_from_psk(hash_name: str, psk: bytes, nonce_i: bytes, nonce_r: bytes) -> bytes:
    return hmac(hash_name, psk, nonce_i + nonce_r)


def skeyid_from_nonces(hash_name: str, nonce_i: bytes, nonce_r: bytes, shared: bytes) -> bytes:
    """For signatures and hybrid authentication, which have no key in common (RFC 2409 §5)."""
    return hmac(hash_name, nonce_i + nonce_r, shared)


def phase1_keys(
    suite: IkeSuite,
    skeyid: bytes,
    shared: bytes,
    cookies: bytes,
    public_i: bytes,
    public_r: bytes,
) -> Phase1Keys:
    """``cookies`` is CKY-I | CKY-R; ``shared`` is g^xy. Raises WeakKeyError."""
    name = suite.hash.name
    skeyid_d = hmac(name, skeyid, shared + cookies + b"\x00")
    skeyid_a = hmac(name, skeyid, skeyid_d + shared + cookies + b"\x01")
    skeyid_e = hmac(name, skeyid, skeyid_a + shared + cookies + b"\x02")
    cipher_key = _checked(suite.cipher.cipher, _cipher_key(name, skeyid_e, suite.cipher.key_octets))
    return Phase1Keys(
        name,
        suite.cipher.cipher,
        suite.cipher.block,
        skeyid,
        skeyid_d,
        skeyid_a,
        skeyid_e,
        cipher_key,
        digest(name, public_i + public_r)[: suite.cipher.block],
    )


def _cipher_key(hash_name: str, skeyid_e: bytes, octets: int) -> bytes:
    """RFC 2409 App. B: expanded only where SKEYID_e is too short."""
    if octets <= len(skeyid_e):
        return skeyid_e[:octets]
    block = hmac(hash_name, skeyid_e, b"\x00")
    key = block
    while len(key) < octets:
        block = hmac(hash_name, skeyid_e, block)
        key += block
    return key[:octets]


def hash_i(
    keys: Phase1Keys, public_i: bytes, public_r: bytes, cookies: bytes, sa_i: bytes, id_i: bytes
) -> bytes:
    return hmac(keys.hash_name, keys.skeyid, public_i + public_r + cookies + sa_i + id_i)


def hash_r(
    keys: Phase1Keys, public_i: bytes, public_r: bytes, cookies: bytes, sa_i: bytes, id_r: bytes
) -> bytes:
    swapped = cookies[8:] + cookies[:8]
    return hmac(keys.hash_name, keys.skeyid, public_r + public_i + swapped + sa_i + id_r)


def exchange_hash(keys: Phase1Keys, message_id: int, rest: bytes, nonce: bytes = b"") -> bytes:
    """HASH(1), HASH(2) (with the initiator's nonce), and that of transactions and informationals.

    ``rest`` is every octet after the HASH payload to the end of the last payload.
    """
    return hmac(keys.hash_name, keys.skeyid_a, message_id.to_bytes(4, "big") + nonce + rest)


def quick_hash_3(keys: Phase1Keys, message_id: int, nonce_i: bytes, nonce_r: bytes) -> bytes:
    data = b"\x00" + message_id.to_bytes(4, "big") + nonce_i + nonce_r
    return hmac(keys.hash_name, keys.skeyid_a, data)


def exchange_iv(keys: Phase1Keys, last_phase1_block: bytes, message_id: int) -> bytes:
    """The first IV of an exchange after phase 1 (RFC 2409 App. B)."""
    return digest(keys.hash_name, last_phase1_block + message_id.to_bytes(4, "big"))[: keys.block]


def keymat(
    keys: Phase1Keys,
    octets: int,
    protocol: int,
    spi: bytes,
    nonce_i: bytes,
    nonce_r: bytes,
    shared: bytes = b"",
) -> bytes:
    """KEYMAT for the direction that ends at the owner of ``spi`` (RFC 2409 §5.5).

    ``shared`` is g(qm)^xy, empty without PFS.
    """
    seed = shared + bytes((protocol,)) + spi + nonce_i + nonce_r
    block = hmac(keys.hash_name, keys.skeyid_d, seed)
    made = block
    while len(made) < octets:
        block = hmac(keys.hash_name, keys.skeyid_d, block + seed)
        made += block
    return made[:octets]


def split_keymat(suite: EspSuite, made: bytes) -> tuple[bytes, bytes, bytes]:
    """Cipher key, salt, integrity key, in that order (RFC 4106 §8.1, RFC 2407).

    Raises WeakKeyError.
    """
    salt_at = suite.cipher.key_octets
    integrity_at = salt_at + suite.cipher.salt_octets
    key = _checked(suite.cipher.cipher, made[:salt_at])
    return key, made[salt_at:integrity_at], made[integrity_at:]


class WeakKeyError(NegotiationError):
    """What both ends derived is one of the few keys that DES must not be used with. A new exchange
    derives another one."""

    code = "peer.weak-key"

    def __init__(self, cipher: str) -> None:
        super().__init__(f"the key that follows for {cipher} is a weak one; try again")


def _checked(cipher: str, key: bytes) -> bytes:
    if refused(cipher, key):
        raise WeakKeyError(cipher)
    return key
