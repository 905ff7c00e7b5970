"""Facts to attempts: which facts belong to one connection, and where a new attempt begins."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from culvert.explain.facts import Fact, place
from culvert.explain.grammar.family import families
from culvert.explain.stamp import Moment

WINDOW = 20_000
"""Facts that are put in order by their times before they are grouped. A log that is longer and out
of order is put in order piece by piece."""

LANES = 400
"""Connections told apart at once (peers of a busy gateway); the longest silent makes room."""

ATTEMPTS = 12
"""Attempts kept per connection: the first and the latest; those between are counted."""

FIRST_OF_KIND = 24
LAST_OF_KIND = 24
"""Facts of one kind kept per attempt: ten thousand keepalives say no more than fifty."""

REFUSALS = re.compile(
    r"prop|auth.*fail|ts.unacc|invalid.(?!ke|spi)|unsup|no.*proposal|denied", re.IGNORECASE
)
"""Notifications after which nobody goes on with what was refused."""

TELLING = ("sa", "peer")
MILESTONES = frozenset({"p1.up", "p2.up", "up", "ssl.up"})
PAUSE = 60.0
"""Seconds after a failure from which what comes up has begun anew, though its start is not told."""

LONG_PAUSE = 3600.0
"""Seconds after an end or a refusal from which whatever gets on, or fails, is another attempt: logs
put behind each other may have lost how the later one began."""

SILENCES = frozenset({"retransmit", "silence", "silence.zero", "silence.partial"})
"""What may be said of one connection while another is told of, without naming it."""

YEAR_TURNED = 180 * 86400.0
"""A time without year that falls back by more than this is of the next year."""


@dataclass(slots=True)
class Kept:
    """The first and the last facts of one kind."""

    first: list[tuple[int, Fact]] = field(default_factory=list[tuple[int, Fact]])
    last: deque[tuple[int, Fact]] = field(
        default_factory=lambda: deque[tuple[int, Fact]](maxlen=LAST_OF_KIND)
    )

    def add(self, number: int, fact: Fact) -> None:
        if len(self.first) < FIRST_OF_KIND:
            self.first.append((number, fact))
        else:
            self.last.append((number, fact))


class Course:
    """The facts of one attempt, in bounded memory."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.decided = False
        self.stands = False
        self.moved = False
        """Whether it came any way at all."""
        self.refused = False
        self.begun: dict[str, str] = {}
        """What tells the latest start from one of another attempt."""
        self.latest: Moment | None = None
        self._count = 0
        self._kinds: dict[tuple[str, str], Kept] = {}

    def add(self, fact: Fact) -> None:
        self._count += 1
        kind = (fact.id, fact.value("of") if fact.strength else "")
        kept = self._kinds.get(kind)
        if kept is None:
            kept = self._kinds[kind] = Kept()
        kept.add(self._count, fact)
        row = fact.row
        self.moved = self.moved or bool(row.reach)
        self.stands = (self.stands or row.up) and not row.ends
        self.refused = self.refused or (
            fact.id == "notify" and REFUSALS.search(fact.value("notify")) is not None
        )
        self.refused = self.refused or fact.id == "delete"
        if row.begins or fact.id == "p1.up":
            self.begun.update((name, value) for name in TELLING if (value := fact.value(name)))
        self.latest = fact.at or self.latest
        self.decided = self.decided or row.up or row.ends or 0 < fact.strength <= 3

    def ends_before(self, fact: Fact) -> bool:
        """Does an attempt of its own begin with this fact?"""
        row = fact.row
        if row.begins:
            return (
                self.decided
                or (row.anew and self.moved)
                or (self.refused and fact.id == "start")
                or self._of_another(fact)
            )
        if self.stands or not (self.decided or self.refused):
            return False
        if fact.id in MILESTONES and self.decided and self._paused(fact, PAUSE):
            return True
        return bool(row.reach or 0 < fact.strength <= 3) and self._paused(fact, LONG_PAUSE)

    def _of_another(self, fact: Fact) -> bool:
        """Has this start another number of connection, or another peer, than the one before?"""
        return fact.id == "start" and any(
            value and self.begun.get(name, value) != value
            for name, value in ((name, fact.value(name)) for name in TELLING)
        )

    def _paused(self, fact: Fact, seconds: float) -> bool:
        before = self.latest
        return (
            before is not None
            and fact.at is not None
            and fact.at.seconds - before.seconds > seconds
        )

    def facts(self) -> tuple[Fact, ...]:
        """In the order in which they were added."""
        every = [one for kept in self._kinds.values() for one in (*kept.first, *kept.last)]
        return tuple(fact for _, fact in sorted(every, key=lambda one: one[0]))

    def has(self, fact_id: str) -> bool:
        return any(kind[0] == fact_id for kind in self._kinds)


