"""Ledger: what must be counted once, when several workers have the sessions. Sans-IO.

Numbers, the limits of the gateway and of a user, and inner addresses. Pools are dealt out in equal
parts (each worker's interface has the route to its own); who has none left borrows of the part that
has most, and the address is routed to it alone.

Who asks is a life of a worker: when it ends, all it had is free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from culvert.errors import PlatformError
from culvert.inet.address import Address
from culvert.policy.pool import Pool, PoolPlan, dealt
from culvert.policy.refused import Refused


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
        self._leases: dict[tuple[str, str], tuple[Life, int]] = {}  # pool, address -> of which part

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
        self.cumulative += 1
        self._live[self.cumulative] = Entry(life, user, public)
        self._users[user] += 1
        self.peak = max(self.peak, len(self._live))
        return self.cumulative

    def moved(self, life: Life, number: int, public: Address) -> None:
        entry = self._live.get(number)
        if entry is not None and entry.life == life:
            entry.public = public

    def end(self, life: Life, number: int) -> None:
        """Ending twice is normal; what is another's, nobody ends."""
        entry = self._live.get(number)
        if entry is not None and entry.life == life:
            del self._live[number]
            self._users[entry.user] -= 1
            if not self._users[entry.user]:
                del self._users[entry.user]

    def renounce(self, life: Life, user: str, public: Address) -> None:
        """This user has lost whatever it had from this address and port (INITIAL-CONTACT): other
        workers end it, and it counts no more."""
        found = [
            (number, entry.life)
            for number, entry in (self._live.items() if user in self._users else ())
            if (entry.user, entry.public) == (user, public) and entry.life != life
        ]
        for number, other in found:
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
        if which != life.worker:
            try:
                self._route(address, life.worker)
            except PlatformError as error:
                parts[which].release(address)
                return Refused("no-address", str(error))
        self._leases[pool, address] = life, which
        return address

    def release(self, life: Life, pool: str, address: str) -> None:
        holder, which = self._leases.get((pool, address), (None, 0))
        if holder != life:
            return
        del self._leases[pool, address]
        self._parts[pool][which].release(address)
        if which != life.worker:
            with suppress(PlatformError):  # the next who has it is routed anew, or refused
                self._route(address, which)

    # --- a worker's end ----------------------------------------------------------------------

    def over(self, life: Life) -> None:
        """That process is gone, and its sessions with it."""
        for number in [number for number, one in self._live.items() if one.life == life]:
            self.end(life, number)
        for pool, address in [key for key, (one, _) in self._leases.items() if one == life]:
            self.release(life, pool, address)


def _nobody(_: Life, __: int) -> None:
    return
