"""A gateway of whose callers one is recorded: for drivers, a gateway like any other.

Which one is known by its first message (whoever calls first, or from one address), or as soon as it
has said its name; until then everybody who calls is listened to. A further IKE SA from where the
caller is, is in the record once the caller has logged in with it: it might be somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from math import inf

from culvert.driver.record import MOST, Given, line
from culvert.effects import (
    Answer,
    CertificateJudged,
    Effect,
    Judged,
    PairWorn,
    PeerMoved,
    SessionEnded,
    Signed,
    Traffic,
)
from culvert.errors import ProtocolError
from culvert.eventlog.event import LogEvent
from culvert.gateway.caller import Caller
from culvert.gateway.config import GatewayConfig
from culvert.gateway.ipsec import IpsecGateway, Keys
from culvert.gateway.one_caller import ADMISSION, GROUP, TURN, head
from culvert.gateway.recording import OF_OTHERS, Copy, Dealt, Step, Tape, ticket_of
from culvert.gateway.sessions import CallersSessions
from culvert.ike.outputs import AskConfiguration, GroupKey
from culvert.ike.spis import Spis
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.message import parse_header
from culvert.inet.address import Address, Path
from culvert.orders.certificates import Shown
from culvert.policy.refused import Refused
from culvert.policy.site import Site
from culvert.rng import Random
from culvert.session.table import SessionTable

LINGER = 30.0
"""Seconds after the end of the caller's last IKE SA: late repeats are of use."""
MOST_CALLERS = 100
"""Callers listened to at a time while it is not known yet which of them is the user wanted."""
MOST_STEPS = 400
"""Inputs kept of each of them until it says its name: a login takes ten."""
MOST_OCTETS = 1 << 19
"""Octets kept of each of them: a login with a chain of certificates takes some 30,000."""
MOST_OF_ALL = 1 << 23
"""Octets kept of all of them together; who takes most goes first."""
MISSED_EVERY = 60.0
"""Seconds between two events about callers who are not listened to any more."""

TOO_MANY = f"more than {MOST_CALLERS} callers have not said who they are"
TOO_LONG = f"more than {MOST_STEPS} inputs before it said who it is"
TOO_LARGE = f"more than {MOST_OCTETS:,} octets before it said who it is"
TOO_LARGE_FOR_ALL = f"more than {MOST_OF_ALL:,} octets of callers who have not said who they are"

FIRST = 1
"""The record that was asked for when the gateway was started."""

STOPS = "the gateway stops"

FOR_ALL = ("tick", "closed", "announce")
"""Inputs that concern every caller."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``caller``: a user or an address; empty: whoever calls first. ``secrets``: passwords stay."""

    caller: str = ""
    secrets: bool = False

    @property
    def host(self) -> str:
        """The address wanted, if it is one."""
        try:
            return str(ip_address(self.caller))
        except ValueError:
            return ""

    @property
    def by_call(self) -> bool:
        """Whether it is known as soon as it calls."""
        return not self.caller or bool(self.host)


