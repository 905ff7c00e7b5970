"""Putting cut IKE messages together again, within bounds that a stranger cannot move.

Pieces are gathered by cookies, fragment id and where they come from: a forger elsewhere takes no
part in anybody's message. A repeat of a piece is harmless at any time. Of two that differ in one
place the newer counts, so a message that somebody meddled with is whole as soon as all genuine
pieces came; what was delivered is kept for that until its time is over, and delivered again when
all of it came again. Another first piece, then, is the next message of a peer that always uses
the same id (strongSwan).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from math import inf

from culvert.ike.wire.fragment import Fragment
from culvert.ike.wire.message import LARGEST
from culvert.inet.address import Address

PATIENCE = 15.0
"""Seconds an unfinished message waits: beyond the longest pause between two repeats of it."""

PIECE_COST = 64
"""Octets a piece is counted for besides its own: many small ones must not cost more than few."""

Key = tuple[bytes, Address]  # both cookies, and where it comes from
_Slot = tuple[bytes, Address, int]  # and the fragment id


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets of unfinished messages in all, and of those from one host."""

    octets: int
    per_host: int


PROVED = Bounds(8 << 20, 1 << 20)
STRANGERS = Bounds(1 << 20, 256 << 10)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What came of a message that never became whole. ``of`` is 0 while the last is missing."""

    cookies: bytes
    peer: Address
    came: int
    of: int


@dataclass(slots=True)
class _Gathering:
    began: float
    pieces: dict[int, bytes] = field(default_factory=dict[int, bytes])
    last: int = 0
    octets: int = 0  # as they count against the bounds
    delivered: bool = False
    again: set[int] = field(default_factory=set[int])  # what came again since

    @property
    def whole(self) -> bool:
        return bool(self.last) and len(self.pieces) == self.last

    def follows(self, piece: Fragment) -> bool:
        """Whether this piece belongs to the next message."""
        other = self.pieces.get(piece.number) != piece.octets
        beyond = bool(self.last) and piece.number > self.last
        return self.delivered and (beyond or (other and piece.number == 1))

    def has(self, piece: Fragment) -> bool:
        same = self.pieces.get(piece.number) == piece.octets
        return same and piece.last == (piece.number == self.last)

    def joined(self) -> bytes:
        return b"".join([self.pieces[number] for number in range(1, self.last + 1)])


class Reassembly:
    """Messages in pieces, the oldest first. ``bounds`` hold always: the oldest makes room."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: OrderedDict[_Slot, _Gathering] = OrderedDict()
        self._octets = 0
        self._per_host: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def octets(self) -> int:
        """What is kept, as it counts against the bounds."""
        return self._octets

    @property
    def deadline(self) -> float:
        first = next(iter(self._open.values()), None)
        return inf if first is None else first.began + PATIENCE

    def take(self, key: Key, piece: Fragment, *, now: float) -> bytes | None:
        """The whole message, if this was what it wanted."""
        slot = (*key, piece.identifier)
        gathered = self._open.get(slot)
        if gathered is None or gathered.follows(piece):
            self._drop(slot)
            gathered = self._open[slot] = _Gathering(now)
        if gathered.has(piece):
            return self._repeated(gathered, piece)
        if gathered.last and piece.number > gathered.last and not piece.last:
            return None
        self._put(slot, gathered, piece)
        if not self._within(slot, gathered) or not gathered.whole:
            return None
        gathered.delivered = True
        gathered.again.clear()
        return gathered.joined()

    def tick(self, *, now: float) -> list[Unfinished]:
        """Those whose time is over and that never were whole."""
        told: list[Unfinished] = []
        while self.deadline <= now:
            slot, gathered = next(iter(self._open.items()))
            self._drop(slot)
            if not gathered.delivered:
                came = len(gathered.pieces)
                told.append(Unfinished(slot[0], slot[1], came, gathered.last))
        return told

    def _repeated(self, gathered: _Gathering, piece: Fragment) -> bytes | None:
        """The sender did not hear our answer if all of it comes again."""
        if not (gathered.delivered and gathered.whole):
            return None
        gathered.again.add(piece.number)
        if len(gathered.again) < gathered.last:
            return None
        gathered.again.clear()
        return gathered.joined()

    def _put(self, slot: _Slot, gathered: _Gathering, piece: Fragment) -> None:
        if piece.last:
            gathered.last = piece.number
            for beyond in [number for number in gathered.pieces if number > piece.number]:
                self._count(slot, gathered, -len(gathered.pieces.pop(beyond)) - PIECE_COST)
        elif piece.number == gathered.last:
            gathered.last = 0
        before = gathered.pieces.get(piece.number)
        if before is not None:
            self._count(slot, gathered, -len(before) - PIECE_COST)
        gathered.pieces[piece.number] = piece.octets
        self._count(slot, gathered, len(piece.octets) + PIECE_COST)

    def _within(self, slot: _Slot, gathered: _Gathering) -> bool:
        """Whether it may stay; others that are older go first, but never another host's for a
        host that has its share."""
        size = gathered.octets - PIECE_COST * len(gathered.pieces)
        if size > LARGEST or self._per_host[slot[1][0]] > self._bounds.per_host:
            self._drop(slot)
        while self._octets > self._bounds.octets:
            self._drop(next(iter(self._open)))
        return slot in self._open

    def _count(self, slot: _Slot, gathered: _Gathering, octets: int) -> None:
        gathered.octets += octets
        self._octets += octets
        host = slot[1][0]
        self._per_host[host] += octets
        if self._per_host[host] <= 0:
            del self._per_host[host]

    def _drop(self, slot: _Slot) -> None:
        gathered = self._open.pop(slot, None)
        if gathered is not None:
            self._count(slot, gathered, -gathered.octets)
