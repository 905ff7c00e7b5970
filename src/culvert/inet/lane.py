"""Lanes: a session's packets wait beside those of other sessions, not behind them.

    UDP 4500   IKE │ lane 1 │ lane 2 │ … │ lane 8     each a socket with a queue of its own
    TUN            │ lane 1 │ lane 2 │ … │ lane 8     each a queue of the device

The kernel sorts arriving datagrams by the SPI's last bits, and those are ours to choose: all SAs of
a session have the same. What one session sends too much overflows its own lane; lanes are served in
turn. Lane 0 is for IKE and for everything else.

Several workers of one gateway (`Share`) have all of this each, and are told apart by other bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from culvert.inet.address import Path

LANES = 8
"""Of sessions; a power of two. More sessions share them, with one in eight of the others."""


MOST_WORKERS = 8
"""Of one gateway: more would wait for the one monitor. Each takes ten sockets for an address:
one for port 500, and nine for 4500."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which of a gateway's workers this is, from 0 on. The kernel finds it by bits of its own
    cookies and SPIs (`culvert.netio.lanes`), so these are drawn until they are right."""

    worker: int = 0
    workers: int = 1

    def has_cookie(self, cookie: bytes) -> bool:
        return int.from_bytes(cookie[4:8], "big") % self.workers == self.worker

    def has_spi(self, spi: int) -> bool:
        return spi // LANES % self.workers == self.worker


ALONE = Share()


def lane_of(spi: int) -> int:
    """Where the ESP that comes with this SPI of ours waits."""
    return 1 + spi % LANES


Datagrams = Sequence[tuple[bytes, Path]]


def by_lane(batch: Datagrams, marks: Sequence[int]) -> list[tuple[int, Datagrams, Sequence[int]]]:
    """ESP that came by one queue for all (without UDP there are no ports): each lane, its datagrams
    in order, and their marks."""
    lanes = [lane_of(datagram[3]) if len(datagram) > 3 else 0 for datagram, _ in batch]
    if len(set(lanes)) == 1:
        return [(lanes[0], batch, marks)]
    places: dict[int, list[int]] = {}
    for place, lane in enumerate(lanes):
        places.setdefault(lane, []).append(place)
    return [
        (lane, [batch[one] for one in of_it], [marks[one] for one in of_it] if marks else ())
        for lane, of_it in places.items()
    ]
