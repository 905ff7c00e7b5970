"""Recording one caller of a gateway, while it serves everybody (docs/reference/record.md).

    real core ── what this caller's share of it heard, drew and was told ──> its tape
    tape ── passwords replaced ──> a core of one caller ── what it said ──> the record

The core of one caller (`culvert.gateway.one_caller`) makes what the record holds, so a record
replays to the octet by construction. What it says is compared with what was really sent: where
others had a part in that, the record ends, and says so (decision 0186).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import cast

from culvert.driver.message import OCTETS
from culvert.driver.record import LONGEST, Derived, Entry, Fed, Given, Told, entry_line, head
from culvert.driver.replaying import run
from culvert.effects import (
    CertificateJudged,
    Effect,
    Judge,
    JudgeCertificate,
    Judged,
    SendIke,
    Sign,
    Signed,
)
from culvert.gateway.masking import Masking, UnmaskableError
from culvert.gateway.one_caller import COMMANDS, OneCaller, again
from culvert.inet.address import Path
from culvert.rng import Random

ORDERS = (Judge, Sign, JudgeCertificate)
Ticket = tuple[bool, int]
"""Whether it is of a question about a person (those about certificates count apart); its number."""

BESIDE = 1 << 10
"""Octets that an input counts besides what was received, sent and drawn."""

OF_OTHERS = "what follows depends on what the gateway does for others"
OF_THE_UNSEEN = (
    "a message that may hold a password could not be opened: record with --record-secrets"
)


@dataclass(slots=True)
class Step:
    """One input of a caller with what it drew and was told, and what really came of it."""

    given: Given
    draws: tuple[bytes, ...]
    derived: tuple[Derived, ...]
    told: tuple[Told, ...]
    sent: tuple[bytes, ...]
    tickets: tuple[Ticket, ...]
    raised: bool = False

    @property
    def concerns(self) -> bool:
        """Whether the input made something of this caller draw chance, ask or speak."""
        return bool(self.draws or self.derived or self.told or self.sent)

    @property
    def octets(self) -> int:
        """What it takes to keep it."""
        return BESIDE + len(self.given.octets) + sum(map(len, (*self.draws, *self.sent)))


@dataclass(eq=False, slots=True)
class Tape:
    """What is known of one caller. ``numbers``: its IKE SAs, as the real core counts them;
    ``cookies``: its own of each; ``user``: who has logged in; ``octets``: what ``steps`` take."""

    cookies: set[bytes] = field(default_factory=set[bytes])
    numbers: set[int] = field(default_factory=set[int])
    sessions: set[int] = field(default_factory=set[int])
    tickets: set[Ticket] = field(default_factory=set[Ticket])
    steps: list[Step] = field(default_factory=list[Step])
    draws: list[bytes] = field(default_factory=list[bytes])
    derived: list[Derived] = field(default_factory=list[Derived])
    told: list[Told] = field(default_factory=list[Told])
    began: bool = False
    dropped: bool = False
    over_at: float = inf
    user: str = ""
    octets: int = 0
    joined: Tape | None = None
    """The tape that goes on with this one."""

    def tell(self, kind: str, value: object) -> None:
        if not self.dropped:
            self.told.append((kind, value))

    def drew(self, octets: bytes) -> None:
        if not self.dropped:
            self.draws.append(octets)

    def touched(self) -> bool:
        """Whether the last input made something of this caller draw chance or ask."""
        return bool(self.draws or self.derived or self.told)

    def step(self, given: Given, made: Sequence[Effect], *, own: bool, raised: bool) -> Step:
        """What the last input was to this caller; ``own``: nobody else had a part in it."""
        found = Step(
            given,
            tuple(self.draws),
            tuple(self.derived),
            tuple(self.told),
            tuple(self.sent(made)),
            tuple(map(_ticket, (one for one in made if isinstance(one, ORDERS)))) if own else (),
            raised,
        )
        self.tickets |= set(found.tickets)
        self.forget()
        return found

    def keep(self, step: Step) -> None:
        """For later."""
        self.steps.append(step)
        self.octets += step.octets

    def kept(self) -> list[Step]:
        """All there is, and no more from here on."""
        steps, self.steps, self.octets = self.steps, [], 0
        return steps

    def join(self, other: Tape) -> None:
        """With another IKE SA of this caller, in the middle of an input of that."""
        self.cookies |= other.cookies
        self.numbers |= other.numbers
        self.tickets |= other.tickets
        self.draws += other.draws
        self.derived += other.derived
        self.told += other.told
        other.joined = self

    def forget(self) -> None:
        self.draws, self.derived, self.told = [], [], []

    def sent(self, made: Iterable[Effect]) -> Iterator[bytes]:
        for one in made:
            if isinstance(one, SendIke) and one.octets[:8] in self.cookies:
                yield one.octets


class Dealt:
    """The chance of one IKE SA, on its caller's tape."""

    def __init__(self, rng: Random, tape: Tape) -> None:
        self._rng = rng
        self._tape = tape

    @property
    def tape(self) -> Tape:
        return self._tape.joined or self._tape

    def octets(self, count: int) -> bytes:
        drawn = self._rng.octets(count)
        self.tape.drew(drawn)
        return drawn


