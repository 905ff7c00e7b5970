"""A network in memory and in virtual time: ends that run real cores, and the PAT between them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from math import inf

from culvert.datapath.plane import Burst, Plane
from culvert.driver.coordinator import Coordinator
from culvert.effects import (
    ActivateSa,
    Answer,
    AskEcho,
    AskHuman,
    ConfigureMachine,
    Effect,
    Inquire,
    InstallSa,
    Judge,
    JudgeCertificate,
    MovePeer,
    OpenStream,
    PeerMoved,
    Record,
    RemoveSa,
    Resolve,
    RestoreMachine,
    SendIke,
    SendRaw,
    SessionEnded,
    Sign,
    Traffic,
)
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.ike.outputs import Keyed
from culvert.inet.address import Address, Path
from culvert.lab import topology
from culvert.lab.pat import Translation
from culvert.rng import Random, below

WAY = 0.01
"""Seconds from one end to the other."""

PATIENCE = 60.0
"""Virtual seconds in which whatever is waited for must happen."""

MARKER = bytes(4)  # RFC 3948 §2.2
IKE_PORT, NATT_PORT = 500, 4500
LOWEST_MAPPED, PORTS = 1024, 1 << 16

Order = (
    Judge
    | Sign
    | JudgeCertificate
    | AskHuman
    | ConfigureMachine
    | RestoreMachine
    | Resolve
    | OpenStream
    | AskEcho
    | Inquire
)
Inside = Callable[[Sequence[bytes]], Sequence[bytes]]


class Timeline:
    """What happens when. ``now`` jumps to the next moment in which something does."""

    def __init__(self, began: datetime, now: float) -> None:
        self.now = now
        self.ends: list[End] = []
        self._began = began, now
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def at(self) -> datetime:
        began, now = self._began
        return began + timedelta(seconds=self.now - now)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._numbers), call))

    def run_until(self, holds: Callable[[], bool]) -> None:
        """Raises PlatformError when it does not come about."""
        end = self.now + PATIENCE
        while not holds():
            deadline, due = min(((end.deadline, end) for end in self.ends), key=lambda one: one[0])
            coming = self._coming[0][0] if self._coming else inf
            self.now = max(self.now, min(deadline, coming))
            if self.now > end:
                raise PlatformError("the simulated network waits for something that does not come")
            if coming <= deadline:
                heapq.heappop(self._coming)[2]()
            else:
                due.tick()


class Nat:
    """The PAT: one address for all behind it; as on a PIX a low port stays a low one."""

    def __init__(self, address: str, rng: Random) -> None:
        self.table: dict[Address, Translation] = {}
        self._address = address
        self._rng = rng
        self._inside: dict[int, Address] = {}

    def outward(self, source: Address, to: Address) -> Address:
        known = self.table.get(source)
        if known is None:
            port = self._free_port(low=source[1] <= IKE_PORT)
            known = Translation("udp", self._address, port, *source, *to)
            self.table[source] = known
            self._inside[port] = source
        return known.global_address, known.global_port or 0

    def inward(self, port: int) -> Address | None:
        return self._inside.get(port)

    def _free_port(self, *, low: bool) -> int:
        first, end = (1, IKE_PORT) if low else (LOWEST_MAPPED, PORTS)
        while True:
            port = first + below(self._rng, end - first)
            if port not in self._inside:
                return port


@dataclass
class End:
    """One machine: a core, its data plane, its event log, and what answers its orders.

    ``route`` carries a batch of datagrams away; ``inside`` takes packets that came out of the
    tunnel and returns those that go back into it.
    """

    address: str
    core: Coordinator
    plane: Plane
    timeline: Timeline
    answer: Callable[[Order], Answer | None]
    route: Callable[[End, int, Address, Sequence[bytes]], None]
    inside: Inside = field(default=lambda _: ())
    log: EventLog = field(default_factory=EventLog)
    sessions: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.timeline.ends.append(self)

    @property
    def deadline(self) -> float:
        return self.core.deadline

    def tick(self) -> None:
        self.perform(self.core.tick(now=self.timeline.now))

    def step(self, answer: Answer) -> None:
        self.perform(self.core.step(answer, now=self.timeline.now))

    def look(self) -> None:
        """Bring the core's counters up to date."""
        for session in tuple(self.sessions):
            seen = self.plane.traffic(session)
            self.step(
                Traffic(
                    session,
                    seen.octets_in,
                    seen.octets_out,
                    seen.packets_in,
                    seen.packets_out,
                    sum(seen.dropped_in.values()),
                    sum(seen.dropped_out.values()),
                )
            )

    def record(self, event: LogEvent) -> None:
        self.log.record(event, at=self.timeline.at, now=self.timeline.now)

    # --- packets -------------------------------------------------------------------------------

    def hear(self, datagrams: Sequence[bytes], source: Address, port: int) -> None:
        """A batch from the network."""
        if port == IKE_PORT:
            path = Path((self.address, IKE_PORT), source, encapsulated=False)
            for octets in datagrams:
                self._ike(octets, path)
            return
        batch = [(octets, source) for octets in datagrams]
        found = self.plane.from_network(batch, self.timeline.now)
        for session, peer, local_port in found.moved:
            self.step(PeerMoved(session, peer, local_port))
        path = Path((self.address, NATT_PORT), source, encapsulated=True)
        for octets, _ in found.ike:
            self._ike(octets, path)
        if found.inside:
            self.send_inside(self.inside(found.inside))

    def send_inside(self, packets: Sequence[bytes]) -> None:
        """Packets that this machine routes into its tunnel."""
        if packets:
            for burst in self.plane.from_tunnel(packets, self.timeline.now).bursts:
                self._send_burst(burst)

    def _send_burst(self, burst: Burst) -> None:
        self.route(self, burst.local_port, burst.peer, burst.datagrams)

    def _ike(self, octets: bytes, path: Path) -> None:
        self.perform(self.core.receive(octets, path, now=self.timeline.now))

    # --- effects -------------------------------------------------------------------------------

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SendIke():
                octets = MARKER + effect.octets if effect.marker else effect.octets
                self.route(self, effect.local_port, effect.to, [octets])
            case SendRaw():
                self.route(self, effect.local_port, effect.to, [effect.octets])
            case Record():
                self.record(effect.event)
            case Keyed():
                return
            case InstallSa() | ActivateSa() | RemoveSa() | MovePeer() | SessionEnded():
                self._arrange(effect)
            case _:
                answer = self.answer(effect)
                if answer is not None:
                    self.timeline.later(WAY, lambda: self.step(answer))

    def _arrange(self, order: InstallSa | ActivateSa | RemoveSa | MovePeer | SessionEnded) -> None:
        match order:
            case InstallSa():
                self.plane.install(order)
                self.sessions.add(order.session)
            case ActivateSa():
                self.plane.activate(order.session, order.pair)
            case RemoveSa():
                self.plane.remove(order.session, order.pair)
            case MovePeer():
                self.plane.move(order.session, order.peer, order.local_port)
            case SessionEnded():
                self.plane.forget(order.session)
                self.sessions.discard(order.session)


class Network:
    """Clients behind the PAT on one side, the gateway on the other."""

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self.nat = Nat(topology.PAT_OUTSIDE, rng)
        self._timeline = timeline
        self._clients: dict[str, End] = {}
        self._gateway: End | None = None

    def join(self, end: End) -> None:
        if end.address == topology.GATEWAY:
            self._gateway = end
        else:
            self._clients[end.address] = end

    def carry(self, sender: End, port: int, to: Address, datagrams: Sequence[bytes]) -> None:
        """A batch from ``sender``; it arrives `WAY` later, or nowhere."""
        if sender is self._gateway:
            inside = self.nat.inward(to[1])
            client = self._clients.get(inside[0]) if inside else None
            if client is not None and inside is not None:
                source, arrived = (sender.address, port), inside[1]
                self._timeline.later(WAY, lambda: client.hear(datagrams, source, arrived))
        elif self._gateway is not None:
            gateway = self._gateway
            source = self.nat.outward((sender.address, port), to)
            self._timeline.later(WAY, lambda: gateway.hear(datagrams, source, to[1]))
