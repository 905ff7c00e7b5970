"""Which payloads each message must and may carry, for both ends (RFC 2409 §5).

Checked before any value is looked at; a handler may rely on what ``must`` promises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from culvert.errors import UnexpectedMessage
from culvert.ike.settings import Role
from culvert.ike.wire.payload import (
    ATTRIBUTES,
    CERT,
    CERTREQ,
    DELETE,
    HASH,
    ID,
    KE,
    NAT_D,
    NAT_D_DRAFT,
    NAT_OA,
    NAT_OA_DRAFT,
    NONCE,
    NOTIFY,
    SA,
    SIG,
    VENDOR_ID,
    Part,
)
from culvert.tables.numbers import payload_name

PRIVATE = 128  # payload numbers from here on are skipped where unknown (RFC 2408 §3.1)

_ONLY_ONCE = frozenset((SA, KE, NONCE, HASH, SIG, ATTRIBUTES))


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of an exchange. ``sealed``: we send it encrypted, and expect it so. ``proof``:
    it proves its sender, by a HASH or a SIG as the method chosen wants it."""

    sender: Role
    must: frozenset[int]
    may: frozenset[int] = frozenset()
    sealed: bool = True
    proof: bool = False

    def check(self, parts: Iterable[Part]) -> None:
        """Raises UnexpectedMessage naming what is missing, too much or there twice."""
        kinds = [part.kind for part in parts]
        seen = frozenset(kinds)
        if missing := self.must - seen:
            raise UnexpectedMessage(f"without {_names(missing)}")
        if self.proof and len(seen & _PROOFS) != 1:
            raise UnexpectedMessage(f"{'with both' if seen & _PROOFS else 'without'} HASH or SIG")
        allowed = self.must | self.may | _ALWAYS
        if self.proof:
            allowed |= _PROOFS
        if extra := frozenset(k for k in seen - allowed if k < PRIVATE):
            raise UnexpectedMessage(f"with {_names(extra)}, which does not belong here")
        if twice := frozenset(k for k in _ONLY_ONCE & seen if kinds.count(k) > 1):
            raise UnexpectedMessage(f"with {_names(twice)} twice")
        if self.sealed and self.must and kinds[0] != HASH:
            raise UnexpectedMessage(f"begins with {payload_name(kinds[0])}, not with HASH")


def _names(kinds: Iterable[int]) -> str:
    return ", ".join(payload_name(kind) for kind in sorted(kinds))


_ALWAYS = frozenset((VENDOR_ID,))
_PROOFS = frozenset((HASH, SIG))
_CERTIFICATES = frozenset((CERT, CERTREQ))
_NAT_D = frozenset((NAT_D, NAT_D_DRAFT))
_NAT_OA = frozenset((NAT_OA, NAT_OA_DRAFT))

AGGRESSIVE = (
    Turn(
        Role.INITIATOR, frozenset((SA, KE, NONCE, ID)), frozenset((CERTREQ, NOTIFY)), sealed=False
    ),
    Turn(
        Role.RESPONDER,
        frozenset((SA, KE, NONCE, ID)),
        _CERTIFICATES | _NAT_D | {NOTIFY},
        sealed=False,
        proof=True,
    ),
    # RFC 2409 §5.4 lets this one come in clear (racoon, Android do); any order then.
    Turn(Role.INITIATOR, frozenset(), _CERTIFICATES | _NAT_D | {NOTIFY}, sealed=False, proof=True),
)
MAIN = (
    Turn(Role.INITIATOR, frozenset((SA,)), frozenset((CERTREQ,)), sealed=False),
    Turn(Role.RESPONDER, frozenset((SA,)), frozenset((CERTREQ,)), sealed=False),
    Turn(Role.INITIATOR, frozenset((KE, NONCE)), _NAT_D | {CERTREQ, NOTIFY}, sealed=False),
    Turn(Role.RESPONDER, frozenset((KE, NONCE)), _NAT_D | {CERTREQ, NOTIFY}, sealed=False),
    # Encrypted, but begun by the identity and not by a HASH over the rest.
    Turn(Role.INITIATOR, frozenset((ID,)), _CERTIFICATES | {NOTIFY}, sealed=False, proof=True),
    Turn(Role.RESPONDER, frozenset((ID,)), _CERTIFICATES | {NOTIFY}, sealed=False, proof=True),
)
QUICK = (
    Turn(Role.INITIATOR, frozenset((HASH, SA, NONCE)), _NAT_OA | {KE, ID, NOTIFY}),
    Turn(Role.RESPONDER, frozenset((HASH, SA, NONCE)), _NAT_OA | {KE, ID, NOTIFY}),
    Turn(Role.INITIATOR, frozenset((HASH,)), frozenset((NOTIFY,))),
)
TRANSACTION = Turn(Role.INITIATOR, frozenset((HASH, ATTRIBUTES)))
INFORMATIONAL = Turn(Role.INITIATOR, frozenset((HASH,)), frozenset((NOTIFY, DELETE)))
