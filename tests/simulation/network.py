"""A network in virtual time: hosts, links with faults, address translators, and what was seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from culvert.inet.address import Address
from simulation.journal import Journal, Seen
from simulation.nat import Nat
from simulation.timeline import Timeline

IP_AND_UDP = 28  # octets of an IPv4 and a UDP header
IP = 20
NO_PORT = 0  # of ESP without UDP
LARGEST = 65_507  # octets of a UDP datagram over IPv4


@dataclass(frozen=True, slots=True)
class Faults:
    """What a link does to datagrams, in either direction.

    ``loss``, ``duplication``, ``reordering``: probabilities. A reordered datagram comes up to
    ``late`` seconds after its time. ``mtu``: larger datagrams travel in fragments, each of which
    may be lost, or vanish if the link is a ``black_hole`` for them.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    late: float = 0.5
    delay: float = 0.02
    jitter: float = 0.0
    mtu: int = 1500
    black_hole: bool = False


PERFECT = Faults()


class Host(Protocol):
    """Where datagrams end."""

    name: str

    def datagram(self, octets: bytes, source: Address, to: Address) -> None: ...


Drop = Callable[[Seen], bool]


@dataclass(slots=True)
class Link:
    """How one host is joined to the rest. ``drops`` decides besides chance; ``up`` is the plug."""

    host: Host
    address: str
    faults: Faults = PERFECT
    behind: Nat | None = None
    up: bool = True
    drops: Drop = lambda _: False


class Network:
    """Everything between the hosts. ``journal`` holds every datagram that was sent, and whatever
    the hosts write into it."""

    def __init__(self, timeline: Timeline, rng: random.Random) -> None:
        self.timeline = timeline
        self.journal: Journal = []
        self._rng = rng
        self._links: dict[str, Link] = {}
        self._streams: dict[Address, tuple[Host, Address, Address]] = {}

    def join(self, link: Link) -> Link:
        """A host appears. Addresses inside different NATs must differ all the same."""
        if link.address in self._links:
            raise AssertionError(f"{link.address} is taken")
        self._links[link.address] = link
        return link

    def move(self, link: Link, address: str, behind: Nat | None) -> None:
        """The host roams: another address, another translator or none."""
        del self._links[link.address]
        link.address, link.behind = address, behind
        self.join(link)

    @property
    def seen(self) -> list[Seen]:
        """Every datagram, in the order of sending."""
        return [entry for entry in self.journal if isinstance(entry, Seen)]

    def send(self, link: Link, octets: bytes, port: int, to: Address) -> None:
        """One datagram of ``link``'s host, from its UDP port ``port``, or ESP from `NO_PORT`."""
        if len(octets) > LARGEST:
            raise AssertionError(f"{len(octets)} octets are no UDP datagram")
        seen = Seen(self.timeline.now, link.host.name, octets, (link.address, port), to)
        self.journal.append(seen)
        if to in self._streams:
            host, source, inside = self._streams[to]
            self.timeline.after(link.faults.delay, lambda: host.datagram(octets, source, inside))
            return
        self._through(link, seen, lambda: self._across(link, seen))

    def stream(self, caller: Host, called: Host, to: Address) -> Address:
        """A TCP stream, which loses nothing: each end stands at the other as an address of
        127.64.0.0/10. Returns the one that ``caller`` calls."""
        number = len(self._streams) // 2 + 1
        at_caller, at_called = ("127.64.0.1", number), ("127.64.0.2", number)
        self._streams[at_caller] = called, at_called, to
        self._streams[at_called] = caller, at_caller, ("127.0.0.1", to[1])
        return at_caller

    def inject(self, octets: bytes, source: Address, to: Address, name: str = "?") -> None:
        """A datagram from anywhere, with any source: what attackers send. Arrives at once."""
        seen = Seen(self.timeline.now, name, octets, source, to)
        self.journal.append(seen)
        self._deliver(seen, source)

    # --- on its way --------------------------------------------------------------------------

    def _through(self, link: Link, seen: Seen, arrive: Callable[[], None]) -> None:
        """Over one link, with its faults: ``arrive`` runs never, once or twice."""
        faults, draw = link.faults, self._rng.random
        size = len(seen.octets) + IP_AND_UDP
        fragments = -(-(size - IP) // max(faults.mtu - IP, 8)) if size > faults.mtu else 1
        if not link.up or (fragments > 1 and faults.black_hole) or link.drops(seen):
            seen.fate += "x"
            return
        if any(draw() < faults.loss for _ in range(fragments)):
            seen.fate += "x"
            return
        copies = 1
        if draw() < faults.duplication:
            copies, seen.fate = 2, seen.fate + "2"
        for _ in range(copies):
            wait = faults.delay + draw() * faults.jitter
            if draw() < faults.reordering:
                wait += draw() * faults.late
            self.timeline.after(wait, arrive)

    def _across(self, link: Link, seen: Seen) -> None:
        """Out of the sender's network, through its NAT, to the far end's."""
        source = seen.source
        if link.behind is not None and source[1] == NO_PORT:
            if not link.behind.passes(source[0]):
                seen.fate += "?"  # what has no ports cannot be told apart on the way back
                return
            source = (link.behind.address, NO_PORT)
        elif link.behind is not None:
            source = link.behind.outward(source, seen.to, self.timeline.now)
        self._deliver(seen, source)

    def _deliver(self, seen: Seen, source: Address) -> None:
        inside = self._inward(seen.to, source)
        if inside is None:
            seen.fate += "?"  # nobody there, or a NAT that lets nothing in
            return
        far = self._links[inside[0]]

        def arrive() -> None:
            # Whoever moved or was unplugged meanwhile is not reached.
            if far.up and far.address == inside[0]:
                seen.arrivals.append((self.timeline.now, far.host.name))
                far.host.datagram(seen.octets, source, inside)

        self._through(far, seen, arrive)

    def _inward(self, to: Address, source: Address) -> Address | None:
        link = self._links.get(to[0])
        if link is not None and link.behind is None:
            return to
        for each in self._links.values():
            if each.behind is not None and each.behind.address == to[0]:
                if to[1] == NO_PORT:
                    served = each.behind.served
                    return (served, NO_PORT) if served in self._links else None
                inside = each.behind.inward(to[1], source, self.timeline.now)
                return inside if inside is not None and inside[0] in self._links else None
        return None
