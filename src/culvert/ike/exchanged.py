"""What phase 1 exchanged, as it stood on the wire, and the hashes over it (RFC 2409 §5)."""

from __future__ import annotations

from culvert.crypto.hash import same
from culvert.errors import IntegrityError, NegotiationError
from culvert.ike.keys import Phase1Keys, hash_i, hash_r, phase1_keys, skeyid_from_nonces
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.payload import HASH, Chain, one

NONCE_OCTETS = 32
NONCE_RANGE = range(8, 257)  # RFC 2409 §5


class Exchanged:
    """Everything that the hashes of phase 1 cover."""

    def __init__(self) -> None:
        self.cookies = b""
        self.sa_i = b""
        self.id_i = b""
        self.id_r = b""
        self.public_i = b""
        self.public_r = b""
        self.nonce_i = b""
        self.nonce_r = b""

    def keys(self, suite: IkeSuite, shared: bytes, skeyid: bytes = b"") -> Phase1Keys:
        """``skeyid`` is the vault's where it follows from a pre-shared key, else it follows from
        what was exchanged."""
        if suite.authentication.skeyid == "signature":
            skeyid = skeyid_from_nonces(suite.hash.name, self.nonce_i, self.nonce_r, shared)
        return phase1_keys(suite, skeyid, shared, self.cookies, self.public_i, self.public_r)

    def hash_i(self, keys: Phase1Keys) -> bytes:
        return hash_i(keys, self.public_i, self.public_r, self.cookies, self.sa_i, self.id_i)

    def hash_r(self, keys: Phase1Keys) -> bytes:
        return hash_r(keys, self.public_i, self.public_r, self.cookies, self.sa_i, self.id_r)


def check_hash(parts: Chain, wanted: bytes, what: str) -> None:
    """Raises IntegrityError: the keys differ, or somebody else sent this."""
    found = one(parts, HASH)
    if found is None or not same(found.body, wanted):
        raise IntegrityError(f"{what} does not match: the group keys differ, or it is forged")


def check_nonce(nonce: bytes) -> None:
    """Raises NegotiationError for a size that RFC 2409 §5 forbids."""
    if len(nonce) not in NONCE_RANGE:
        raise NegotiationError(f"a nonce of {len(nonce)} octets, outside 8 to 256")
