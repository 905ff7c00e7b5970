"""Ledger: what must be counted once, when several workers have the sessions. Sans-IO.

Numbers, the limits of the gateway and of a user, and inner addresses. Pools are dealt out in equal
parts (each worker's interface has the route to its own); who has none left borrows of the part that
has most, and the address is routed to it alone.

Who asks is a life of a worker: when it ends, all it had is free.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from culvert.errors import PlatformError
from culvert.inet.address import Address
from culvert.policy.pool import Pool, PoolPlan, dealt
from culvert.policy.refused import Refused

MOST_ROWS = 65536
"""Sessions of one life. The design is for 10,000; a worker that was captured may count more, and
what it can fill of the monitor's memory has an end."""


@dataclass(frozen=True, slots=True)
class Life:
    """One process: the ``which``-th that was started, as worker number ``worker``."""

    worker: int
    which: int


@dataclass(slots=True)
class Entry:
    life: Life
    user: str
    public: Address


Key = TypeVar("Key")

Routing = Callable[[str, int], None]
"""This address is behind the interface of that worker now. Raises PlatformError."""


class Ledger:
    """``cumulative``: where session numbers go on from. ``route`` is told of borrowed addresses,
    and when they are given back."""

    def __init__(
        self,
        workers: int,
        plans: Iterable[PoolPlan],
        *,
        limit: int,
        cumulative: int,
        route: Routing,
    ) -> None:
        self._parts = {plan.name: [Pool(part) for part in dealt(plan, workers)] for plan in plans}
        self._limit = limit
        self.cumulative = cumulative
        self.peak = 0
        self.refused = 0
        self._route = route
        self.replace: Callable[[Life, int], None] = _nobody
        """Is told which session of whom somebody else has taken."""
        self._live: dict[int, Entry] = {}
        self._users: Counter[str] = Counter()
        self._rows: Counter[Life] = Counter()
        self._from: defaultdict[tuple[str, Address], set[int]] = defaultdict(set)
        self._leases: dict[tuple[str, str], tuple[Life, int]] = {}  # pool, address -> of which part
        self._misrouted: set[tuple[str, str]] = set()
        """Given back, but their routes still lead to who had borrowed them."""

    def __len__(self) -> int:
        return len(self._live)

    @property
    def limit(self) -> int:
        return self._limit

    # --- sessions ----------------------------------------------------------------------------

    def admit(self, life: Life, user: str, public: Address, user_limit: int) -> int | Refused:
        """The number of one more session, or why there is none."""
        if self._limit and len(self._live) >= self._limit:
            self.refused += 1
            return Refused("session-limit", f"{len(self._live)} of {self._limit} sessions")
        if user_limit and self._users[user] >= user_limit:
            self.refused += 1
            return Refused("duplicate-limit", f"{user} has {self._users[user]} of {user_limit}")
        if self._rows[life] >= MOST_ROWS:
            self.refused += 1
            return Refused("session-limit", f"{MOST_ROWS} sessions of one worker")
        self.cumulative += 1
        self._live[self.cumulative] = Entry(life, user, public)
        self._users[user] += 1
        self._rows[life] += 1
        self._from[user, public].add(self.cumulative)
        self.peak = max(self.peak, len(self._live))
        return self.cumulative

    def moved(self, life: Life, number: int, public: Address) -> None:
        entry = self._live.get(number)
        if entry is not None and entry.life == life:
            self._leave(number, entry)
            entry.public = public
            self._from[entry.user, public].add(number)

    def end(self, life: Life, number: int) -> None:
        """Ending twice is normal; what is another's, nobody ends."""
        entry = self._live.get(number)
        if entry is not None and entry.life == life:
            del self._live[number]
            self._leave(number, entry)
            _less(self._users, entry.user)
            _less(self._rows, life)

    def _leave(self, number: int, entry: Entry) -> None:
        """It is no more where it was."""
        there = self._from[entry.user, entry.public]
        there.discard(number)
        if not there:
            del self._from[entry.user, entry.public]

    def renounce(self, life: Life, user: str, public: Address) -> None:
        """This user has lost whatever it had from this address and port (INITIAL-CONTACT): other
        workers end it, and it counts no more."""
        for number in sorted(self._from.get((user, public), ())):
            other = self._live[number].life
            if other != life:
                self.end(other, number)
                self.replace(other, number)

    # --- addresses ---------------------------------------------------------------------------

    def lease(self, life: Life, pool: str, user: str) -> str | Refused:
        parts = self._parts.get(pool)
        if parts is None:
            return Refused("no-address", f"there is no pool {pool}")
        found = parts[life.worker].lease(user)
        which = life.worker
        if isinstance(found, Refused):
            which = min(range(len(parts)), key=lambda n: parts[n].leased - parts[n].size)
            found = parts[which].lease(user)
        if isinstance(found, Refused):
            size = sum(part.size for part in parts)
            return Refused("no-address", f"pool {pool}: all {size} addresses are in use")
        address = str(found)
        if which != life.worker or (pool, address) in self._misrouted:
            try:
                self._route(address, life.worker)
            except PlatformError as error:
                parts[which].release(address)
                return Refused("no-address", str(error))
            self._misrouted.discard((pool, address))
        self._leases[pool, address] = life, which
        return address

    def release(self, life: Life, pool: str, address: str) -> None:
        holder, which = self._leases.get((pool, address), (None, 0))
        if holder != life:
            return
        del self._leases[pool, address]
        self._parts[pool][which].release(address)
        if which != life.worker:
            try:
                self._route(address, which)
            except PlatformError:
                self._misrouted.add((pool, address))  # whoever has it next is routed, or refused

    # --- a worker's end ----------------------------------------------------------------------

    def over(self, life: Life) -> None:
        """That process is gone, and its sessions with it."""
        for number in [number for number, one in self._live.items() if one.life == life]:
            self.end(life, number)
        for pool, address in [key for key, (one, _) in self._leases.items() if one == life]:
            self.release(life, pool, address)


def _less(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _nobody(_: Life, __: int) -> None:
    return