class Lane:
    """One connection of one family: its attempts, one after the other."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.keys: dict[str, str] = {}
        self.attempts: list[Course] = [Course(family)]
        self.left_out = 0

    @property
    def current(self) -> Course:
        return self.attempts[-1]

    def add(self, fact: Fact) -> None:
        if self.current.ends_before(fact):
            self.attempts.append(Course(self.family))
            if len(self.attempts) > ATTEMPTS:
                del self.attempts[1]
                self.left_out += 1
        self.current.add(fact)


class Lanes:
    """Sorts facts into lanes by what tells connections of a family apart."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[int, Lane] = OrderedDict()
        self._known: dict[tuple[str, str, str], int] = {}
        self._latest: dict[str, int] = {}
        self._number = 0
        self.forgotten = 0

    def add(self, family: str, fact: Fact) -> None:
        number = self._of(family, fact.keys)
        if not fact.keys and fact.id in SILENCES:
            number = self._waiting(family, number)
        lane = self._lanes[number]
        self._lanes.move_to_end(number)
        self._latest[family] = number
        for name, value in fact.keys:
            if name not in lane.keys:
                lane.keys[name] = value
            self._known.setdefault((family, name, value), number)
        lane.add(fact)

    @property
    def left_out(self) -> int:
        """Attempts of which nothing is kept; a connection that made room counts as one."""
        return self.forgotten + sum(lane.left_out for lane in self._lanes.values())

    def lanes(self) -> list[Lane]:
        """In the order in which they began."""
        return [self._lanes[number] for number in sorted(self._lanes)]

    def _of(self, family: str, keys: Sequence[tuple[str, str]]) -> int:
        for name, value in keys:
            known = self._known.get((family, name, value))
            if known is not None and known in self._lanes:
                return known
        latest = self._latest.get(family)
        if latest is not None and latest in self._lanes:
            lane = self._lanes[latest]
            if not any(name in lane.keys for name, _ in keys):
                return latest
        return self._new(family)

    def _waiting(self, family: str, latest: int) -> int:
        """Whose silence is it? Of the one that still waits, not of one that stands already."""
        if not self._lanes[latest].current.stands:
            return latest
        waiting = [
            number
            for number, lane in self._lanes.items()
            if lane.family == family and not lane.current.stands and not lane.current.decided
        ]
        return waiting[0] if len(waiting) == 1 else latest

    def _new(self, family: str) -> int:
        self._number += 1
        self._lanes[self._number] = Lane(family)
        if len(self._lanes) > LANES:
            gone, _ = self._lanes.popitem(last=False)
            self._known = {key: number for key, number in self._known.items() if number != gone}
            self.forgotten += 1
        return self._number


def lanes(facts: Iterable[Fact]) -> Lanes:
    """All facts in their lanes; what is out of order is put in order first."""
    made = Lanes()
    for window in _windows(facts):
        for family, ordered in _by_family(window).items():
            for fact in ordered:
                made.add(family, fact)
    return made


def _windows(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    window: list[Fact] = []
    for fact in facts:
        window.append(fact)
        if len(window) >= WINDOW:
            yield window
            window = []
    if window:
        yield window


def _by_family(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """The facts of each family in order. What a helper (ping, route) says goes to its neighbour."""
    found: dict[str, list[Fact]] = {}
    main = next((fact.family for fact in facts if not _helper(fact.family)), "")
    for fact in facts:
        if not _helper(fact.family):
            main = fact.family
        found.setdefault(main or fact.family, []).append(fact)
    return {family: ordered(given) for family, given in found.items()}


def _helper(family: str) -> bool:
    known = families().get(family)
    return known is not None and known.head.weight < 1


def ordered(facts: list[Fact]) -> list[Fact]:
    """By their times, if they have days and are out of order; else as they stand."""
    stamped = [fact.at for fact in facts]
    if not stamped or any(at is None or " " not in at.text for at in stamped):
        return facts
    times: list[float] = []
    turned = 0.0
    before = None
    for at in stamped:
        if at is None:
            return facts
        if before is not None and at.seconds < before - YEAR_TURNED:
            turned = 366 * 86400.0
        before = at.seconds
        times.append(at.seconds + turned)
    if all(one <= other for one, other in pairwise(times)):
        return facts
    order = sorted(range(len(facts)), key=lambda number: times[number])
    return [facts[number] for number in order]


def reached(facts: Iterable[Fact]) -> int:
    """The place of the furthest phase that the facts prove."""
    return max((place(fact.row.reach) for fact in facts), default=-1)
