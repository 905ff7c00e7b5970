"""The vault's door for group keys: a worker asks for SKEYID, and never gets a key.

The coordinator needs the answer in the middle of a message, so the worker waits for it: some 50 µs
over a socket pair of its own, answered by a thread that does nothing else. The door itself counts:
a nonce pair is answered once, and no faster than `RATE`, so that a captured worker can neither
guess keys at speed nor have SKEYID for somebody else's exchange made again.
"""

from __future__ import annotations

import socket
import threading
from collections import OrderedDict
from collections.abc import Callable

from culvert.crypto import hash as prf
from culvert.driver.line import Line, serve
from culvert.driver.message import MessageError
from culvert.ike.outputs import GroupKey
from culvert.ike.wire.identity import Identity
from culvert.policy.ration import Ration
from culvert.rng import Random

RATE, BURST = 2000.0, 4000.0
"""Derivations a second, and at once: twice what one core can set up tunnels."""
REMEMBERED = 100_000
"""Nonce pairs that were answered: those of the last minute at the highest rate."""
DOOR = "vault"
KINDS = range(256)
"""Of identities: one octet (RFC 2408 §3.8)."""

Skeyid = Callable[[Identity, str, bytes, bytes], GroupKey]
"""SKEYID of a claimed identity, a hash's name and both nonces (`culvert.vault.group_keys`)."""


class RemoteKeys:
    """The worker's end."""

    def __init__(self, line: Line, rng: Random) -> None:
        self._line = line
        self._rng = rng

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey:
        answer = self._line.ask([identity, hash_name, nonce_i, nonce_r])
        if isinstance(answer, GroupKey):
            return answer
        # Too many, or asked before: whoever calls fails as with a wrong key.
        return GroupKey(prf.hmac(hash_name, self._rng.octets(32), nonce_i + nonce_r), "")


class KeysDoor:
    """The vault's end, served by a thread until the worker goes or `close`."""

    def __init__(
        self,
        skeyid: Skeyid,
        clock: Callable[[], float],
        *,
        burst: float = BURST,
        rate: float = RATE,
    ) -> None:
        self._skeyid = skeyid
        self._clock = clock
        self._ration = Ration(burst=burst, rate=rate)
        self._answered: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def serve(self, end: socket.socket) -> threading.Thread:
        """Answer one worker. The door remembers what it answered to those before."""
        return serve(end, self.answer, "keys-door")

    def answer(self, asked: object) -> GroupKey | None:
        match asked:
            case (
                Identity() as identity,
                str(name),
                bytes(nonce_i),
                bytes(nonce_r),
            ) if identity.kind in KINDS:
                with self._lock:
                    fresh = self._fresh(nonce_i + b"/" + nonce_r)
                return self._skeyid(identity, name, nonce_i, nonce_r) if fresh else None
            case _:
                raise MessageError("the vault was asked for what it does not give")

    def _fresh(self, nonces: bytes) -> bool:
        if nonces in self._answered or not self._ration.take(DOOR, now=self._clock()):
            return False
        self._answered[nonces] = None
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return True
