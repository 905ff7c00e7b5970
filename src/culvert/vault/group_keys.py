"""GroupKeys: derives SKEYID for who claims a group, without giving the group's key away.

SKEYID = prf(pre-shared key, nonce_i | nonce_r) (RFC 2409 §5). For a group that does not exist the
answer is a decoy of the same shape and cost: the exchange then fails as a wrong key does, so that
neither answer nor timing tells which groups there are.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from culvert.crypto import hash as prf
from culvert.ike.outputs import GroupKey
from culvert.ike.wire.identity import Identity
from culvert.rng import Random
from culvert.secret import Secret

NAMED_KINDS = frozenset({2, 3, 11})
"""Identity kinds that may name a group: FQDN, USER_FQDN, KEY_ID (RFC 2407 §4.6.2)."""


ADDRESS_KINDS = frozenset({1, 5})
"""What main mode has to choose a key by: the caller's address (RFC 2409 §5.4)."""


class GroupKeys:
    """Pre-shared keys by group name. ``by_name``: groups whose callers may name them, all if not
    given; ``main_mode_group``: the one for callers without a name; ``by_address``: whose key it is
    where main mode comes from, or goes to, this address."""

    def __init__(
        self,
        keys: Mapping[str, Secret],
        rng: Random,
        *,
        by_name: Iterable[str] | None = None,
        main_mode_group: str = "",
        by_address: Mapping[str, str] | None = None,
    ) -> None:
        self._by_address = {
            (identity.kind, identity.data): name.encode()
            for address, name in (by_address or {}).items()
            for identity in (Identity.of_address(address),)
        }
        self._main_mode = main_mode_group.encode()
        self._named = {name.encode() for name in (keys if by_name is None else by_name)}
        self._keys = {name.encode(): (name, key) for name, key in keys.items()}
        self._decoy = rng.octets(32)

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey:
        """SKEYID; ``group`` is empty for a decoy. A decoy stays the same for one identity, as a
        real key would, until this process ends."""
        decoy = hmac.digest(self._decoy, bytes([identity.kind]) + identity.data, hashlib.sha256)
        name = identity.data if identity.data in self._named else b""
        if identity.kind in ADDRESS_KINDS:
            at = identity.kind, identity.data
            name = self._by_address.get(at, self._main_mode)
        group, secret = self._keys.get(name, ("", None))
        if not secret or identity.kind not in NAMED_KINDS | ADDRESS_KINDS:
            group, key = "", decoy
        else:
            key = secret.octets()
        return GroupKey(prf.hmac(hash_name, key, nonce_i + nonce_r), group)