class Recorder:
    """One record at a time. ``write``: takes a line of it and its number. ``done``: hears once why
    it ended, empty if the session is over, how many inputs it has, and its number. ``tell``: hears
    of callers who are not listened to any more, though one of them may be the one wanted."""

    def __init__(
        self,
        rng: Random,
        write: Callable[[bytes, int], None],
        done: Callable[[str, int, int], None],
        tell: Callable[[LogEvent], None],
        *,
        most: int = MOST,
    ) -> None:
        self.going = False
        self.number = 0
        """Of the record: who asked for it may have asked for another meanwhile."""
        self._wanted = Wanted()
        self._rng = rng
        self._write = write
        self._done = done
        self._tell = tell
        self._most = self._left = most
        self._tapes: list[Tape] = []
        self._chosen: Tape | None = None
        self._copy: Copy | None = None
        self._current: Tape | None = None
        self._cookie = b""  # of the datagram heard now
        self._may_repeat = False  # whether its source may be the caller's
        self._may_begin = False  # whether a new IKE SA that it makes may be
        self._missed, self._missed_told = 0, -inf

    def begin(self, wanted: Wanted, number: int = FIRST) -> None:
        """The next session of that caller. ``number``: of the record."""
        self.end("another record begins")
        self.going = True
        self.number = number
        self._missed, self._missed_told = 0, -inf
        self._wanted, self._left = wanted, self._most
        self._chosen = self._copy = None

    @property
    def deadline(self) -> float:
        """When the record is complete, if nothing more comes."""
        tape = self._chosen
        return tape.over_at + LINGER if self.going and tape is not None else inf

    # --- what the core asks while something happens ------------------------------------------

    def chance(self, number: int) -> Random:
        """Of an IKE SA that is made now (0: of an answer without one)."""
        tape = self._current
        if tape is not None and number and tape.cookies and not self._is_sibling(tape):
            # The cookie of one who is gone does not tell who calls with it now.
            tape = self._current = Tape() if self._may_begin else None
        if tape is None:
            return self._rng
        tape.began = True
        if self._cookie:
            tape.cookies.add(self._cookie)
        if number:
            tape.numbers.add(number)
        return Dealt(self._rng, tape)

    def _is_sibling(self, tape: Tape) -> bool:
        """Whether a new IKE SA with a cookie of this caller's is a first message that came twice,
        maybe through another mapping of a NAT; or ours, and no datagram made it."""
        return not self._cookie or (self._may_repeat and bool(tape.numbers) and not tape.user)

    def logged_in(self, number: int, user: str) -> None:
        """Before anything follows from it."""
        for tape in self._listened_to if self.going else ():
            if number in tape.numbers:
                try:
                    self._logged_in(tape, user)
                except Exception as error:  # no defect of the record may end the gateway
                    self.end(_defect(error))

    def _logged_in(self, tape: Tape, user: str) -> None:
        chosen, wanted = self._chosen, self._wanted
        if chosen is None and not wanted.by_call and user != wanted.caller:
            self._drop(tape)
        elif chosen is None or tape is chosen:
            tape.user = user
        elif user == chosen.user:
            self._join(chosen, tape)
        else:
            self._drop(tape)  # somebody else has the address now

    def derived(self, hash_name: str, nonces: bytes, key: GroupKey) -> None:
        if self._current is not None and not self._current.dropped:
            self._current.derived.append((hash_name, nonces, key.skeyid))
            self._current.tell(GROUP, key.group)

    def admitted(self, number: int, caller: Caller, refused: Refused | None) -> None:
        for tape in self._listened_to:
            if number in tape.numbers:
                if refused is not None:
                    tape.tell(ADMISSION, [refused.reason, refused.detail])
                else:
                    tape.sessions.add(caller.session)
                    tape.tell(ADMISSION, [caller.session, caller.address])

    # --- whose input it is -------------------------------------------------------------------

    @property
    def _listened_to(self) -> tuple[Tape, ...]:
        new = self._current
        return (
            (*self._tapes, new) if new is not None and new not in self._tapes else (*self._tapes,)
        )

    def of_datagram(self, core: RecordedGateway, octets: bytes, path: Path) -> Tape | None:
        self._cookie, source = octets[:8], path.remote
        self._may_repeat = self._wanted.host in ("", source[0])
        self._may_begin = self._may_call(core, source)
        if number := core.owner(octets, path):
            return next((tape for tape in self._tapes if number in tape.numbers), None)
        for tape in self._tapes:
            if self._cookie in tape.cookies:
                return tape
        return Tape() if self._may_begin else None

    def _may_call(self, core: RecordedGateway, source: Address) -> bool:
        """Whether a new IKE SA from there may be the caller's."""
        if self._chosen is None:
            return self._may_repeat and not core.stands(source)
        # Where it was before may be the next caller's, behind an address translator.
        return any(core.comes_from(one, source) for one in self._chosen.numbers)

    def of_answer(self, answer: Answer) -> Tape | None:
        self._cookie = b""
        for tape in self._tapes:
            match answer:
                case PeerMoved() | PairWorn() | Traffic():
                    if answer.session in tape.sessions:
                        return tape
                case Judged() | Signed() | CertificateJudged():
                    if ticket_of(answer) in tape.tickets:
                        return tape
                case _:
                    pass
        return None

    def listen(self, tape: Tape | None) -> None:
        """What follows is an input of this caller."""
        self._current = tape

    # --- what happened -----------------------------------------------------------------------

    def happened(
        self, core: RecordedGateway, given: Given, made: Sequence[Effect], *, raised: bool
    ) -> None:
        own, self._current = self._current, None
        try:
            self._happened(core, given, made, own, raised)
        except Exception as error:  # no defect of the record may end the gateway
            self.end(_defect(error))

    def _happened(
        self,
        core: RecordedGateway,
        given: Given,
        made: Sequence[Effect],
        own: Tape | None,
        raised: bool,
    ) -> None:
        if own is not None and own.began and not own.dropped and own not in self._tapes:
            self._tapes.append(own)
            if len(self._tapes) > MOST_CALLERS:
                self._miss(self._waiting[0], TOO_MANY, given.at)
        for tape in tuple(self._tapes):
            if tape.dropped:
                continue
            if tape is own or given.name in FOR_ALL:
                self._take(core, tape, tape.step(given, made, own=tape is own, raised=raised))
            elif (end := _ended(tape, given, made)) is not None:
                self._take(core, tape, tape.step(end, made, own=False, raised=raised))
            elif tape.touched() or any(tape.sent(made)):
                self._lose(tape, given.at)
            if self.going and tape in self._tapes:
                self._look(core, tape, given.at)

    def _take(self, core: RecordedGateway, tape: Tape, step: Step) -> None:
        if tape is self._chosen and self._copy is not None:
            self._copy.take(step)
        elif step.given.name != "tick" or step.concerns:  # the others' ticks fill nothing
            tape.keep(step)
            if self._chosen is None and self._is_wanted(core, tape):
                self._choose(core, tape)
            else:
                self._bound(tape, step.given.at)
        if self._copy is not None and self._copy.problem:
            self.end(self._copy.problem)

    @property
    def _waiting(self) -> tuple[Tape, ...]:
        """Who may be the caller wanted, or it again. The longest here first."""
        return tuple([tape for tape in self._tapes if tape is not self._chosen])

    def _bound(self, tape: Tape, now: float) -> None:
        """Nobody has proved who they are, so what they send must not fill the memory."""
        if len(tape.steps) > MOST_STEPS:
            self._miss(tape, TOO_LONG, now)
        elif tape.octets > MOST_OCTETS:
            self._miss(tape, TOO_LARGE, now)
        elif sum(one.octets for one in self._waiting) > MOST_OF_ALL:
            largest = max(self._waiting, key=lambda one: one.octets)
            self._miss(largest, TOO_LARGE_FOR_ALL, now)

    def _is_wanted(self, core: RecordedGateway, tape: Tape) -> bool:
        wanted = self._wanted
        return wanted.by_call or any(core.user_of(one) == wanted.caller for one in tape.numbers)

    def _choose(self, core: RecordedGateway, tape: Tape) -> None:
        for other in tuple(self._tapes):
            if other is not tape:
                self._drop(other)
        self._chosen = tape
        secrets = self._wanted.secrets
        first = core.first_line(secrets=secrets)
        self._copy = Copy(first, self._written, self._rng, secrets=secrets)
        for step in tape.kept():
            self._copy.take(step)

    def _join(self, chosen: Tape, tape: Tape) -> None:
        """The caller has logged in again."""
        if tape in self._tapes:
            self._tapes.remove(tape)
        for step in tape.kept():
            if self._copy is not None:
                self._copy.take(step)
        chosen.join(tape)
        if self._current is tape:
            self._current = chosen
        if self._copy is not None and self._copy.problem:
            self.end(self._copy.problem)

    def _look(self, core: RecordedGateway, tape: Tape, now: float) -> None:
        """Whether this caller is still there."""
        tape.numbers = {one for one in tape.numbers if core.lives(one)}
        tape.over_at = inf if tape.numbers else min(tape.over_at, now)
        if tape.numbers:
            return
        if tape is not self._chosen:
            self._drop(tape)
        elif now >= tape.over_at + LINGER:
            self.end("")

    def _lose(self, tape: Tape, now: float) -> None:
        if tape is self._chosen:
            self.end(OF_OTHERS)
        else:
            self._miss(tape, OF_OTHERS, now)

    def _miss(self, tape: Tape, why: str, now: float) -> None:
        """Whoever it was, it is not recorded."""
        self._drop(tape)
        self._missed += 1
        if now < self._missed_told + MISSED_EVERY:
            return
        self._tell(LogEvent("gateway.record-missed", {"why": why, "count": self._missed}))
        self._missed, self._missed_told = 0, now

    def _drop(self, tape: Tape) -> None:
        tape.dropped = True
        tape.forget()
        tape.kept()
        if tape in self._tapes:
            self._tapes.remove(tape)

    # --- the record --------------------------------------------------------------------------

    def stop(self) -> None:
        """The gateway has said goodbye to everybody."""
        over = self._chosen is not None and not self._chosen.numbers
        self.end("" if over else STOPS)

    def _written(self, octets: bytes) -> bool:
        self._left -= len(octets)
        if self._left < 0:
            return False
        self._write(octets, self.number)
        return True

    def end(self, why: str) -> None:
        """Nothing more is recorded. Twice is normal."""
        if not self.going:
            return
        self.going = False
        for tape in tuple(self._tapes):
            self._drop(tape)
        self._done(why, self._copy.inputs if self._copy is not None else 0, self.number)


