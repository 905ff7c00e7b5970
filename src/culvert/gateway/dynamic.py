"""Sites whose address changes: they say where they are before anybody calls (S3-30).

Main mode finds the key by the caller's address. A site that comes from another one, and of which no
IKE SA stands any more, would be a stranger; its announcement under the key of both makes it known.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Protocol

from culvert.crypto.hash import hmac, same
from culvert.ike.outputs import GroupKey
from culvert.ike.wire import before_ike
from culvert.ike.wire.announcement import Announcement
from culvert.ike.wire.before_ike import BeforeIke
from culvert.ike.wire.identity import Identity
from culvert.policy.ration import Ration
from culvert.policy.site import Site
from culvert.rng import Random

PRF = "sha2-256"

APART = 300.0
"""Seconds that the clocks of both may differ: what was recorded earlier announces nothing, even to
a gateway that was started since."""

RATE, BURST = 1.0, 10.0
"""Announcements looked at, a second and at once, of all strangers together: each costs a question
to the vault for every site whose address changes."""
ANYBODY = "anybody"


class Keys(Protocol):
    """The vault's keys, or the way to them."""

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey: ...


class Dynamic:
    """``sites``: those whose address changes, or to which ours does."""

    def __init__(self, sites: Collection[Site], keys: Keys, rng: Random) -> None:
        self.sites = tuple(sites)
        self._keys = keys
        self._rng = rng
        self._ration = Ration(burst=BURST, rate=RATE)
        self._newest: dict[str, int] = {}

    def announcement(self, site: Site, at: datetime) -> bytes:
        """The datagram that tells ``site`` where we are."""
        stamp, nonce = _stamp(at), self._rng.octets(before_ike.NONCE)
        proved = before_ike.unproved(stamp, nonce, site.group.dns, site.group.nbns)
        proof = self._proof(site, stamp, nonce, proved)
        return before_ike.message(proved, proof, self._rng.octets(before_ike.COOKIE))

    def takes(self, *, now: float) -> bool:
        """Whether one more is looked at."""
        return self._ration.take(ANYBODY, now=now)

    def heard(self, octets: bytes, at: datetime) -> tuple[Site, Announcement] | None:
        """Who says so, if it is one of them and no echo of earlier. Raises WireError."""
        said = BeforeIke.parse(octets)
        if abs(said.stamp - _stamp(at)) > APART * 1000:
            return None
        for turn, site in enumerate(self.sites):
            proof = self._proof(site, said.stamp, said.nonce, said.proved, turn)
            if same(proof, said.proof) and said.stamp > self._newest.get(site.name, 0):
                self._newest[site.name] = said.stamp
                return site, said.told
        return None

    def _proof(self, site: Site, stamp: int, nonce: bytes, proved: bytes, turn: int = 0) -> bytes:
        """The vault answers two nonces once. It joins them, so that a cut elsewhere, at ``turn``,
        asks for the same of another site."""
        whose = Identity.of_address(site.peer)
        asked = before_ike.challenge(stamp, nonce)
        key = self._keys.skeyid(whose, PRF, asked[: turn + 1], asked[turn + 1 :]).skeyid
        return hmac(PRF, key, proved)


def _stamp(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
