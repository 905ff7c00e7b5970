"""Endpoint: all IKE SAs of one end, and what may reach them.

Cost order under attack: header, table look-up, limits, and only then parsing and Diffie-Hellman.
Every datagram that is not taken is counted by kind; nothing a stranger sends raises anything.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import TypeVar

from culvert.errors import ProtocolError, UnexpectedMessage
from culvert.eventlog.event import Field, LogEvent
from culvert.ike.called import ALLOWANCE
from culvert.ike.carriage import streamed
from culvert.ike.farewells import Farewells
from culvert.ike.fragments import PROVED, STRANGERS, Reassembly, Unfinished
from culvert.ike.outputs import Input, Output, Send
from culvert.ike.peer import IkeSa
from culvert.ike.retransmit import REFUSED, Answers
from culvert.ike.settings import Role, Settings
from culvert.ike.spis import Spis
from culvert.ike.strangers import BURST, OCTETS_PER_SECOND, Strangers
from culvert.ike.wire import header as wire
from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import Header
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import UNSUPPORTED_EXCHANGE_TYPE, Notify
from culvert.ike.wire.payload import SA, first_kind
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Address, Path, text
from culvert.rng import Random
from culvert.tables.numbers import exchange_name

TOLD_EVERY = 1.0  # seconds between two log events of one kind of refusal; the counters are exact
TOLD_AT_ONCE = 20  # proposals refused within that time that are told, each in dozens of lines

REFUSED_MODES = frozenset(
    (wire.BASE, wire.IDENTITY_PROTECTION, wire.AGGRESSIVE)
)  # told so, in place of an answer

HELD_BACK = "unproved-limit"
"""How a refusal is counted for which the budget of answers to strangers had nothing left."""

OF_NO_SA = 0  # the number outputs carry that belong to no IKE SA


@dataclass(frozen=True, slots=True)
class Limits:
    """Half-open IKE SAs: in all, from one address, and from one address and port.

    Many clients stand behind one address, so the first of the latter two is generous.
    ``unproved_rate``, ``unproved_burst``: octets a second, and at once, to all addresses together
    that nobody has proved.
    """

    half_open: int = 1000
    per_source: int = 64
    per_port: int = 5
    unproved_rate: int = OCTETS_PER_SECOND
    unproved_burst: int = BURST


Numbered = tuple[int, Output]


class Endpoint:
    """``natt_port`` is our local port for encapsulated traffic."""

    def __init__(
        self,
        settings: Settings,
        rng: Random,
        *,
        limits: Limits | None = None,
        natt_port: int = 4500,
        settings_for: Callable[[Path], Settings] | None = None,
    ) -> None:
        self.settings = settings
        self.refused: Counter[str] = Counter()
        self.chance: Callable[[int], Random] = lambda _: rng
        """Where an IKE SA's chance comes from: a record tells callers apart by it."""
        self._limits = limits or Limits()
        self._natt_port = natt_port
        self._settings_for: Callable[[Path], Settings] = settings_for or (lambda _: self.settings)
        self.strangers = Strangers(
            rng, rate=self._limits.unproved_rate, burst=self._limits.unproved_burst
        )
        self._sas: dict[int, IkeSa] = {}
        self._by_cookies: dict[bytes, int] = {}
        self._by_question: dict[bytes, dict[Address, int]] = {}  # the initiator's cookie first
        self._half_open: dict[int, Address] = {}
        self._reached: set[int] = set()  # half-open, but our cookie came back from where it went
        self._per_source: Counter[str] = Counter()
        self._per_port: Counter[Address] = Counter()
        self._questions: dict[int, tuple[bytes, Address]] = {}
        self._refusals = Answers(REFUSED)
        self._farewells = Farewells()
        self._pieces = {True: Reassembly(PROVED), False: Reassembly(STRANGERS)}  # by: proved
        self.spis = Spis(settings.share)
        self._due: list[tuple[float, int]] = []
        self._armed: dict[int, float] = {}
        self._told: dict[str, tuple[float, int]] = {}
        self._proposals_since, self._proposals_told = -inf, 0
        self._last = 0

    def __len__(self) -> int:
        return len(self._sas)

    @property
    def half_open(self) -> int:
        return len(self._half_open)

    @property
    def deadline(self) -> float:
        return min(self._next_due, *[pieces.deadline for pieces in self._pieces.values()])

    @property
    def _next_due(self) -> float:
        while self._due:
            at, number = self._due[0]
            if self._armed.get(number) == at:
                return at
            heapq.heappop(self._due)
        return inf

    def get(self, number: int) -> IkeSa | None:
        return self._sas.get(number)

    # --- commands ----------------------------------------------------------------------------

    def call(
        self, path: Path, *, now: float, settings: Settings | None = None
    ) -> tuple[int, list[Numbered]]:
        """Initiator: open an IKE SA along ``path``. ``settings``: for this peer alone."""
        sa = self._open(path, b"", now, settings=settings)
        return sa.number, self._after(sa, sa.connect(now=now))

    def renew(self, number: int, *, address: str, now: float) -> tuple[int, list[Numbered]]:
        """Initiator: call the peer of this IKE SA again, to have it succeeded. ``address``: the
        inner one, to be kept."""
        before = self._sas[number]
        settings = replace(before.settings, first_contact=False, address=address)
        sa = self._open(before.path, b"", now, settings=settings)
        sa.warned.take(before.warned)
        return sa.number, self._after(sa, sa.connect(now=now))

    def succeed(self, old: int, new: int, *, now: float) -> list[Numbered]:
        """The pairs of ``old`` go on under ``new``."""
        before, after = self._sas[old], self._sas[new]
        made = self._after(after, after.succeed(before, now=now))
        return [*self._after(before, before.tick(now=now)), *made]

    def act(self, number: int, command: Callable[[IkeSa], list[Output]]) -> list[Numbered]:
        """Do something with an SA; nothing if it is gone."""
        sa = self._sas.get(number)
        return [] if sa is None else self._after(sa, command(sa))

    def step(self, number: int, given: Input, *, now: float) -> list[Numbered]:
        sa = self._sas.get(number)
        unproved, reached = sa is not None and sa.half_open, number in self._reached
        made = self.act(number, lambda sa: sa.step(given, now=now))
        if sa is None or not unproved:
            return made
        if sa.over:
            self._keep_refusal(sa.phase1.question, made, now)
        elif not sa.half_open:
            made += self._drop_siblings(sa, now)
        return made if reached else self._bounded(made, now)

    def _keep_refusal(self, question: bytes, made: list[Numbered], now: float) -> None:
        """Who was refused in words hears the same ones again, without any work."""
        sent = [output.octets for _, output in made if isinstance(output, Send)]
        if question and sent:
            self._refusals.keep(question, sent[0], now=now)

    def tick(self, *, now: float) -> list[Numbered]:
        made: list[Numbered] = []
        for pieces in self._pieces.values():
            for lost in pieces.tick(now=now):
                made += self._refuse_unfinished(lost, now)
        while self._next_due <= now:
            _, number = heapq.heappop(self._due)
            del self._armed[number]
            sa = self._sas[number]
            trusted = not sa.half_open or number in self._reached
            ticked = self._after(sa, sa.tick(now=now))
            made += ticked if trusted else self._bounded(ticked, now)
        return made

    # --- for the process that goes on with them ----------------------------------------------

    @property
    def standing(self) -> tuple[IkeSa, ...]:
        """Those another process can go on with: phase 1 is over, and nobody is being judged."""
        found = self._sas.values()
        return tuple([sa for sa in found if not (sa.in_phase1 or sa.dialogue.undecided)])

    def question(self, number: int) -> tuple[bytes, Address] | None:
        """The cookie of the first message of this IKE SA's peer, and where it came from."""
        return self._questions.get(number)

    def resume(
        self,
        number: int,
        settings: Settings,
        path: Path,
        question: tuple[bytes, Address] | None,
        *,
        exchange: int,
        now: float,
    ) -> IkeSa:
        """An IKE SA of the process before, as it was at its beginning: tell `resumed` when it is
        what it was at the end."""
        sa = IkeSa(
            number,
            settings,
            self.chance(number),
            self.spis,
            path,
            now=now,
            natt_port=self._natt_port,
            exchange=exchange,
        )
        self._sas[number] = sa
        if question is not None:
            cookie_i, remote = self._questions[number] = question
            self._by_question.setdefault(cookie_i, {})[remote] = number
        return sa

    def resumed(self, sa: IkeSa) -> None:
        self._by_cookies[sa.channel.cookies] = sa.number
        self._after(sa, ())

    # --- datagrams ---------------------------------------------------------------------------

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Numbered]:
        """One ISAKMP datagram (without marker). Never raises for anything in it."""
        sa: IkeSa | None = None
        try:
            header = parse_header(octets)
            sa = self.owner(header, path)
            if header.next_payload == FRAGMENT:
                return self._piece(sa, octets, header, path, now)
            if sa is None:
                return self._bounded(self._stranger(octets, header, path, now), now)
            unproved = sa.half_open
            trusted = not unproved or self._reaches(sa.number, header, path)
            made = self._after(sa, sa.receive(octets, header, path, now=now))
            if unproved and not sa.half_open:
                made += self._drop_siblings(sa, now)
            return made if trusted else self._bounded(made, now)
        except ProtocolError as error:
            told = self._refuse(error.code.removeprefix("peer."), str(error), path, now)
            if sa is not None:
                told += [(sa.number, event) for event in sa.complaints()]
                self._after(sa, [])
            return told

    def _piece(
        self, sa: IkeSa | None, octets: bytes, header: Header, path: Path, now: float
    ) -> list[Numbered]:
        """One fragment; the whole message goes the way of those that came whole."""
        settings = self.settings if sa is None else sa.settings
        if not settings.fragmentation:
            raise UnexpectedMessage("a fragment, and fragmentation is off")
        if sa is None and header.cookie_r != wire.NO_COOKIE:
            raise UnexpectedMessage("a fragment about no IKE SA of ours")
        pieces = self._pieces[sa is not None and not sa.in_phase1]
        key = header.cookie_i + header.cookie_r, path.remote
        whole = pieces.take(key, Fragment.parse(octets, header), now=now)
        if whole is None:
            return []
        inner = parse_header(whole)
        if inner.next_payload == FRAGMENT or whole[:16] != octets[:16]:
            raise UnexpectedMessage("fragments of something else than their message")
        return self.receive(whole, path, now=now)

    def owner(self, header: Header, path: Path) -> IkeSa | None:
        """Whom a datagram with these cookies, from there, is for."""
        if header.cookie_r != wire.NO_COOKIE:
            number = self._by_cookies.get(header.cookie_i + header.cookie_r)
            if number is None:
                number = self._unanswered(header.cookie_i)
        else:
            number = self._by_question.get(header.cookie_i, {}).get(path.remote)
            if number is None and header.exchange == wire.INFORMATIONAL:
                number = self._unanswered(header.cookie_i)  # refused by one without a cookie
        return None if number is None else self._sas[number]

    def _unanswered(self, cookie_i: bytes) -> int | None:
        """An answer to our own first message brings the cookie that we do not know yet."""
        number = self._by_cookies.get(cookie_i)
        if number is None or self._sas[number].channel.cookie_r != wire.NO_COOKIE:
            return None
        return number

    def _stranger(self, octets: bytes, header: Header, path: Path, now: float) -> list[Numbered]:
        if header.cookie_r != wire.NO_COOKIE:
            return self._of_the_past(octets, header, path, now)
        if header.encrypted or header.message_id:
            raise UnexpectedMessage("encrypted or numbered, in a first message")
        if header.exchange == wire.INFORMATIONAL:
            return self._refuse("unknown-cookies", "a notice about no IKE SA of ours", path, now)
        if self._refusals.known(octets):
            return self._refuse_again(octets, path, now)
        if header.exchange in self._refused_modes:
            return self._refuse_mode(octets, header, path, now)
        if header.exchange not in (wire.AGGRESSIVE, wire.IDENTITY_PROTECTION):
            raise UnexpectedMessage(f"exchange {exchange_name(header.exchange)} from a stranger")
        if self.settings.role is Role.INITIATOR:
            raise UnexpectedMessage("a call, at a client")
        if any(not sa.half_open for sa in self._asked_with(header.cookie_i)):
            raise UnexpectedMessage("the first message of an exchange that went on: a late repeat")
        if (told := self._too_many(octets, header, path, now)) is not None:
            return told
        sa = self._open(path, header.cookie_i, now, header.exchange)
        try:
            made = self._after(sa, sa.receive(octets, header, path, now=now))
        except ProtocolError:
            self._forget(sa)
            raise
        return self._refused_proposal(octets, made, now) if sa.over else made

    def _refused_proposal(self, octets: bytes, made: list[Numbered], now: float) -> list[Numbered]:
        self.refused["proposal"] += 1
        sent = [output.octets for _, output in made if isinstance(output, Send)]
        self._refusals.keep(octets, sent[0] if sent else None, now=now)
        if now >= self._proposals_since + TOLD_EVERY:
            self._proposals_since, self._proposals_told = now, 0
        self._proposals_told += 1
        if self._proposals_told <= TOLD_AT_ONCE:
            return made
        return [each for each in made if not isinstance(each[1], LogEvent)]

    def _asked_with(self, cookie_i: bytes) -> list[IkeSa]:
        return [self._sas[number] for number in self._by_question.get(cookie_i, {}).values()]

    def _drop_siblings(self, proved: IkeSa, now: float) -> list[Numbered]:
        """A first message repeated through another NAT mapping began a second time; the caller
        has gone on with ``proved``."""
        made: list[Numbered] = []
        for sa in self._asked_with(proved.channel.cookie_i):
            if sa.half_open:
                made += self._after(sa, sa.close("replaced", now=now))
        return made

    def _of_the_past(self, octets: bytes, header: Header, path: Path, now: float) -> list[Numbered]:
        """For an IKE SA that is gone or never was. A peer that missed our delete hears it again."""
        told = self._refuse("unknown-cookies", "no such IKE SA", path, now)
        if header.encrypted:
            cookies = header.cookie_i + header.cookie_r
            farewell = self._farewells.again(cookies, len(octets), now=now)
            if farewell is not None:
                told.append((OF_NO_SA, Send(farewell, path)))
        return told

    @property
    def _refused_modes(self) -> frozenset[int]:
        served = {
            *({wire.IDENTITY_PROTECTION} if self.settings.accepted("main") else ()),
            *({wire.AGGRESSIVE} if self.settings.accepted("aggressive") else ()),
        }
        return REFUSED_MODES - served

    def _full(self, source: Address) -> tuple[str, int] | None:
        limits = self._limits
        if len(self._half_open) >= limits.half_open:
            return "too many half-open IKE SAs", limits.half_open
        if self._per_source[source[0]] >= limits.per_source:
            return "too many half-open IKE SAs from this address", limits.per_source
        if self._per_port[source] >= limits.per_port:
            return "too many half-open IKE SAs from this address and port", limits.per_port
        return None

    # --- what nobody proved ------------------------------------------------------------------

    def _reaches(self, number: int, header: Header, path: Path) -> bool:
        """Whether our cookie came back from the host it went to: its address is its own."""
        if header.cookie_r != wire.NO_COOKIE and path.remote[0] == self._half_open[number][0]:
            self._reached.add(number)
        return number in self._reached

    def _bounded(self, made: list[Numbered], now: float) -> list[Numbered]:
        """Without the answers that go to addresses nobody has proved and have no budget left."""
        kept: list[Numbered] = []
        for number, output in made:
            if (
                not isinstance(output, Send)
                or streamed(output.path)
                or self.strangers.pay(len(output.octets), now=now)
            ):
                kept.append((number, output))
            else:
                self.refused[HELD_BACK] += 1
                kept += [(OF_NO_SA, told) for told in self.strangers.tell_held(now=now)]
        return kept

    def _too_many(
        self, octets: bytes, header: Header, path: Path, now: float
    ) -> list[Numbered] | None:
        """A call for which there is no time or no budget: a look at a table, no arithmetic."""
        self.strangers.heard += len(octets)
        forgeable = not streamed(path)  # a stream's end has answered there
        if forgeable and not self._heard_in_the_crowd(header.cookie_i, path.remote[0], now):
            self.refused["crowd"] += 1
            return [(OF_NO_SA, told) for told in self.strangers.tell_crowd(now=now)]
        if full := self._full(path.remote):
            told = self._refuse("half-open-limit", full[0], path, now)
            if told:
                fields: dict[str, Field] = {"peer": text(path.remote), "limit": full[1]}
                told.append((OF_NO_SA, LogEvent("ike.half-open-limit", fields)))
            return told
        if forgeable and not self.strangers.room(len(octets) + ALLOWANCE, now=now):
            self.refused[HELD_BACK] += 1
            self.strangers.held += 1
            return [(OF_NO_SA, told) for told in self.strangers.tell_held(now=now)]
        return None

    def _heard_in_the_crowd(self, cookie_i: bytes, host: str, now: float) -> bool:
        """Whether there is no crowd, or this one calls for the second time."""
        strangers, limit = self.strangers, self._limits.half_open
        crowd = strangers.crowded(len(self._half_open), limit, now=now)
        return not crowd or strangers.called_before(cookie_i, host, now=now)

    def _refuse_mode(self, octets: bytes, header: Header, path: Path, now: float) -> list[Numbered]:
        """A well-formed call in a mode that is not answered: say so, smaller than the question."""
        if first_kind(clear_body(octets, header)) != SA:
            raise UnexpectedMessage("a call that does not begin with SA")
        mode = exchange_name(header.exchange)
        told = self._refuse("mode", f"{mode} is not answered here", path, now)
        if told:
            cookies = f"{header.cookie_i.hex()}/{header.cookie_r.hex()}"
            fields: dict[str, Field] = {"mode": mode, "peer": text(path.remote), "cookies": cookies}
            told.append((OF_NO_SA, LogEvent("ike.mode-refused", fields)))
        parts = (Notify(UNSUPPORTED_EXCHANGE_TYPE, PROTO_ISAKMP).part(),)
        head = Header(
            header.cookie_i,
            self.chance(OF_NO_SA).octets(8),
            first_kind(parts),
            wire.INFORMATIONAL,
            0,
            0,
        )
        answer = clear_message(head, parts)
        self._refusals.keep(octets, answer, now=now)
        return [*told, (OF_NO_SA, Send(answer, path))]

    def _refuse_again(self, octets: bytes, path: Path, now: float) -> list[Numbered]:
        """The same answer to the same octets, and not more often than repeats are answered."""
        told = self._refuse("repeated", "a call that was refused a moment ago", path, now)
        answer = self._refusals.again(octets, now=now)
        return told if answer is None else [*told, (OF_NO_SA, Send(answer, path))]

    def _refuse_unfinished(self, lost: Unfinished, now: float) -> list[Numbered]:
        path = Path(("", 0), lost.peer)
        told = self._refuse("fragments", "fragments of a message did not come", path, now)
        if not told:
            return []
        of = str(lost.of or "an unknown number")
        fields: dict[str, Field] = {"peer": text(lost.peer), "came": lost.came, "of": of}
        fields["cookies"] = f"{lost.cookies[:8].hex()}/{lost.cookies[8:].hex()}"
        return [(OF_NO_SA, LogEvent("ike.fragments-lost", fields))]

    def _refuse(self, kind: str, detail: str, path: Path, now: float) -> list[Numbered]:
        """Count it; tell it unless this kind was told a moment ago."""
        self.refused[kind] += 1
        last, before = self._told.get(kind, (-inf, 0))
        if now < last + TOLD_EVERY:
            return []
        count = self.refused[kind]
        self._told[kind] = now, count
        fields: dict[str, Field] = {
            "kind": kind,
            "detail": detail,
            "peer": text(path.remote),
            "count": count - before,
        }
        return [(OF_NO_SA, LogEvent("ike.datagram-refused", fields))]

    # --- the table ---------------------------------------------------------------------------

    def _open(
        self,
        path: Path,
        cookie_i: bytes,
        now: float,
        exchange: int = 0,
        settings: Settings | None = None,
    ) -> IkeSa:
        self._last += 1
        sa = IkeSa(
            self._last,
            settings or self._settings_for(path),
            self.chance(self._last),
            self.spis,
            path,
            now=now,
            cookie_i=cookie_i,
            natt_port=self._natt_port,
            exchange=exchange,
        )
        self._sas[sa.number] = sa
        if cookie_i:
            self._questions[sa.number] = (cookie_i, path.remote)
            self._by_question.setdefault(cookie_i, {})[path.remote] = sa.number
            self._half_open[sa.number] = path.remote
            self._per_source[path.remote[0]] += 1
            self._per_port[path.remote] += 1
        else:
            self._by_cookies[sa.channel.cookie_i] = sa.number
        return sa

    def _after(self, sa: IkeSa, outputs: Iterable[Output]) -> list[Numbered]:
        """Bring the tables in line with what the SA became."""
        made = [(sa.number, output) for output in outputs]
        if sa.over:
            self._forget(sa)
            if sa.informational.farewell:
                self._farewells.keep(sa.channel.cookies, sa.informational.farewell)
            return made
        if sa.channel.cookie_r != wire.NO_COOKIE:
            self._by_cookies[sa.channel.cookies] = sa.number
        if sa.number in self._half_open and not sa.half_open:
            self._no_longer_half_open(sa.number)
        if self._armed.get(sa.number) != sa.deadline and sa.deadline < inf:
            self._armed[sa.number] = sa.deadline
            heapq.heappush(self._due, (sa.deadline, sa.number))
        return made

    def _forget(self, sa: IkeSa) -> None:
        self._sas.pop(sa.number, None)
        self._armed.pop(sa.number, None)
        for cookies in (sa.channel.cookies, sa.channel.cookie_i):
            if self._by_cookies.get(cookies) == sa.number:
                del self._by_cookies[cookies]
        if question := self._questions.pop(sa.number, None):
            cookie_i, remote = question
            del self._by_question[cookie_i][remote]
            if not self._by_question[cookie_i]:
                del self._by_question[cookie_i]
        if sa.number in self._half_open:
            self._no_longer_half_open(sa.number)

    def _no_longer_half_open(self, number: int) -> None:
        source = self._half_open.pop(number)
        self._reached.discard(number)
        _less(self._per_source, source[0])
        _less(self._per_port, source)


_Key = TypeVar("_Key")


def _less(counter: Counter[_Key], key: _Key) -> None:
    """Take one off and forget the key at nothing: strangers' addresses must not pile up."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
