"""KernelPlane: the kernel's own IPsec behind the border of all engines (docs/decisions/0160).

No packet comes by here: pairs become SAs and policies, counters are read back, and what the kernel
tells becomes what the coordinator knows: a pair is worn, a peer has moved. Whoever reads the IKE
sockets says which of our addresses a peer called, for that is where its SAs end.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Protocol

from culvert.datapath.pair import check_carriage
from culvert.datapath.plane import (
    BARE,
    NATT_PORT,
    Counters,
    Inbound,
    Moved,
    Outbound,
    Progress,
    SaHalf,
    SaPair,
    Worn,
)
from culvert.datapath.xfrm.orders import (
    Direction,
    Expired,
    News,
    Order,
    Policy,
    PolicyName,
    Seen,
    State,
    StateName,
)
from culvert.errors import MisuseError, PlatformError
from culvert.esp.replay import WINDOW
from culvert.inet.address import Address
from culvert.tables.packet import PACKET_CIPHERS

MARKER = bytes(4)  # RFC 3948 §2.2: IKE, not ESP
MOST_HEARD = 65_536
"""Peers whose called address is remembered; the one silent for longest is forgotten first."""
_EARLY = Progress(0, 0, bytes(WINDOW // 8), 0, 0)
_Key = tuple[int, int]


class Hand(Protocol):
    """What carries orders out (`culvert.netio.xfrm.KernelIpsec`); all raise PlatformError."""

    def carry_out(self, order: Order) -> None: ...
    def state(self, name: StateName) -> Seen | None: ...
    def states(self) -> Sequence[Seen]: ...


@dataclass(slots=True)
class _Pair:
    """A pair as it stands: its two SAs and the policies it claims."""

    order: SaPair
    here: str
    peer: Address
    local_port: int
    ports: Mapping[int, int]
    worn: bool = False
    spent: bool = False

    @property
    def key(self) -> _Key:
        return self.order.session, self.order.pair

    @property
    def names(self) -> tuple[StateName, StateName]:
        """In, out."""
        return (
            StateName(self.order.inbound.spi, self.here),
            StateName(self.order.outbound.spi, self.peer[0]),
        )

    def states(self, progress: Progress) -> tuple[State, State]:
        port = self.ports.get(self.local_port, self.local_port)
        theirs, ours = self.peer, (self.here, port)
        near, far = self.order.inbound, self.order.outbound
        seen = progress.seen if progress.highest else b""
        into = replace(self._state(near, theirs, ours), highest=progress.highest, seen=seen)
        out = replace(self._state(far, ours, theirs), sequence=progress.sequence)
        return into, out

    def _state(self, half: SaHalf, source: Address, destination: Address) -> State:
        order = self.order
        in_udp = order.udp_encapsulated
        return State(
            half.spi,
            source[0],
            destination[0],
            order.cipher,
            order.integrity,
            half.cipher_key,
            half.salt,
            half.integrity_key,
            order.session,
            source[1] if in_udp else 0,
            destination[1] if in_udp else 0,
            self.soft_octets,
            order.hard_octets,
        )

    @property
    def soft_octets(self) -> int:
        volume = PACKET_CIPHERS[self.order.cipher].volume
        return min(filter(None, (self.order.soft_octets, volume)), default=0)

    def policies(self, *directions: Direction) -> Iterator[Policy]:
        for local in self.order.local:
            for remote in self.order.remote:
                if ip_network(local).version != ip_network(remote).version:
                    continue  # no packet goes from one to the other
                for direction in directions:
                    yield self._policy(direction, local, remote)

    def _policy(self, direction: Direction, local: str, remote: str) -> Policy:
        there, session = self.peer[0], self.order.session
        if direction == Direction.OUTBOUND:
            spi = self.order.outbound.spi
            return Policy(direction, local, remote, self.here, there, session, spi)
        return Policy(direction, remote, local, there, self.here, session)


class KernelPlane:
    """One kernel's IPsec, by one hand on it.

    ``ports``: the real ones of sockets that the core knows by other numbers.
    """

    name = "xfrm"
    virtio = False
    direct = None

    def __init__(self, hand: Hand, ports: Mapping[int, int] | None = None) -> None:
        self._hand = hand
        self._ports: Mapping[int, int] = ports or {}
        self._pairs: dict[_Key, _Pair] = {}
        self._names: dict[StateName, _Key] = {}
        self._claims: dict[PolicyName, list[_Key]] = {}
        self._before: dict[int, Counters] = {}  # what pairs that are gone have carried
        self._now: dict[int, Counters] = {}
        self._heard: OrderedDict[str, str] = OrderedDict()
        self._last: dict[StateName, Seen] = {}  # what the kernel removes itself is gone from there

    @property
    def refused(self) -> Mapping[str, int]:
        """The kernel counts those in /proc/net/xfrm_stat, for all alike."""
        return {}

    def heard(self, peer: str, here: str) -> None:
        """``peer`` called this address of ours."""
        self._heard[peer] = here
        self._heard.move_to_end(peer)
        if len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)

    # --- orders --------------------------------------------------------------------------------

    def install(self, pair: SaPair) -> None:
        """As `culvert.datapath.plane.Plane`; PlatformError when the kernel refuses, and then
        nothing of the pair is left."""
        check_carriage(pair)
        if pair.transport or pair.compression:
            raise MisuseError("the kernel's IPsec is used in tunnel mode without compression")
        here = self._heard.get(pair.peer[0], "")
        if not here:
            raise MisuseError(f"{pair.peer[0]} has called no address of this machine")
        fresh = _Pair(pair, here, pair.peer, pair.local_port, self._ports)
        if fresh.key in self._pairs or not self._names.keys().isdisjoint(fresh.names):
            raise MisuseError(f"SPI {pair.inbound.spi:#010x} is in use")
        self._pairs[fresh.key] = fresh
        try:
            self._add(fresh, _EARLY)
            for policy in fresh.policies(Direction.INBOUND, Direction.FORWARDED):
                self._claim(policy, fresh.key)
        except (PlatformError, MisuseError):
            self._take_away(fresh)
            raise

    def activate(self, session: int, pair: int) -> None:
        found = self._pairs.get((session, pair))
        for policy in found.policies(Direction.OUTBOUND) if found else ():
            self._claim(policy, (session, pair))

    def remove(self, session: int, pair: int) -> None:
        found = self._pairs.get((session, pair))
        if found is not None:
            self._keep_counters(found)
            self._take_away(found)

    def move(self, session: int, peer: Address, local_port: int) -> None:
        """Neither address of an SA can be changed: it goes on as another one."""
        for key in [key for key in self._pairs if key[0] == session]:
            pair = self._pairs[key]
            here = self._heard.get(peer[0], pair.here)
            if (pair.here, pair.peer, pair.local_port) == (here, peer, local_port):
                continue
            progress = self.progress(*key)
            self._keep_counters(pair)
            self._end_states(pair)
            pair.here, pair.peer, pair.local_port = here, peer, local_port
            self._add(pair, progress)
            for name, claims in self._claims.items():
                if claims[-1] == key:
                    self._hand.carry_out(self._policy(name, key))

    def forget(self, session: int) -> None:
        for key in [key for key in self._pairs if key[0] == session]:
            self._take_away(self._pairs[key])
        self._before.pop(session, None)
        self._now.pop(session, None)

    # --- policies ------------------------------------------------------------------------------

    def _claim(self, policy: Policy, key: _Key) -> None:
        """The last one to claim it has it; who claimed it before has it again after that one."""
        name = PolicyName(policy.direction, policy.source, policy.destination)
        claims = self._claims.setdefault(name, [])
        if key in claims:
            claims.remove(key)
        claims.append(key)
        self._hand.carry_out(policy)

    def _release(self, name: PolicyName, key: _Key) -> None:
        claims = self._claims[name]
        had = claims[-1] == key
        claims.remove(key)
        if not claims:
            del self._claims[name]
            self._hand.carry_out(name)
        elif had:
            self._hand.carry_out(self._policy(name, claims[-1]))

    def _policy(self, name: PolicyName, key: _Key) -> Policy:
        found = self._pairs[key].policies(Direction(name.direction))
        return next(
            one for one in found if (one.source, one.destination) == (name.source, name.destination)
        )

    # --- SAs -----------------------------------------------------------------------------------

    def _add(self, pair: _Pair, progress: Progress) -> None:
        for state in pair.states(progress):
            self._hand.carry_out(state)
        self._names.update(dict.fromkeys(pair.names, pair.key))

    def _end_states(self, pair: _Pair) -> None:
        for name in pair.names:
            self._names.pop(name, None)
            self._last.pop(name, None)
            self._hand.carry_out(name)

    def _take_away(self, pair: _Pair) -> None:
        """Policies first, so that no packet looks for an SA that is gone."""
        for name in [name for name, claims in self._claims.items() if pair.key in claims]:
            with suppress(PlatformError):
                self._release(name, pair.key)
        with suppress(PlatformError):
            self._end_states(pair)
        self._pairs.pop(pair.key, None)

    # --- packets: none -------------------------------------------------------------------------

    def from_network(
        self,
        batch: Sequence[tuple[bytes, Address]],
        now: float,
        local_port: int = NATT_PORT,
        marks: Sequence[int] = (),
    ) -> Inbound:
        """What the kernel has left on the port: IKE."""
        if local_port == BARE:
            return Inbound()
        found = [
            (octets[len(MARKER) :], peer) for octets, peer in batch if octets.startswith(MARKER)
        ]
        return Inbound(ike=found)

    def from_tunnel(self, packets: Sequence[bytes | memoryview], now: float) -> Outbound:
        return Outbound()

    # --- what the kernel tells -----------------------------------------------------------------

    def told(self, news: Iterable[News]) -> tuple[list[Worn], list[Moved]]:
        """For the coordinator; news of what is not ours is passed over."""
        worn: list[Worn] = []
        moved: list[Moved] = []
        for one in news:
            key = self._names.get(StateName(one.spi, one.destination))
            if key is None:
                continue
            pair = self._pairs[key]
            if isinstance(one, Expired):
                if not (pair.spent if one.hard else pair.worn):
                    worn.append(Worn(*key, spent=one.hard))
                pair.worn, pair.spent = True, pair.spent or one.hard
            elif (one.host, one.port) != pair.peer:
                self.heard(one.host, pair.here)
                moved.append(Moved(key[0], (one.host, one.port), pair.local_port))
        return worn, moved

    def look(self, now: float) -> list[Worn]:
        """Read the counters of all SAs. Raises PlatformError.

        News may be lost, where more came than was read in time: what they would have told.
        """
        found: dict[int, Counters] = {}
        standing: set[StateName] = set()
        for seen in self._hand.states():
            name = StateName(seen.spi, seen.destination)
            if name in self._names:
                standing.add(name)
                self._last[name] = seen
        for name, seen in self._last.items():
            key = self._names[name]
            inbound = name == self._pairs[key].names[0]
            found[key[0]] = _plus(found.get(key[0], Counters()), seen, inbound=inbound)
        for session, before in self._before.items():
            found[session] = _sum(before, found.get(session, Counters()))
        for session, counters in found.items():
            known = self._now.get(session, Counters())
            came = counters.packets_in > known.packets_in
            found[session] = replace(counters, last_inbound=now if came else known.last_inbound)
        self._now = found
        return list(self._worn_untold(standing))

    def _worn_untold(self, standing: Container[StateName]) -> Iterator[Worn]:
        for pair in self._pairs.values():
            missing = [name for name in pair.names if name not in standing]
            gone = any(self._hand.state(name) is None for name in missing)
            soft = pair.soft_octets
            carried = max(
                (self._last[name].octets for name in pair.names if name in self._last), default=0
            )
            if gone and not pair.spent:
                pair.worn = pair.spent = True
                yield Worn(*pair.key, spent=True)
            elif soft and carried >= soft and not pair.worn:
                pair.worn = True
                yield Worn(*pair.key)

    def traffic(self, session: int) -> Counters:
        """As of the last `look`."""
        return self._now.get(session, Counters())

    def _keep_counters(self, pair: _Pair) -> None:
        """What a pair has carried up to now stays with its session."""
        session = pair.order.session
        with suppress(PlatformError):
            for name, inbound in zip(pair.names, (True, False), strict=True):
                seen = self._hand.state(name) or self._last.get(name)
                if seen is not None:
                    before = self._before.get(session, Counters())
                    self._before[session] = _plus(before, seen, inbound=inbound)

    # --- another engine ------------------------------------------------------------------------

    def progress(self, session: int, pair: int) -> Progress:
        into, out = (self._hand.state(name) for name in self._pairs[session, pair].names)
        return Progress(
            out.sequence if out else 0,
            into.highest if into else 0,
            into.seen if into and into.seen else bytes(WINDOW // 8),
            out.octets if out else 0,
            into.octets if into else 0,
        )

    def go_on(self, session: int, pair: int, progress: Progress) -> None:
        """An SA that was there already has gone on by itself."""
        found = self._pairs[session, pair]
        if self.progress(session, pair).sequence < progress.sequence:
            self._end_states(found)
            self._add(found, progress)

    def recount(self, session: int, counters: Counters) -> None:
        self._before[session] = self._now[session] = counters


def _plus(counters: Counters, seen: Seen, *, inbound: bool) -> Counters:
    if not inbound:
        return replace(
            counters,
            octets_out=counters.octets_out + seen.octets,
            packets_out=counters.packets_out + seen.packets,
        )
    dropped = Counter({"replayed": seen.replayed, "not-authentic": seen.not_authentic})
    return replace(
        counters,
        octets_in=counters.octets_in + seen.octets,
        packets_in=counters.packets_in + seen.packets,
        dropped_in=dict(Counter(counters.dropped_in) + dropped),
    )


def _sum(one: Counters, other: Counters) -> Counters:
    return replace(
        one,
        octets_in=one.octets_in + other.octets_in,
        octets_out=one.octets_out + other.octets_out,
        packets_in=one.packets_in + other.packets_in,
        packets_out=one.packets_out + other.packets_out,
        dropped_in=dict(Counter(one.dropped_in) + Counter(other.dropped_in)),
    )