def _defect(error: Exception) -> str:
    return f"a defect of the record ({type(error).__name__})"


def _ended(tape: Tape, given: Given, made: Sequence[Effect]) -> Given | None:
    """The command that does what somebody else did to this caller."""
    for one in made:
        if isinstance(one, SessionEnded) and one.session in tape.sessions:
            return Given("ended", given.at, word=f"{one.session} {one.reason}")
    return None


class RecordedGateway(IpsecGateway):
    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        keys: Keys,
        rng: Random,
        *,
        recorder: Recorder,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
    ) -> None:
        super().__init__(
            config,
            table,
            HeardKeys(keys, recorder),
            rng,
            began=began,
            bare_esp=bare_esp,
            certificate=certificate,
            authorities=authorities,
        )
        self._recorder = recorder
        self._head = partial(
            head,
            config,
            began=began,
            bare_esp=bare_esp,
            certificate=certificate,
            authorities=authorities,
        )
        self._sessions = self._heard_sessions = HeardSessions(config, table, self._at, recorder)
        self._endpoint.spis = HeardSpis()
        self._endpoint.chance = recorder.chance

    def first_line(self, *, secrets: bool) -> bytes:
        """Of a record."""
        return line(self._head(secrets=secrets))

    def user_of(self, number: int) -> str:
        caller = self._clients.get(number)
        return caller.user if caller is not None else ""

    def lives(self, number: int) -> bool:
        return self._endpoint.get(number) is not None

    def comes_from(self, number: int, source: Address) -> bool:
        """Whether the peer of this IKE SA is there now."""
        sa = self._endpoint.get(number)
        return sa is not None and sa.path.remote == source

    def stands(self, source: Address) -> bool:
        """Whether somebody's session comes from there."""
        return self._heard_sessions.come_from(source)

    def owner(self, octets: bytes, path: Path) -> int:
        """The IKE SA that a datagram is for; 0 if there is none."""
        try:
            sa = self._endpoint.owner(parse_header(octets), path)
        except ProtocolError:
            return 0
        return 0 if sa is None else sa.number

    # --- who it is ---------------------------------------------------------------------------

    def _logged_in(self, number: int, user: str, now: float) -> list[Effect]:
        self._recorder.logged_in(number, user)
        return super()._logged_in(number, user, now)

    def _site_here(self, number: int, client: Caller, site: Site, now: float) -> list[Effect]:
        self._recorder.logged_in(number, site.name)
        return super()._site_here(number, client, site, now)

    # --- entries -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return min(super().deadline, self._recorder.deadline)

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]:
        if not self._recorder.going:
            return super().receive(octets, path, now=now)
        self._recorder.listen(self._recorder.of_datagram(self, octets, path))
        given = Given("receive", now, octets, path)
        return self._heard(given, lambda: IpsecGateway.receive(self, octets, path, now=now))

    def step(self, answer: Answer, *, now: float) -> list[Effect]:
        if not self._recorder.going:
            return super().step(answer, now=now)
        self._recorder.listen(self._recorder.of_answer(answer))
        given = Given("step", now, answer=answer)
        return self._heard(given, lambda: IpsecGateway.step(self, answer, now=now))

    def tick(self, *, now: float) -> list[Effect]:
        return self._heard(Given("tick", now), lambda: IpsecGateway.tick(self, now=now))

    def logout(self, number: int, reason: str = "by-administrator", *, now: float) -> list[Effect]:
        given = Given("logout", now)
        return self._heard(given, lambda: IpsecGateway.logout(self, number, reason, now=now))

    def shutdown(self, reason: str = "peer-shutdown", *, now: float) -> list[Effect]:
        given = Given("closed", now, word=reason)
        return self._heard(given, lambda: IpsecGateway.shutdown(self, reason, now=now))

    def announce(self, *, now: float) -> list[Effect]:
        return self._heard(Given("announce", now), lambda: IpsecGateway.announce(self, now=now))

    def _heard(self, given: Given, call: Callable[[], list[Effect]]) -> list[Effect]:
        if not self._recorder.going:
            return call()
        made: list[Effect] = []
        raised = True
        try:
            made = call()
            raised = False
        finally:
            self._recorder.happened(self, given, made, raised=raised)
        return made


