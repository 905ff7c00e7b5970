"""The vault of one connection: what its worker may not hold (docs/reference/processes.md).

    worker ── both nonces ──> SKEYID, once each · "password" ──> the password, for one answer

The group key never leaves. A password must, for XAUTH carries it inside the exchange itself: but
only after SKEYID of an exchange was asked for or the gateway's certificate was accepted here, and
only so often for each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from culvert.client.person import GROUP_KEY, PLACEHOLDER, Person
from culvert.crypto.hash import hmac
from culvert.driver.keys_door import KeysDoor, RemoteKeys
from culvert.driver.line import Line
from culvert.effects import HumanAnswered
from culvert.ike.outputs import GroupKey
from culvert.ike.wire.identity import Identity
from culvert.profile.profile import Profile
from culvert.rng import Random
from culvert.secret import Secret

BURST, RATE = 64.0, 1.0
"""Derivations at once, and a second: a client calls one gateway, and again every few seconds."""
GIVEN = 2
"""Passwords for one exchange: a gateway may ask once more in another form."""
PASSWORD = "password"  # noqa: S105  # a word for one


class Vault:
    """The monitor's side; `answer` is called from a thread."""

    def __init__(self, profile: Profile, clock: Callable[[], float]) -> None:
        self._person = Person(profile)
        self._door = KeysDoor(self._skeyid, clock, burst=BURST, rate=RATE)
        self._group = profile.group
        self._lock = threading.Lock()
        self._left = 0

    def answer(self, asked: object) -> object:
        return self._password() if asked == PASSWORD else self._door.answer(asked)

    def told(self, answer: HumanAnswered) -> HumanAnswered:
        """What of a person's answer the worker may hear. A group key stays; the rest answers the
        exchange, and serves again while the connection lasts."""
        if answer.values is None:
            return answer
        with self._lock:
            if GROUP_KEY in answer.values:
                self._person.group_key = answer.values[GROUP_KEY]
                return HumanAnswered(answer.ticket, {GROUP_KEY: PLACEHOLDER})
            self._person.told(answer.values)
            return answer

    def proved(self) -> None:
        """The gateway has shown a certificate that is believed here."""
        with self._lock:
            self._left = GIVEN

    def _skeyid(self, _: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes) -> GroupKey:
        with self._lock:
            self._left = GIVEN
            held = self._person.group_key
        key = held.octets() if held else b""
        return GroupKey(hmac(hash_name, key, nonce_i + nonce_r), self._group)

    def _password(self) -> Secret | None:
        with self._lock:
            if not self._left:
                return None
            self._left -= 1
            return self._person.known.get(PASSWORD)


class FarVault:
    """The worker's side."""

    def __init__(self, line: Line, group: str, rng: Random) -> None:
        self._line = line
        self._keys = RemoteKeys(line, rng)
        self._identity = Identity.of_group(group)
        self._last: tuple[str, bytes, bytes] = ("", b"", b"")

    def derive(self, hash_name: str, _: bytes, nonces: bytes) -> bytes:
        """SKEYID; whatever key the core believes to have is a placeholder.

        A gateway whose answer was refused sends it again, and the vault answers once.
        """
        if self._last[:2] != (hash_name, nonces):
            found = self._keys.skeyid(self._identity, hash_name, nonces, b"").skeyid
            self._last = (hash_name, nonces, found)
        return self._last[2]

    def password(self) -> Secret | None:
        found = self._line.ask(PASSWORD)
        return found if isinstance(found, Secret) else None
