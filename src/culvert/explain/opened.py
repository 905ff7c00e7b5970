"""Encrypted messages of one IKE SA of a capture, opened with the key of a key log.

The key alone does not do: the first IV follows from the public values and the hash that were
exchanged in the clear (RFC 2409 App. B), so the capture has to begin before phase 1 does.
"""

from __future__ import annotations

from dataclasses import dataclass

from culvert.crypto.hash import digest
from culvert.errors import ProtocolError
from culvert.ike.keys import Phase1Keys
from culvert.ike.sealing import Sealing
from culvert.ike.wire.header import Header
from culvert.ike.wire.payload import HASH, KE, SA, Chain, one
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.tables.algorithms import HASHES, IKE_CIPHERS, Hash, IkeCipher
from culvert.tables.numbers import PAYLOADS

ENCRYPTION, HASH_KIND, KEY_LENGTH = 1, 2, 14
NO_SECRET = b""


@dataclass(slots=True)
class Opener:
    """Hears every message of phase 1 in the clear, then opens the others. ``key`` may be wrong."""

    key: bytes
    _public_i: bytes = b""
    _public_r: bytes = b""
    _cipher: IkeCipher | None = None
    _hash: Hash | None = None
    _sealing: Sealing | None = None
    _later: bool = False

    def hears(self, chain: Chain, side: str) -> None:
        """A message of phase 1 in the clear; of ``side`` I or R."""
        if side == "R" and (chosen := one(chain, SA)) is not None:
            self._choose(SecurityAssociation.parse(chosen))
        if (public := one(chain, KE)) is not None:
            if side == "I":
                self._public_i = public.body
            else:
                self._public_r = public.body

    def _choose(self, offer: SecurityAssociation) -> None:
        for transform in offer.proposals[0].transforms[:1]:
            number, bits = transform.value(ENCRYPTION), transform.value(KEY_LENGTH) or 0
            hashed = transform.value(HASH_KIND)
            self._cipher = next(
                (row for row in IKE_CIPHERS if (row.number, row.key_bits) == (number, bits)), None
            )
            self._hash = next((row for row in HASHES if row.number == hashed), None)

    def open(self, octets: bytes, header: Header) -> Chain | None:
        """The payloads; None when they cannot be had. A key that does not fit is no error here."""
        sealing = self._ready()
        if sealing is None or self._hash is None:
            return None
        if header.message_id and not self._later:
            self._later = True
            sealing.finish_phase1()
        try:
            chain, _ = sealing.open(octets, header)
        except ProtocolError:
            return None
        if not _plausible(chain, header, self._hash):
            return None
        sealing.accept(octets, header)
        return chain

    @property
    def why_not(self) -> str:
        """Why nothing is opened."""
        if self._cipher is None or self._hash is None or not self._public_i or not self._public_r:
            return "the beginning of phase 1 is not in the capture"
        return "the key does not fit"

    def _ready(self) -> Sealing | None:
        if self._sealing is None and self._cipher and self._hash:
            whole = self._public_i and self._public_r
            if not whole or len(self.key) != self._cipher.key_octets:
                return None
            name, block = self._hash.name, self._cipher.block
            self._sealing = Sealing(
                Phase1Keys(
                    name,
                    self._cipher.cipher,
                    block,
                    *(NO_SECRET, NO_SECRET, NO_SECRET, NO_SECRET),
                    self.key,
                    digest(name, self._public_i + self._public_r)[:block],
                )
            )
        return self._sealing


def _plausible(chain: Chain, header: Header, hash: Hash) -> bool:
    """What a wrong key makes of a message looks like this once in a million times."""
    if not header.message_id:
        return bool(chain) and all(part.kind in PAYLOADS for part in chain)
    return bool(chain) and chain[0].kind == HASH and len(chain[0].body) == hash.octets
