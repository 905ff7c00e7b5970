"""The ways IKE and ESP can take, and which of them comes next where one does not get through.

    nat-t ── ESP blocked ──> nat-t-forced ──> udp ──> tcp ──> nat-t, once more and patiently
      │└──── 4500 blocked ────────────────────^       ^
      └───── nothing, or long messages lost ──────────┘   (IKE begins at UDP 500 on all but tcp)

Only what the profile allows is offered. A gateway that chooses has IPsec over TCP before NAT-T
before IPsec over UDP (S4-13); one who searches has TCP last, because packets in a stream wait for
those that were lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from culvert.ike.settings import Settings
from culvert.profile.profile import Profile

AUTO = "auto"
PATIENCE = 8.0
"""Seconds for the first sign of life on one way of several: four copies of a message go out in that
time, and the same again after the move to port 4500."""
REMEMBERED = 64
"""Networks of one connection; who has been in more is asked to search again."""


class Blocked(Enum):
    """What does not get through, as it is told."""

    UDP = "UDP"
    NATT = "UDP 4500"
    LONG = "A message in IP fragments"
    ESP = "ESP"
    ESP_IN_UDP = "ESP over UDP"
    TCP = "TCP"


@dataclass(frozen=True, slots=True)
class Way:
    """``name`` is stable: files remember it. ``blocked_by`` makes it not worth trying."""

    name: str
    label: str
    blocked_by: frozenset[Blocked]

    def settings(self, usual: Settings) -> Settings:
        match self.name:
            case "nat-t-forced":
                return replace(usual, force_encapsulation=True, over_udp=False)
            case "udp":
                return replace(usual, natt=(), force_encapsulation=False, over_udp=True)
            case _:
                return replace(usual, over_udp=False)


_AT_500 = frozenset((Blocked.UDP, Blocked.LONG))
NATT = Way("nat-t", "ESP, or NAT-T where it is needed", frozenset(Blocked))
FORCED = Way("nat-t-forced", "NAT-T on UDP 4500", _AT_500 | {Blocked.NATT, Blocked.ESP_IN_UDP})
UDP = Way("udp", "IPsec over UDP", _AT_500 | {Blocked.ESP_IN_UDP})
TCP = Way("tcp", "IPsec over TCP", frozenset((Blocked.TCP,)))


def offered(profile: Profile, *, bare_esp: bool) -> tuple[Way, ...]:
    """Those that the profile's keys allow, in the order in which they are tried."""
    forced = profile.nat_traversal == AUTO and bare_esp
    return (
        *((NATT,) if profile.nat_traversal != "off" or bare_esp else ()),
        *((FORCED,) if forced else ()),
        *((UDP,) if profile.ipsec_over_udp else ()),
        *((TCP,) if profile.ipsec_over_tcp else ()),
    )


class Ways:
    """Of one connection. With `transport` not "auto" there are none, and nothing is searched."""

    def __init__(self, profile: Profile, *, bare_esp: bool) -> None:
        searching = profile.transport == AUTO
        self._offered: list[Way] = []
        if searching:
            self._offered += offered(profile, bare_esp=bare_esp)
        self._served: dict[str, str] = {}
        self._left: list[Way] = []
        self.network = ""
        self.current: Way | None = None
        self.tried = 0
        """Ways that came to nothing in this round."""
        self.patient = False
        """Every other one was tried: this one has all the time there is."""

    @property
    def known(self) -> bool:
        """Whether the current way is the one that served in this network before."""
        return self.current is not None and self._served.get(self.network) == self.current.name

    @property
    def others(self) -> bool:
        """Whether another way is left to be tried."""
        return any(way is not FORCED for way in self._left)

    def begin(self, network: str, remembered: str) -> None:
        """A new round, first by what served here last. ``remembered``: by an earlier connection."""
        self.network = network
        last = self._served.get(network, remembered)
        self._left = sorted(self._offered, key=lambda way: way.name != last)
        self.tried, self.patient = 0, False
        self.current = self._left.pop(0) if self._left else None

    def next(self, blocked: Blocked) -> bool:
        """Go on to the next that this does not block; once around, to the first again. False when
        there is nothing left to try."""
        self.tried += 1
        self._left = [way for way in self._left if blocked not in way.blocked_by]
        if self._left:
            self.current = self._left.pop(0)
            return True
        if self.patient or self.tried < 2:
            return False
        self.current, self.patient = self._offered[0], True
        return True

    def served(self) -> None:
        """The current one got through."""
        if self.current is not None:
            self._served[self.network] = self.current.name
            if len(self._served) > REMEMBERED:
                del self._served[next(iter(self._served))]
