"""Placing: which of several workers answers a first message. Sans-IO.

The kernel spreads first messages by the caller's cookie (`culvert.netio.lanes`), which says nothing
about who calls. Two things are better: whoever has a session calls where that is, for phase 1 is
renewed by another first message from the same address and port; and strangers go where the fewest
sessions are, so that all have about as many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from culvert.inet.address import Address
from culvert.inet.lane import Share

REMEMBERED = 4096
"""First messages that were placed a moment ago: their repetitions go to the same worker."""
MOST_SOURCES = 65536
"""Peers of one worker that the others know; of more than that a renewal may go astray."""
COOKIES, COOKIE = 16, 8


class Neighbours(Protocol):
    """The other workers, as told what happens here."""

    def here(self, peer: Address) -> None: ...

    def gone(self, peer: Address) -> None: ...


class Placing:
    def __init__(self, share: Share) -> None:
        self._share = share
        self._loads = {worker: 0 for worker in range(share.workers) if worker != share.worker}
        self._at: dict[Address, int] = {}
        self._counts = dict.fromkeys(self._loads, 0)
        self._placed: OrderedDict[bytes, int] = OrderedDict()
        self._down: set[int] = set()

    # --- what the others tell ----------------------------------------------------------------

    def load(self, worker: int, load: int) -> None:
        """So many sessions, and calls that may become some, are there."""
        self._loads[worker] = load

    def here(self, worker: int, peers: Iterable[Address]) -> None:
        for peer in peers:
            if self._counts[worker] < MOST_SOURCES:
                self.gone(self._at.get(peer, worker), [peer])
                self._at[peer] = worker
                self._counts[worker] += 1

    def gone(self, worker: int, peers: Iterable[Address]) -> None:
        for peer in peers:
            if self._at.get(peer) == worker:
                del self._at[peer]
                self._counts[worker] -= 1

    def began(self, worker: int) -> None:
        """Another process has taken that place, with nothing in it."""
        self.gone(worker, [peer for peer, at in self._at.items() if at == worker])
        self._loads[worker] = 0

    def down(self, worker: int) -> None:
        """No process is there now: nobody is sent to it."""
        self._down.add(worker)

    def up(self, worker: int) -> None:
        self._down.discard(worker)

    def is_down(self, worker: int) -> bool:
        return worker in self._down

    def knows(self, peer: Address) -> bool:
        """Whether it has a session at another worker."""
        return peer in self._at

    # --- what comes --------------------------------------------------------------------------

    def worker_for(self, octets: bytes, peer: Address, load: int, *, ours: bool = False) -> int:
        """``load``: our own; ``ours``: this peer has a session here. Whatever is no first message
        is ours."""
        cookie, own = octets[:COOKIE], self._share.worker
        if len(octets) < COOKIES or any(octets[COOKIE:COOKIES]):
            return own
        known = self._placed.get(cookie)
        if known is not None and known not in self._down:
            return known
        found = own if ours else self._at.get(peer)
        if found is None or found in self._down:
            found = self._least(load)
        self._place(cookie, found)
        return found

    def keep(self, octets: bytes) -> None:
        """This first message could not be passed on: it is ours, with its repetitions."""
        self._place(octets[:COOKIE], self._share.worker)

    def _least(self, load: int) -> int:
        own, there = self._share.worker, self._loads.keys() - self._down
        found = min(sorted(there), key=lambda worker: self._loads[worker], default=own)
        if found == own or self._loads[found] >= load:
            return own
        self._loads[found] += 1
        return found

    def _place(self, cookie: bytes, worker: int) -> None:
        self._placed[cookie] = worker
        if len(self._placed) > REMEMBERED:
            self._placed.popitem(last=False)