class HeardKeys:
    def __init__(self, keys: Keys, recorder: Recorder) -> None:
        self._keys = keys
        self._recorder = recorder

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey:
        key = self._keys.skeyid(identity, hash_name, nonce_i, nonce_r)
        self._recorder.derived(hash_name, nonce_i + nonce_r, key)
        return key


class HeardSpis(Spis):
    def draw(self, rng: Random, beside: int = 0) -> int:
        if not beside and isinstance(rng, Dealt):
            rng.tape.tell(TURN, self._turn + 1)
        return super().draw(rng, beside)


class HeardSessions(CallersSessions):
    """``at``: wall time of a moment."""

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        at: Callable[[float], datetime],
        recorder: Recorder,
    ) -> None:
        super().__init__(config, table, at)
        self._recorder = recorder

    def come_from(self, source: Address) -> bool:
        """Whether somebody's session comes from there."""
        return source in self._at_source

    def admit(
        self, number: int, caller: Caller, asked: AskConfiguration, now: float
    ) -> Refused | None:
        refused = super().admit(number, caller, asked, now)
        self._recorder.admitted(number, caller, refused)
        return refused

    def admit_site(self, number: int, caller: Caller, site: Site, now: float) -> Refused | None:
        refused = super().admit_site(number, caller, site, now)
        self._recorder.admitted(number, caller, refused)
        return refused
