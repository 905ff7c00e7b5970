"""Inbound SPIs: drawn at random, in use once at a time for the whole endpoint."""

from __future__ import annotations

from culvert.inet.lane import ALONE, LANES, Share
from culvert.rng import Random

RESERVED = 256  # RFC 4303 §2.1: 0 to 255 are never used


class Spis:
    """Every SPI drawn is released when its pair, or the attempt at one, is over."""

    def __init__(self, share: Share = ALONE) -> None:
        self._share = share
        self._used: set[int] = set()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._used)

    def draw(self, rng: Random, beside: int = 0) -> int:
        """From its IKE SA's chance. ``beside``: another SPI of the same session, whose lane
        (`culvert.inet.lane`) it is to have; without one it gets the next lane in turn."""
        if not beside:
            self._turn += 1
        lane = (beside or self._turn) % LANES
        while True:
            drawn = int.from_bytes(rng.octets(4), "big") // LANES * LANES + lane
            if drawn < RESERVED or not self._share.has_spi(drawn):
                continue
            if drawn not in self._used:
                self._used.add(drawn)
                return drawn

    def release(self, spi: int) -> None:
        self._used.discard(spi)
