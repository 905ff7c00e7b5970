"""Random: the one door a core has to chance.

Cores draw cookies, nonces, private values, SPIs, IVs and jitter from here, so that a recorded or
seeded run repeats octet for octet. Only the drivers choose which one is behind the door.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Protocol


class Random(Protocol):
    """Where a core's chance comes from."""

    def octets(self, count: int) -> bytes:
        """``count`` unpredictable octets."""
        ...


class SystemRandom:
    """The operating system's generator."""

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class SeededRandom:
    """A repeatable stream for simulations and replays; never for real keys."""

    def __init__(self, seed: bytes | int) -> None:
        self._seed = seed if isinstance(seed, bytes) else seed.to_bytes(16, "big", signed=True)
        self._block = 0
        self._left = b""

    def octets(self, count: int) -> bytes:
        while len(self._left) < count:
            self._left += hashlib.sha256(self._seed + self._block.to_bytes(8, "big")).digest()
            self._block += 1
        drawn, self._left = self._left[:count], self._left[count:]
        return drawn


def below(rng: Random, limit: int) -> int:
    """A whole number from 0 up to but not including ``limit`` (64 bits of chance per draw)."""
    return int.from_bytes(rng.octets(8), "big") % limit


def fraction(rng: Random) -> float:
    """From 0.0 up to but not including 1.0."""
    return (int.from_bytes(rng.octets(8), "big") >> 11) / (1 << 53)
