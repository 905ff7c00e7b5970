"""The pure-Python engine: runs everywhere, and is what the faster ones are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from culvert.datapath.fragmentation import Cutter, Policy
from culvert.datapath.inbound import open_batch
from culvert.datapath.mtu import ETHERNET
from culvert.datapath.outbound import seal_batch
from culvert.datapath.pair import Pair, Session
from culvert.datapath.plane import NATT_PORT, Counters, Inbound, Outbound, Progress, SaPair
from culvert.datapath.spd import Spd
from culvert.errors import MisuseError
from culvert.esp.sa import spi_octets
from culvert.inet.address import Address
from culvert.inet.marks import ALL
from culvert.rng import Random


class PythonEngine:
    """A `culvert.datapath.plane.Plane`. ``path_mtu`` holds for all peers; ``copied``: which bits
    of DSCP and ECN datagrams have of the packets in them. ``cut``: where packets are that are too
    large; ``largest``: of those inside, if less is to pass than fits (0: what fits)."""

    def __init__(
        self,
        rng: Random,
        *,
        path_mtu: int = ETHERNET,
        copied: int = ALL,
        cut: Policy = Policy.BEFORE_WITH_ICMP,
        largest: int = 0,
    ) -> None:
        self._rng = rng
        self._path_mtu = path_mtu
        self._cutter, self._largest = Cutter(cut), largest
        self._copied = copied
        self._sessions: dict[int, Session] = {}
        self._sad: dict[bytes, Pair] = {}
        self._spd: Spd[Pair] = Spd()
        self._refused: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return "python"

    @property
    def virtio(self) -> bool:
        return False

    @property
    def direct(self) -> None:
        return None

    @property
    def refused(self) -> Mapping[str, int]:
        return self._refused

    def install(self, pair: SaPair) -> None:
        spi = spi_octets(pair.inbound.spi)
        if spi in self._sad:
            raise MisuseError(f"inbound SPI {pair.inbound.spi:#010x} is in use")
        session = self._sessions.get(pair.session)
        if session is None:
            session = Session(pair.session, pair.peer, pair.local_port)
        elif pair.pair in session.pairs:
            raise MisuseError(f"session {pair.session} has a pair {pair.pair} already")
        made = Pair(pair, session, self._rng)
        session.move(pair.peer, pair.local_port)
        self._sessions[pair.session] = session
        self._sad[spi] = session.pairs[pair.pair] = made
        self._fit(session)

    def activate(self, session: int, pair: int) -> None:
        known = self._sessions.get(session)
        chosen = known.pairs.get(pair) if known else None
        if chosen is None:
            raise MisuseError(f"session {session} has no pair {pair} to activate")
        self._spd.remove(chosen.remote_prefixes, chosen)
        self._spd.add(chosen.remote_prefixes, chosen.local_prefixes, chosen)

    def remove(self, session: int, pair: int) -> None:
        known = self._sessions.get(session)
        gone = known.pairs.pop(pair, None) if known else None
        if gone is not None:
            del self._sad[gone.inbound.spi]
            self._spd.remove(gone.remote_prefixes, gone)

    def move(self, session: int, peer: Address, local_port: int) -> None:
        """A session without pairs yet learns its peer with the first."""
        if known := self._sessions.get(session):
            known.move(peer, local_port)
            self._fit(known)

    def forget(self, session: int) -> None:
        if known := self._sessions.get(session):
            for pair in tuple(known.pairs):
                self.remove(session, pair)
            del self._sessions[session]

    def from_network(
        self,
        batch: Sequence[tuple[bytes, Address]],
        now: float,
        local_port: int = NATT_PORT,
        marks: Sequence[int] = (),
    ) -> Inbound:
        return open_batch(batch, local_port, self._sad, self._refused, now, marks)

    def from_tunnel(self, packets: Sequence[bytes | memoryview], now: float) -> Outbound:
        return seal_batch(packets, self._spd, self._refused, self._cutter, self._copied)

    def traffic(self, session: int) -> Counters:
        known = self._sessions.get(session)
        return known.counters() if known else Counters()

    def progress(self, session: int, pair: int) -> Progress:
        return self._pair(session, pair).progress

    def go_on(self, session: int, pair: int, progress: Progress) -> None:
        self._pair(session, pair).go_on(progress)

    def recount(self, session: int, counters: Counters) -> None:
        if known := self._sessions.get(session):
            known.recount(counters)

    def _pair(self, session: int, pair: int) -> Pair:
        known = self._sessions.get(session)
        found = known.pairs.get(pair) if known else None
        if found is None:
            raise MisuseError(f"session {session} has no pair {pair}")
        return found

    def _fit(self, session: Session) -> None:
        for pair in session.pairs.values():
            pair.fit(self._path_mtu, self._largest)
