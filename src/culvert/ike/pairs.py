"""Pairs of IPsec SAs of one IKE SA: which there are, and when each must be renewed or end."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from math import inf

from culvert.ike.proposal import Lifetime
from culvert.ike.selector import Selector
from culvert.ike.timers import Timers
from culvert.rng import Random, fraction

SOFT = 0.9  # of the lifetime, less up to a tenth of it, so that two ends rarely renew at once
LATE = 0.95  # of the volume: where the responder asks, should the initiator not have done so
NOTICE = 3.0  # seconds that a renewal may take, at the rate at which the last pair was used up
EARLIEST = 0.5  # of the volume: no pair is renewed before, however fast
KILOBYTE = 1000  # the smaller of both readings in use (strongSwan's), so no peer sees it exceeded
KINDS = ("pair-hard", "pair-soft", "pair-retired", "pair-carries")  # timers of a pair
SETTLING = 0.1
"""Seconds that the old pair carries on after message 3 of a renewal. A peer that takes up the new
SAs only with that message (strongSwan) loses what overtakes it."""
UNCONFIRMED = 3.0
"""Seconds after which a successor carries of which only a renewal of phase 1 in the middle left
open whether the peer has it. One that has not asks for another at once."""
CROSSING = 10.0
"""Seconds that a first message, repeats included, may have been under way when we asked."""
LINGER = 5.0  # seconds an old pair still receives after its successor carries (strongSwan too)


@dataclass(frozen=True, slots=True)
class Pair:
    number: int
    inbound_spi: int
    outbound_spi: int
    local: Selector
    remote: Selector
    initiator: bool


class Pairs:
    """Live pairs by number."""

    def __init__(self, timers: Timers, rng: Random) -> None:
        self._timers = timers
        self._rng = rng
        self._live: dict[int, Pair] = {}
        self._last = 0
        self._filling: dict[int, tuple[float, int]] = {}  # since when, and to what soft volume
        self._rate = 0.0  # octets a second, of the last that was used up
        self._since: dict[int, float] = {}
        self._succeeded: set[int] = set()  # the peer has asked for a successor, and it carries
        self._spare: dict[int, float] = {}  # the peer is to delete it, until when

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Pair]:
        return iter(tuple(self._live.values()))

    def next_number(self) -> int:
        self._last += 1
        return self._last

    def add(self, pair: Pair, life: Lifetime, *, now: float) -> None:
        self._live[pair.number] = pair
        self._since[pair.number] = now
        if life.seconds:
            self._timers.set("pair-hard", now + life.seconds, pair.number)
            if pair.initiator:
                self._timers.set("pair-soft", now + soft_life(life, self._rng), pair.number)

    def volumes(self, pair: Pair, life: Lifetime, *, now: float) -> tuple[int, int]:
        """Octets after which this pair is renewed, and after which it must end (0: neither).

        What is used up quickly is renewed sooner, so that packets need not wait for the successor.
        """
        if not life.kilobytes:
            return 0, 0
        hard = life.kilobytes * KILOBYTE
        part = SOFT - fraction(self._rng) / 10 if pair.initiator else LATE
        ahead = max(EARLIEST, 1 - NOTICE * self._rate / hard)
        soft = int(hard * (min(part, ahead) if pair.initiator else part))
        self._filling[pair.number] = now, soft
        return soft, hard

    def renew(self, number: int, *, now: float) -> None:
        """It must be renewed at once."""
        if number in self._live:
            self._timers.set("pair-soft", now, number)

    def worn(self, number: int, *, now: float) -> None:
        """As `renew`, unless a successor carries already."""
        if not self._timers.running("pair-retired", number) and number not in self._succeeded:
            began, octets = self._filling.pop(number, (now, 0))
            if now > began:
                self._rate = octets / (now - began)
            self.renew(number, now=now)

    def take(self, other: Pairs) -> None:
        """All pairs of another IKE SA, with their names and times, are this one's from now on."""
        for pair in other:
            times = {kind: other._timers.at(kind, pair.number) for kind in KINDS}
            if filling := other._filling.get(pair.number):
                self._filling[pair.number] = filling
            self._succeeded |= other._succeeded & {pair.number}
            self._since[pair.number] = other._since.get(pair.number, 0.0)
            if until := other._spare.get(pair.number):
                self._spare[pair.number] = until
            other.drop(pair.number)
            self._live[pair.number] = pair
            for kind, at in times.items():
                if at < inf:
                    self._timers.set(kind, at, pair.number)
        self._last = max(self._last, other._last)
        self._rate = other._rate

    def same(self, local: Selector, remote: Selector) -> int:
        """The newest pair for these selectors, 0 if there is none."""
        for pair in reversed(self._live.values()):
            if (pair.local, pair.remote) == (local, remote):
                return pair.number
        return 0

    def succeeded(self, number: int, successor: int) -> None:
        """A successor carries that the peer asked for, and so the peer deletes this one; unless it
        may have asked before it knew of this one (`settle`)."""
        pair = self._live.get(number)
        if pair is None:
            return
        apart = self._since[successor] - self._since[number]
        if not pair.initiator or apart > CROSSING:
            self._succeeded.add(number)

    def settle(self, number: int, unconfirmed: Container[int], *, now: float) -> int:
        """Both ends may have asked for the same at once. One pair is enough: both choose by SPI,
        and who asked for the other deletes it. The one that is to carry then; 0: it is as it was.
        """
        fresh = self._live[number]
        for other in self:
            same = (other.local, other.remote) == (fresh.local, fresh.remote)
            if not same or other.initiator == fresh.initiator or other.number in unconfirmed:
                continue
            if self._leaves(other.number, now) or self._leaves(number, now):
                continue
            kept, spare = sorted((fresh, other), key=_order)
            if spare.initiator:
                self.carry_never(spare.number)
                self.retire(spare.number, now=now)
                return kept.number
            self._spare[spare.number] = now + 2 * LINGER
        return 0

    def _leaves(self, number: int, now: float) -> bool:
        retired = self._timers.running("pair-retired", number)
        return retired or number in self._succeeded or self._spare.get(number, now) > now

    def carry_later(self, number: int, *, after: float, now: float) -> None:
        self._timers.set("pair-carries", now + after, number)

    def carry_never(self, number: int) -> None:
        """A successor of it carries already."""
        self._timers.stop("pair-carries", number)

    def take_waiting(self) -> list[int]:
        """Those that were to carry later: now they must."""
        waiting = [one for one in self._live if self._timers.running("pair-carries", one)]
        for number in waiting:
            self._timers.stop("pair-carries", number)
        return waiting

    def retire(self, number: int, *, now: float) -> None:
        """A successor carries: delete this one in a moment."""
        if number in self._live:
            self._timers.stop("pair-soft", number)
            self._timers.set("pair-retired", now + LINGER, number)

    def get(self, number: int) -> Pair | None:
        return self._live.get(number)

    def by_spi(self, spi: int) -> Pair | None:
        """Of either direction: peers name their inbound SPI, vpnc both."""
        for pair in self._live.values():
            if spi in (pair.outbound_spi, pair.inbound_spi):
                return pair
        return None

    def drop(self, number: int) -> Pair | None:
        for kind in KINDS:
            self._timers.stop(kind, number)
        self._filling.pop(number, None)
        self._succeeded.discard(number)
        self._spare.pop(number, None)
        self._since.pop(number, None)
        return self._live.pop(number, None)


def _order(pair: Pair) -> tuple[int, ...]:
    """The same at both ends."""
    return tuple(sorted((pair.inbound_spi, pair.outbound_spi)))


def soft_life(life: Lifetime, rng: Random) -> float:
    """Seconds after which what lives so long is renewed."""
    return life.seconds * (SOFT - fraction(rng) / 10)
