"""SessionTable: who is here, how many were, and each one's end, once (S4-41, S4-64)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from culvert.errors import MisuseError
from culvert.inet.address import Address
from culvert.policy.pool import Pool, PoolPlan
from culvert.policy.refused import Refused
from culvert.session.ending import Ending, ending
from culvert.session.session import Counters, Kind, Session

Key = TypeVar("Key")

HISTORY = 1000
"""Ended sessions kept for `SessionTable.closed`; older ones are in the event log."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A session that has ended: one row of the history."""

    number: int
    kind: Kind
    user: str
    group: str
    assigned: str
    public: Address
    began: datetime
    seconds: float
    counters: Counters
    ending: Ending
    by_peer: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """The session summary (S4-41)."""

    lan_to_lan: int
    remote_access: int
    management: int
    active: int
    peak: int
    limit: int
    cumulative: int
    refused: int


class SessionTable:
    """All sessions of this gateway, whatever carries them.

    ``limit`` 0 admits any number. ``cumulative`` is where the count of all sessions ever went on
    (the store knows it); session numbers go on from there, so none is ever used twice.
    """

    def __init__(self, *, limit: int, cumulative: int = 0) -> None:
        if limit < 0 or cumulative < 0:
            raise MisuseError(f"limit {limit}, cumulative {cumulative}: neither may be negative")
        self.limit = limit
        self._cumulative = cumulative
        self._peak = 0
        self._refused = 0
        self._live: dict[int, Session] = {}
        self._by_assigned: dict[str, int] = {}
        self._kinds: Counter[Kind] = Counter()
        self._users: Counter[str] = Counter()
        self._closed: list[Closed] = []

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        """In the order of admission."""
        return iter(tuple(self._live.values()))

    @property
    def cumulative(self) -> int:
        """All sessions ever admitted; save it whenever it has grown."""
        return self._cumulative

    @property
    def closed(self) -> tuple[Closed, ...]:
        """The last `HISTORY` sessions that ended, oldest first."""
        return tuple(self._closed)

    def admit(
        self,
        kind: Kind,
        user: str,
        *,
        at: datetime,
        now: float,
        group: str = "",
        public: Address = ("", 0),
        user_limit: int = 0,
    ) -> Session | Refused:
        """Room for one more? Then it is numbered, counted and listed at once.

        ``user_limit``: sessions this user may have at the same time, this one included.
        """
        if at.tzinfo is None:
            raise MisuseError("admit wants an aware datetime")
        if self.limit and len(self._live) >= self.limit:
            self._refused += 1
            return Refused("session-limit", f"{len(self._live)} of {self.limit} sessions")
        if user_limit and self._users[user] >= user_limit:
            self._refused += 1
            return Refused("duplicate-limit", f"{user} has {self._users[user]} of {user_limit}")
        self._cumulative += 1
        session = Session(
            self._cumulative, kind, user, began=at, since=now, group=group, public=public
        )
        self._live[session.number] = session
        self._kinds[kind] += 1
        self._users[user] += 1
        self._peak = max(self._peak, len(self._live))
        return session

    def pools(self, plans: Iterable[PoolPlan]) -> Mapping[str, Pool]:
        """Where addresses of these sessions come from, by name."""
        return {plan.name: Pool(plan) for plan in plans}

    def move(self, number: int, public: Address) -> None:
        """The session's packets come from there now."""
        self._live[number].public = public

    def renounce(self, user: str, public: Address) -> None:
        """This user says that what it had from there is lost. Of the sessions here the owner of
        the table ends it; a table of several processes tells the others."""

    def assign(self, number: int, address: str) -> None:
        """The session has this inner address from now on."""
        session = self._live[number]
        if self._by_assigned.get(address, number) != number:
            raise MisuseError(f"{address} is another session's address")
        self._by_assigned.pop(session.assigned, None)
        session.assigned = address
        self._by_assigned[address] = number

    def count(self, number: int, counters: Counters) -> None:
        """The data path's counters of that session; of one that has ended they are dropped."""
        if (session := self._live.get(number)) is not None:
            session.counters = counters

    def end(self, number: int, reason: str, *, now: float, by_peer: bool = False) -> Closed | None:
        """Ending twice is normal (both sides hang up): the second finds None.

        ``reason`` is a row of tables/endings.toml; any other is a bug and ends nothing.
        """
        row = ending(reason)
        session = self._live.pop(number, None)
        if session is None:
            return None
        self._by_assigned.pop(session.assigned, None)
        _less(self._kinds, session.kind)
        _less(self._users, session.user)
        closed = Closed(
            session.number,
            session.kind,
            session.user,
            session.group,
            session.assigned,
            session.public,
            session.began,
            max(0.0, now - session.since),
            session.counters,
            row,
            by_peer,
        )
        self._closed.append(closed)
        del self._closed[:-HISTORY]
        return closed

    def find(self, number: int) -> Session | None:
        return self._live.get(number)

    def of_user(self, user: str) -> tuple[Session, ...]:
        return tuple(session for session in self._live.values() if session.user == user)

    def of_kind(self, kind: Kind) -> tuple[Session, ...]:
        return tuple(session for session in self._live.values() if session.kind is kind)

    def by_assigned(self, address: str) -> Session | None:
        number = self._by_assigned.get(address)
        return None if number is None else self._live[number]

    def count_of_user(self, user: str) -> int:
        return self._users[user]

    @property
    def totals(self) -> Totals:
        return Totals(
            lan_to_lan=self._kinds[Kind.LAN_TO_LAN],
            remote_access=self._kinds[Kind.IPSEC_USER],
            management=self._kinds[Kind.MANAGEMENT],
            active=len(self._live),
            peak=self._peak,
            limit=self.limit,
            cumulative=self._cumulative,
            refused=self._refused,
        )


def _less(counter: Counter[Key], key: Key) -> None:
    """Take one off and forget the key at nothing: names of strangers must not pile up."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
