"""Farewells: the last messages of IKE SAs that ended here, for peers that did not hear them.

A delete is sent once and nobody acknowledges it (RFC 2408 §3.15). A peer that missed it goes on
talking to an SA that is gone, and would find out by dead peer detection only, without the reason.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import inf

KEPT = 1000  # the latest; a peer that talks to an older one finds out by its own means
PAUSE = 1.0  # seconds between two farewells to one peer
TIMES = 8  # a peer that did not understand it so often never will
ALLOWANCE = 200  # octets it may exceed what it answers by: nobody has proved who sent that


@dataclass(slots=True)
class Farewell:
    octets: bytes
    told: float = -inf
    times: int = 0


class Farewells:
    """By the cookies of the IKE SA, both, which only its two ends and the wire between know."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Farewell] = OrderedDict()

    def keep(self, cookies: bytes, octets: bytes) -> None:
        self._kept[cookies] = Farewell(octets)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def again(self, cookies: bytes, heard: int, *, now: float) -> bytes | None:
        """What to answer a datagram of ``heard`` octets for an SA that is gone, if anything."""
        kept = self._kept.get(cookies)
        if kept is None or now < kept.told + PAUSE or len(kept.octets) > heard + ALLOWANCE:
            return None
        kept.told = now
        kept.times += 1
        if kept.times == TIMES:
            del self._kept[cookies]
        return kept.octets
