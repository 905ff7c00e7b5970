"""Aggressive mode with a pre-shared key: the arithmetic of both ends (RFC 2409 §5.4).

    HDR, SA, KE, Ni, IDii, VID..                        ->
                            <- HDR, SA, KE, Nr, IDir, [NAT-D x2,] HASH_R, VID..
    HDR*, HASH_I [, NAT-D x2] [, N(INITIAL-CONTACT)]    ->

These objects keep what will be hashed and judge what came; when to send, and again, is `peer`'s.
"""

from __future__ import annotations

from culvert.crypto.dh import KeyPair, check_public, key_pair
from culvert.crypto.hash import same
from culvert.errors import IntegrityError, NegotiationError, UnexpectedMessage, WireError
from culvert.ike.keys import Phase1Keys, hash_i, hash_r, phase1_keys
from culvert.ike.proposal import ChosenIke, choose_ike, compare_ike, offer_ike
from culvert.ike.settings import Settings
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.header import OCTETS as HEADER_OCTETS
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import GENERIC_HEADER, HASH, ID, KE, NONCE, SA, Chain, Part, one
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.rng import Random

NONCE_OCTETS = 32
NONCE_RANGE = range(8, 257)  # RFC 2409 §5


class Exchanged:
    """Everything the hashes of phase 1 cover, as it stood on the wire."""

    def __init__(self) -> None:
        self.cookies = b""
        self.sa_i = b""
        self.id_i = b""
        self.id_r = b""
        self.public_i = b""
        self.public_r = b""
        self.nonce_i = b""
        self.nonce_r = b""

    def keys(self, suite: IkeSuite, skeyid: bytes, shared: bytes) -> Phase1Keys:
        return phase1_keys(suite, skeyid, shared, self.cookies, self.public_i, self.public_r)

    def hash_i(self, keys: Phase1Keys) -> bytes:
        return hash_i(keys, self.public_i, self.public_r, self.cookies, self.sa_i, self.id_i)

    def hash_r(self, keys: Phase1Keys) -> bytes:
        return hash_r(keys, self.public_i, self.public_r, self.cookies, self.sa_i, self.id_r)


class AggressiveInitiator:
    """Our side when we call. All suites offered share one group: the key exchange goes along."""

    def __init__(self, settings: Settings, rng: Random) -> None:
        group = settings.phase1[0].group
        self.suites = tuple(suite for suite in settings.phase1 if suite.group == group)
        self.exchanged = Exchanged()
        self._life_seconds = settings.phase1_life.seconds
        self._identity = settings.identity
        self._pair: KeyPair = key_pair(group.number, rng)
        self.exchanged.nonce_i = rng.octets(NONCE_OCTETS)
        self.exchanged.public_i = self._pair.public
        self.exchanged.id_i = settings.identity.to_bytes()

    def first(self) -> Chain:
        sa = offer_ike(self.suites, self._life_seconds).to_bytes()
        self.exchanged.sa_i = sa
        return (
            Part(SA, sa),
            Part(KE, self.exchanged.public_i),
            Part(NONCE, self.exchanged.nonce_i),
            self._identity.part(),
        )

    def second(self, parts: Chain, cookies: bytes) -> tuple[ChosenIke, Identity, bytes]:
        """The peer's choice, its identity and g^xy. Raises for a choice we did not offer."""
        sa, public, nonce, identity = _first_four(parts)
        chosen = choose_ike(SecurityAssociation.parse(sa), self.suites)
        if chosen is None:
            raise NegotiationError("the gateway chose a proposal that was not offered")
        who = Identity.parse(identity)
        shared = self._pair.shared(public.body)
        self.exchanged.cookies = cookies
        self.exchanged.public_r = public.body
        self.exchanged.nonce_r = nonce.body
        self.exchanged.id_r = identity.body
        return chosen, who, shared


class AggressiveResponder:
    """Our side when we are called."""

    def __init__(self, settings: Settings, rng: Random) -> None:
        self._settings = settings
        self._rng = rng
        self.exchanged = Exchanged()
        self._shared = b""

    def first(self, parts: Chain, cookies: bytes) -> tuple[ChosenIke, Identity]:
        """Our choice and who calls. The Diffie-Hellman work is left to `second`.

        Raises NegotiationError with every difference when nothing fits, KeyExchangeError for a
        public value that is none.
        """
        sa, public, nonce, identity = _first_four(parts)
        offered = SecurityAssociation.parse(sa)
        chosen = choose_ike(offered, self._settings.phase1)
        if chosen is None:
            raise NegotiationError(
                "none of the peer's phase 1 proposals is accepted here",
                compare_ike(offered, self._settings.phase1),
            )
        check_public(chosen.suite.group.number, public.body)
        who = Identity.parse(identity)
        made = self.exchanged
        made.cookies = cookies
        made.sa_i = sa.body
        made.public_i = public.body
        made.nonce_i = nonce.body
        made.id_i = identity.body
        made.id_r = self._settings.identity.to_bytes()
        made.nonce_r = self._rng.octets(NONCE_OCTETS)
        return chosen, who

    def octets(self, chosen: ChosenIke) -> int:
        """How long message 2 will be, header included and side topics left out."""
        bodies = (
            len(chosen.answer().to_bytes()),
            chosen.suite.group.octets,
            NONCE_OCTETS,
            len(self.exchanged.id_r),
            chosen.suite.hash.octets,
        )
        return HEADER_OCTETS + sum(bodies) + len(bodies) * GENERIC_HEADER

    def second(self, chosen: ChosenIke, skeyid: bytes) -> tuple[Chain, Phase1Keys]:
        """Message 2 without side topics, and the keys."""
        pair = key_pair(chosen.suite.group.number, self._rng)
        shared = pair.shared(self.exchanged.public_i)
        self.exchanged.public_r = pair.public
        keys = self.exchanged.keys(chosen.suite, skeyid, shared)
        parts = (
            Part(SA, chosen.answer().to_bytes()),
            Part(KE, pair.public),
            Part(NONCE, self.exchanged.nonce_r),
            Part(ID, self.exchanged.id_r),
            Part(HASH, self.exchanged.hash_r(keys)),
        )
        return parts, keys


def check_hash(parts: Chain, wanted: bytes, what: str) -> None:
    """Raises IntegrityError: the keys differ, or somebody else sent this."""
    found = one(parts, HASH)
    if found is None or not same(found.body, wanted):
        raise IntegrityError(f"{what} does not match: the group keys differ, or it is forged")


def check_nonce(nonce: bytes) -> None:
    """Raises NegotiationError for a size that RFC 2409 §5 forbids."""
    if len(nonce) not in NONCE_RANGE:
        raise NegotiationError(f"a nonce of {len(nonce)} octets, outside 8 to 256")


def _first_four(parts: Chain) -> tuple[Part, Part, Part, Part]:
    """The payloads the script promised, and a nonce of legal size."""
    found = [one(parts, kind) for kind in (SA, KE, NONCE, ID)]
    sa, public, nonce, identity = found
    if sa is None or public is None or nonce is None or identity is None:
        raise UnexpectedMessage("without a payload of aggressive mode")
    if len(nonce.body) not in NONCE_RANGE:
        what = f"a nonce of {len(nonce.body)} octets, outside 8 to 256"
        raise WireError(what, offset=nonce.offset)
    return sa, public, nonce, identity
