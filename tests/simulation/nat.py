"""A network address translator in virtual time, with the behaviours of RFC 4787."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from culvert.inet.address import Address

SHORTEST_LIFE = 120.0  # seconds a UDP mapping lives at least (RFC 4787 §4.3, REQ-5)


class Depends(Enum):
    """What a mapping (§4.1) or a filter (§5) looks at, of the far end."""

    ENDPOINT = "endpoint-independent"
    ADDRESS = "address-dependent"
    ADDRESS_AND_PORT = "address-and-port-dependent"

    def of(self, far: Address) -> tuple[str, int]:
        match self:
            case Depends.ENDPOINT:
                return "", 0
            case Depends.ADDRESS:
                return far[0], 0
            case Depends.ADDRESS_AND_PORT:
                return far


@dataclass(slots=True)
class _Mapping:
    inside: Address
    outside_port: int
    used: float
    contacted: set[tuple[str, int]]


class Nat:
    """``address`` is the public one that everybody inside shares.

    ``preserves``: an inside port stays the same outside while nobody else has it (§4.2.1); the
    second client that sends from port 500 gets another one, as with a PAT.
    """

    def __init__(
        self,
        address: str,
        rng: random.Random,
        *,
        mapping: Depends = Depends.ENDPOINT,
        filtering: Depends = Depends.ADDRESS_AND_PORT,
        preserves: bool = True,
        life: float = SHORTEST_LIFE,
    ) -> None:
        self.address = address
        self.mapping = mapping
        self.filtering = filtering
        self.preserves = preserves
        self.refused = 0
        self.pass_through = False
        """Lets ESP without UDP through, for one host inside: the first."""
        self.served = ""
        self._life = life
        self._rng = rng
        self._by_inside: dict[tuple[Address, tuple[str, int]], _Mapping] = {}
        self._by_port: dict[int, _Mapping] = {}
        self._forwarded: dict[int, Address] = {}

    def passes(self, inside: str) -> bool:
        """Whether plain ESP of this host gets out."""
        if self.pass_through:
            self.served = self.served or inside
        return self.served == inside

    def outward(self, inside: Address, to: Address, now: float) -> Address:
        """The source that the far end sees."""
        if inside[1] in self._forwarded and self._forwarded[inside[1]] == inside:
            return self.address, inside[1]
        key = inside, self.mapping.of(to)
        found = self._by_inside.get(key)
        if found is not None and self._is_over(found, now):
            del self._by_port[found.outside_port]
            found = None
        if found is None:
            found = _Mapping(inside, self._port(inside[1], now), now, set())
            self._by_inside[key] = self._by_port[found.outside_port] = found
        found.used = now
        found.contacted.add(self.filtering.of(to))
        return self.address, found.outside_port

    def inward(self, port: int, source: Address, now: float) -> Address | None:
        """Who inside gets a datagram from ``source`` to ``port``; None if nobody does."""
        if port in self._forwarded:
            return self._forwarded[port]
        found = self._by_port.get(port)
        if found is None or self._is_over(found, now):
            return None
        if self.filtering.of(source) not in found.contacted:
            self.refused += 1
            return None
        return found.inside  # inbound traffic alone keeps no mapping alive (REQ-6)

    def forward(self, inside: Address) -> None:
        """Whatever comes to this port from outside goes to ``inside``, as set by hand."""
        self._forwarded[inside[1]] = inside

    def flush(self) -> None:
        """A reboot: every mapping is gone, and the next ones get other ports."""
        self._by_inside.clear()
        self._by_port.clear()
        self.preserves = False

    def outside_ports(self, inside: Address) -> frozenset[int]:
        """The ports by which this inside address is known outside."""
        return frozenset(m.outside_port for m in self._by_port.values() if m.inside == inside)

    def _is_over(self, mapping: _Mapping, now: float) -> bool:
        return now - mapping.used > self._life

    def _port(self, wanted: int, now: float) -> int:
        held = self._by_port.get(wanted)
        if (
            self.preserves
            and wanted not in self._forwarded
            and (held is None or self._is_over(held, now))
        ):
            return wanted
        while True:
            # RFC 6056: hard to guess; the range of most home routers.
            drawn = self._rng.randrange(1024, 65536)
            if drawn not in self._by_port and drawn != wanted:
                return drawn
