"""Pool: inner addresses, the smallest free one first, the same one again for who comes back.

Never-used addresses are one number (the next one), returned ones a heap: an empty /8 costs
nothing, and a lease costs O(log n) of the addresses that were ever in use.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import accumulate, pairwise
from typing import Self

from culvert.errors import ConfigError, MisuseError
from culvert.policy.refused import Refused

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, order=True)
class AddressRange:
    """``first`` to ``last``, both inside, as numbers of one IP version."""

    version: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``192.0.2.10-192.0.2.99``, ``192.0.2.0/24`` (its network and broadcast address stay
        out) or one address. Raises ConfigError."""
        try:
            if "-" in text:
                low, high = (ip_address(part.strip()) for part in text.split("-", 1))
                if low.version != high.version or int(low) > int(high):
                    raise ConfigError(f'"{text}": the range must rise, within one IP version')
                return cls(low.version, int(low), int(high))
            network = ip_network(text.strip())
        except ValueError as error:
            raise ConfigError(
                f'"{text}" is no range of addresses: {error}; '
                'write "192.0.2.10-192.0.2.99" or "192.0.2.0/24"'
            ) from error
        first, last = int(network.network_address), int(network.broadcast_address)
        ends_serve = network.prefixlen >= network.max_prefixlen - 1
        return (
            cls(network.version, first, last)
            if ends_serve
            else cls(network.version, first + 1, last - 1)
        )

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def overlaps(self, other: AddressRange) -> bool:
        return (
            self.version == other.version and self.first <= other.last and other.first <= self.last
        )

    def __str__(self) -> str:
        kind = IPv4Address if self.version == 4 else IPv6Address
        low, high = kind(self.first), kind(self.last)
        return str(low) if low == high else f"{low}-{high}"


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool as configured. Its ranges do not overlap (the constructor of `Pool` insists)."""

    name: str
    ranges: tuple[AddressRange, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.ranges)


def dealt(plan: PoolPlan, count: int) -> tuple[PoolPlan, ...]:
    """The pool in so many parts of equal size, but for one address; each in one piece."""
    ranges, parts = sorted(plan.ranges), list[PoolPlan]()
    edges = [plan.size * part // count for part in range(count + 1)]
    for low, high in pairwise(edges):
        found: list[AddressRange] = []
        start = 0
        for one in ranges:
            first, last = max(low, start), min(high, start + one.size) - 1
            if first <= last:
                shift = one.first - start
                found.append(AddressRange(one.version, first + shift, last + shift))
            start += one.size
        parts.append(PoolPlan(plan.name, tuple(found)))
    return tuple(parts)


class Pool:
    """Who has which address of one pool."""

    def __init__(self, plan: PoolPlan) -> None:
        ranges = sorted(plan.ranges)
        for low, high in pairwise(ranges):
            if low.overlaps(high):
                raise ConfigError(f"pool {plan.name}: {low} and {high} overlap")
        if not ranges:
            raise ConfigError(f"pool {plan.name} has no addresses")
        self.plan = plan
        self.size = plan.size
        self._ranges = ranges
        self._starts = [0, *accumulate(part.size for part in ranges)]
        self._holder: dict[int, str] = {}
        self._next = 0  # every index from here on was never handed out in turn
        self._returned: list[int] = []  # heap; may hold indices that are leased again
        self._listed: set[int] = set()  # what the heap holds, so that nothing is in it twice
        self._last: dict[str, int] = {}  # user -> index they had last
        self._last_user: dict[int, str] = {}  # the inverse, which bounds it by the pool's size

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def leased(self) -> int:
        return len(self._holder)

    def lease(self, user: str, *, wanted: str = "") -> IpAddress | Refused:
        """An address for ``user``: the one ``wanted`` if free, else their last one, else the
        smallest free one. Refused when none is left."""
        index = self._index_of_text(wanted)
        if index is None or index in self._holder:
            index = self._last.get(user)
        if index is None or index in self._holder:
            index = self._smallest_free()
        if index is None:
            return Refused("no-address", f"pool {self.name}: all {self.size} addresses are in use")
        self._holder[index] = user
        self._remember(user, index)
        return self._address(index)

    def release(self, address: IpAddress | str) -> bool:
        """Take it back; False if it was not leased: a second release is normal."""
        index = self._index_of_text(str(address))
        if index is None or index not in self._holder:
            return False
        del self._holder[index]
        if index < self._next and index not in self._listed:
            heapq.heappush(self._returned, index)
            self._listed.add(index)
        return True

    def leases(self) -> Iterator[tuple[IpAddress, str]]:
        """Address and user, in the order of leasing."""
        return ((self._address(index), user) for index, user in self._holder.items())

    def remembered(self) -> Iterator[tuple[IpAddress, str]]:
        """Address and the user who had it last, leased or not."""
        return ((self._address(index), user) for index, user in self._last_user.items())

    def resume(
        self, leases: Iterable[tuple[str, str]], remembered: Iterable[tuple[str, str]]
    ) -> None:
        """Take over what another one knew; addresses that are not of this pool are left out."""
        for address, user in leases:
            if (index := self._index_of_text(address)) is not None:
                self._holder[index] = user
        for address, user in remembered:
            if (index := self._index_of_text(address)) is not None:
                self._remember(user, index)

    def _smallest_free(self) -> int | None:
        while self._returned:
            index = heapq.heappop(self._returned)
            self._listed.discard(index)
            if index not in self._holder:
                return index
        while self._next in self._holder:  # leased as wanted, out of turn
            self._next += 1
        if self._next >= self.size:
            return None
        self._next += 1
        return self._next - 1

    def _remember(self, user: str, index: int) -> None:
        former_user = self._last_user.pop(index, None)
        if former_user is not None:
            del self._last[former_user]
        former_index = self._last.pop(user, None)
        if former_index is not None:
            del self._last_user[former_index]
        self._last[user] = index
        self._last_user[index] = user

    def _index_of_text(self, text: str) -> int | None:
        if not text:
            return None
        try:
            address = ip_address(text)
        except ValueError:
            return None
        for place, part in enumerate(self._ranges):
            if part.version == address.version and part.first <= int(address) <= part.last:
                return self._starts[place] + int(address) - part.first
        return None

    def _address(self, index: int) -> IpAddress:
        if not 0 <= index < self.size:
            raise MisuseError(f"pool {self.name} has no address number {index}")
        place = bisect_right(self._starts, index) - 1
        part = self._ranges[place]
        number = part.first + index - self._starts[place]
        return IPv4Address(number) if part.version == 4 else IPv6Address(number)
