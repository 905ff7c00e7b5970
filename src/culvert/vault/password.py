"""Password hashes: argon2id for people, a fast one for benchmarks and migration only."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import secrets
from typing import Protocol

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from culvert.secret import Secret

# OWASP's minimum for argon2id (password storage cheat sheet): 19 MiB, 2 passes, 1 lane.
# What it costs here stands in docs/decisions/0004-argon2.md.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1

SALT_OCTETS = 16

_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # both are glibc's alone
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
_ARENAS = -8  # M_ARENA_MAX of <malloc.h>
FAST_PREFIX = "$fast-hmac-sha256$"


class Scheme(Protocol):
    """One way to hash passwords."""

    @property
    def name(self) -> str: ...

    @property
    def decoy(self) -> str:
        """A hash that no password matches and that costs as much to check as a real one."""
        ...

    def knows(self, stored: str) -> bool:
        """Whether ``stored`` is a sound hash of this scheme, not weaker than it makes itself."""
        ...

    def hash(self, password: Secret) -> str: ...

    def matches(self, stored: str, password: Secret) -> bool:
        """Costs the same whether or not ``stored`` is a hash of this scheme."""
        ...

    def rest(self) -> None:
        """Nobody waits for a hash at the moment."""
        ...


class Argon2id:
    """The scheme for people. Checking releases the interpreter lock while it computes."""

    name = "local"

    def __init__(self) -> None:
        if _mallopt is not None:
            _mallopt(_ARENAS, 1)  # what threads have in arenas of their own never goes back
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID
        )
        self.decoy = self._hasher.hash(secrets.token_hex(SALT_OCTETS))

    @staticmethod
    def knows(stored: str) -> bool:
        try:
            found = extract_parameters(stored)
        except InvalidHashError:
            return False
        return (
            found.type is Type.ID
            and found.memory_cost >= MEMORY_KIB
            and found.time_cost >= PASSES
            and found.parallelism >= LANES
        )

    def hash(self, password: Secret) -> str:
        return self._hasher.hash(password.octets())

    def matches(self, stored: str, password: Secret) -> bool:
        known = self.knows(stored)
        try:
            right = self._hasher.verify(stored if known else self.decoy, password.octets())
        except (VerificationError, InvalidHashError):
            return False
        return known and right

    def rest(self) -> None:
        """The C library keeps what a hash used, 19 MiB a thread and more, for the next one."""
        if _trim is not None:
            _trim(0)


class FastHash:
    """HMAC-SHA-256 with a salt: no obstacle to whoever steals the hashes. Only by opting in."""

    name = "fast-hash"

    def __init__(self) -> None:
        self.decoy = self.hash(Secret(secrets.token_hex(SALT_OCTETS)))

    @staticmethod
    def knows(stored: str) -> bool:
        return _fast_parts(stored) is not None

    def hash(self, password: Secret) -> str:
        salt = secrets.token_bytes(SALT_OCTETS)
        return f"{FAST_PREFIX}{salt.hex()}${_fast(salt, password).hex()}"

    def matches(self, stored: str, password: Secret) -> bool:
        parts = _fast_parts(stored)
        salt, digest = parts or (bytes(SALT_OCTETS), bytes(hashlib.sha256().digest_size))
        right = hmac.compare_digest(_fast(salt, password), digest)
        return parts is not None and right

    def rest(self) -> None:
        """It used nothing."""


SCHEMES: dict[str, type[Argon2id] | type[FastHash]] = {
    Argon2id.name: Argon2id,
    FastHash.name: FastHash,
}
"""By the name that the configuration uses for the back end."""


def _fast(salt: bytes, password: Secret) -> bytes:
    return hmac.digest(salt, password.octets(), hashlib.sha256)


def _fast_parts(stored: str) -> tuple[bytes, bytes] | None:
    salt, _, digest = stored.removeprefix(FAST_PREFIX).partition("$")
    try:
        parts = bytes.fromhex(salt), bytes.fromhex(digest)
    except ValueError:
        return None
    sound = len(parts[0]) == SALT_OCTETS and len(parts[1]) == hashlib.sha256().digest_size
    return parts if sound and stored.startswith(FAST_PREFIX) else None
