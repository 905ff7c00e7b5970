"""Aggressive mode: the arithmetic of both ends (RFC 2409 §5.1, §5.4).

    HDR, SA, KE, Ni, IDii, [CERTREQ,] VID..             ->
              <- HDR, SA, KE, Nr, IDir, HASH_R | [CERT..,] SIG_R [, NAT-D x2] [, CERTREQ], VID..
    HDR*, HASH_I | [CERT..,] SIG_I [, NAT-D x2] [, N(INITIAL-CONTACT)]    ->

These objects keep what will be hashed and judge what came; when to send, and again, is `peer`'s.
"""

from __future__ import annotations

from culvert.crypto.dh import KeyPair, check_public, key_pair
from culvert.errors import NegotiationError, UnexpectedMessage, WireError
from culvert.ike.exchanged import NONCE_OCTETS, NONCE_RANGE, Exchanged
from culvert.ike.keys import Phase1Keys
from culvert.ike.proposal import ChosenIke, choose_ike, compare_ike, offer_ike
from culvert.ike.settings import Settings
from culvert.ike.wire.header import OCTETS as HEADER_OCTETS
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import GENERIC_HEADER, ID, KE, NONCE, SA, Chain, Part, one
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.rng import Random


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

    def first(self, parts: Chain, cookies: bytes) -> tuple[ChosenIke, Identity]:
        """Our choice and who calls. The Diffie-Hellman work is left to `second`.

        Raises NegotiationError with every difference when nothing fits, KeyExchangeError for a
        public value that is none.
        """
        sa, public, nonce, identity = _first_four(parts)
        offered = SecurityAssociation.parse(sa)
        accepted = self._settings.accepted("aggressive")
        chosen = choose_ike(offered, accepted)
        if chosen is None:
            raise NegotiationError(
                "none of the peer's phase 1 proposals is accepted here",
                compare_ike(offered, accepted),
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
        """How long message 2 will be at least, header included; side topics and what a signature
        takes are left out."""
        bodies = (
            len(chosen.answer().to_bytes()),
            chosen.suite.group.octets,
            NONCE_OCTETS,
            len(self.exchanged.id_r),
            chosen.suite.hash.octets,
        )
        return HEADER_OCTETS + sum(bodies) + len(bodies) * GENERIC_HEADER

    def second(self, chosen: ChosenIke, skeyid: bytes) -> tuple[Chain, Phase1Keys]:
        """Message 2 without our proof and side topics, and the keys."""
        pair = key_pair(chosen.suite.group.number, self._rng)
        shared = pair.shared(self.exchanged.public_i)
        self.exchanged.public_r = pair.public
        keys = self.exchanged.keys(chosen.suite, shared, skeyid)
        parts = (
            Part(SA, chosen.answer().to_bytes()),
            Part(KE, pair.public),
            Part(NONCE, self.exchanged.nonce_r),
            Part(ID, self.exchanged.id_r),
        )
        return parts, keys


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