class Copy:
    """The core of one caller that makes the record. ``write``: takes a line; False when it takes no
    more. ``problem``: why the record cannot go on."""

    def __init__(
        self, first: bytes, write: Callable[[bytes], bool], rng: Random, *, secrets: bool
    ) -> None:
        self.problem = ""
        self.inputs = 0
        self._write = write
        self._fed = Fed()
        self._core: OneCaller = again(head(first), self._fed)
        self._masking = Masking(rng, keep=secrets)
        self._tickets: dict[Ticket, int] = {}  # of the real core -> here
        if len(first) > LONGEST:
            self.problem = "the gateway's configuration is too long for a record"
        elif not write(first):
            self.problem = "it takes no more"

    def take(self, step: Step) -> None:
        """The same to this core; the line about it if it did the same."""
        if self.problem:
            return
        given = step.given
        if given.name == "tick" and self._core.deadline > given.at and not step.draws:
            self._agree(step, ())
            return
        try:
            given = self._for_here(given)
        except UnmaskableError as error:
            self.problem = f"{error}: record with --record-secrets"
            return
        made = run(self._core, self._fed, given, step.draws, step.derived, COMMANDS, step.told)
        self._take_tickets(step, made)
        if self._fed.problem or self._fed.left:
            self.problem = self._otherwise
        else:
            self._agree(step, tuple(_sent(made)))
        if not self.problem:
            if self._write(entry_line(made)):
                self.inputs += 1
            else:
                self.problem = "it takes no more"

    def _for_here(self, given: Given) -> Given:
        match given:
            case Given(name="receive", path=Path() as path):
                octets = self._core.masked(given.octets, path, self._masking, now=given.at)
                return replace(given, octets=octets)
            case Given(answer=Judged() | Signed() | CertificateJudged() as answer):
                here = self._tickets.get(ticket_of(answer), 0)
                return replace(given, answer=replace(answer, ticket=here))
            case _:
                return given

    def _take_tickets(self, step: Step, made: Entry) -> None:
        names = {one.__name__ for one in ORDERS}
        here = [cast("int", one["ticket"]) for one in _outputs(made) if one.get("~") in names]
        self._tickets |= dict(zip(step.tickets, here, strict=False))

    def _agree(self, step: Step, said: tuple[bytes, ...]) -> None:
        """Whether this core said what was really said, but for what is sealed otherwise here."""
        if step.raised:
            return
        same = len(step.sent) == len(said) and all(
            len(one) == len(other) if self._masking.differs(one) else one == other
            for one, other in zip(step.sent, said, strict=True)
        )
        for one in step.sent:
            self._masking.sent(one)
        if not same:
            self.problem = self._otherwise

    @property
    def _otherwise(self) -> str:
        """Why this core did something else."""
        return OF_THE_UNSEEN if self._masking.blind else OF_OTHERS


def _ticket(order: Judge | Sign | JudgeCertificate) -> Ticket:
    return isinstance(order, Judge), order.ticket


def ticket_of(answer: Judged | Signed | CertificateJudged) -> Ticket:
    return isinstance(answer, Judged), answer.ticket


def _outputs(made: Entry) -> Iterator[dict[str, object]]:
    return (cast("dict[str, object]", one) for one in made.out if isinstance(one, dict))


def _sent(made: Entry) -> Iterator[bytes]:
    for one in _outputs(made):
        if one.get("~") == SendIke.__name__:
            yield bytes.fromhex(cast("dict[str, str]", one["octets"])[OCTETS])
