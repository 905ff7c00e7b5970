"""One IKE SA, either end: joins phase 1, XAUTH, Mode Config, quick modes and liveness.

    calling ─┐                                            (initiator)
             ├─> keying ─> proving ─> person ─> config ─> up ─> over
    called ──┘                                            (responder)

Entries: `connect`, `receive`, `step`, `tick`, `start_quick`, `close`, `heard`, `moved`. Every one
returns all that must now be done, in order. Retransmission, NAT traversal and rekeying are here in
as far as they decide *when*; *what* stands in `aggressive`, `quick`, `xauth`, `natt`.
"""

from __future__ import annotations

from math import inf
from weakref import proxy

from culvert.errors import (
    MisuseError,
    ProtocolError,
    UnexpectedMessage,
)
from culvert.eventlog.event import LogEvent
from culvert.ike import natt
from culvert.ike.aggressive_called import AggressiveCalled
from culvert.ike.aggressive_calling import AggressiveCalling
from culvert.ike.calling import Calling
from culvert.ike.channel import Channel
from culvert.ike.dialogue import ClientDialogue, GatewayDialogue
from culvert.ike.informational import Informational
from culvert.ike.main_called import MainCalled
from culvert.ike.main_calling import MainCalling
from culvert.ike.negotiator import Negotiator
from culvert.ike.outputs import (
    Activate,
    CertificateVerdict,
    Configuration,
    GroupKey,
    Input,
    KnownGroup,
    Moved,
    Output,
    Over,
    PersonAnswer,
    Remove,
    Renew,
    SendKeepalive,
    Signature,
    Verdict,
)
from culvert.ike.owner import Owner, Phase, spi_text
from culvert.ike.pairs import Pairs, soft_life
from culvert.ike.phase1 import new_cookie
from culvert.ike.proposal import Difference, Lifetime
from culvert.ike.retransmit import LONGEST_WAIT, PHASE2_WAIT
from culvert.ike.selector import Selector
from culvert.ike.settings import Role, Settings
from culvert.ike.spis import Spis
from culvert.ike.timers import Name, Timers
from culvert.ike.warned import Warned
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path, text
from culvert.rng import Random

RENEWAL_PATIENCE = 30.0  # seconds for an answer; a gateway gives a caller that long, too
RENEWAL_PAUSE = 10.0  # seconds from a renewal that failed to the next try
DOUBT = 1.0  # seconds a hint of failure may still be disproved by a genuine answer
EARLY = 4096  # octets of a message that is kept until its sender has proved itself

EXCHANGES = {"aggressive": wire.AGGRESSIVE, "main": wire.IDENTITY_PROTECTION}
HALF_OPEN = frozenset((Phase.CALLED, Phase.OFFERED, Phase.KEYING, Phase.PROVING, Phase.JUDGING))
IN_PHASE_1 = HALF_OPEN | {Phase.CALLING}


class IkeSa:
    """``number`` is the owner's name for it; ``spis`` are the inbound SPIs of the whole endpoint.

    ``natt_port`` is our local port for encapsulated traffic.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        rng: Random,
        spis: Spis,
        path: Path,
        *,
        now: float,
        cookie_i: bytes = b"",
        natt_port: int = natt.NATT_PORT,
        exchange: int = 0,
    ) -> None:
        self.number = number
        self.initiator = settings.role is Role.INITIATOR
        self.phase = Phase.CALLING if self.initiator else Phase.CALLED
        self.timers = Timers()
        self._rng = rng
        self._spis = spis
        self.channel = Channel(cookie_i or new_cookie(rng), path, rng, self.timers)
        self.exchange = exchange or EXCHANGES[settings.exchange]
        itself: Owner = proxy(self)  # for its parts
        self.phase1 = self._first_phase(itself, settings, natt_port)
        self.pairs = Pairs(self.timers, rng)
        self.warned = Warned()
        self.quirks: frozenset[str] = frozenset()
        self.informational = Informational(itself)
        self.dialogue: ClientDialogue | GatewayDialogue = (
            ClientDialogue(itself) if self.initiator else GatewayDialogue(itself)
        )
        self.negotiator = Negotiator(itself, self.informational, spis)
        self._doubt = ("", "")
        self._early: tuple[bytes, Header, Path] | None = None

    def _first_phase(
        self, itself: Owner, settings: Settings, natt_port: int
    ) -> AggressiveCalling | AggressiveCalled | MainCalling | MainCalled:
        main = self.exchange == wire.IDENTITY_PROTECTION
        if self.initiator:
            calling = MainCalling if main else AggressiveCalling
            return calling(itself, settings, self._rng, natt_port)
        called = MainCalled if main else AggressiveCalled
        return called(itself, settings, self._rng)

    # --- what others may know ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return self.timers.deadline

    @property
    def over(self) -> bool:
        return self.phase is Phase.OVER

    @property
    def path(self) -> Path:
        return self.channel.path

    @property
    def half_open(self) -> bool:
        """Whether the peer has not yet proved that it knows the key."""
        return not self.initiator and self.phase in HALF_OPEN

    @property
    def in_phase1(self) -> bool:
        """Whether nothing is proved yet, whoever began."""
        return self.phase in IN_PHASE_1

    @property
    def certified(self) -> bool:
        """Whether certificates prove an end in phase 1, or would in all that we offer."""
        return self.phase1.certified

    @property
    def settings(self) -> Settings:
        """Those of the peer's group, once it is known."""
        return self.phase1.settings

    @property
    def features(self) -> frozenset[str]:
        return self.phase1.features

    @property
    def nat(self) -> natt.Nat:
        return self.phase1.nat

    @property
    def encapsulated(self) -> bool:
        """Whether ESP travels in UDP."""
        return self.phase1.encapsulated

    @property
    def traverses(self) -> bool:
        """Whether NAT traversal was agreed, whether or not a NAT was found."""
        return self.phase1.version is not None

    @property
    def mode(self) -> int:
        """The encapsulation mode phase 2 speaks of."""
        return self.phase1.mode

    @property
    def permitted(self) -> Configuration | None:
        return self.dialogue.permitted

    @property
    def rng(self) -> Random:
        return self._rng

    # --- entries -----------------------------------------------------------------------------

    def connect(self, *, now: float) -> list[Output]:
        """Initiator: begin."""
        if not isinstance(self.phase1, Calling):
            raise MisuseError("connect is for an initiator")
        self.phase1.begin(now)
        return self._done()

    def receive(self, octets: bytes, header: Header, path: Path, *, now: float) -> list[Output]:
        """One datagram for this SA. Raises ProtocolError, and changes nothing, for one that is
        malformed, out of place or not genuine."""
        if self.over:
            return []
        if self.phase is Phase.JUDGING and header.encrypted and self._is_early(octets, header):
            self._early = octets, header, path
            return []
        if self.channel.answers.known(octets):
            again = self.channel.answers.again(octets, now=now)
            if again is not None:
                self.channel.log("ike.duplicate-answered", peer=text(path.remote))
                self.channel.send_again(again, self.path if self._is_left(path) else path)
            return self._done()
        try:
            fresh = self._dispatch(octets, header, path, now)
        except ProtocolError:
            self.channel.out.clear()
            raise
        if fresh and self.initiator:
            self.channel.answered(0)
        if fresh and not self.over:
            self.came_from(path)
            self.informational.heard(now)
        return self._done()

    def step(self, given: Input, *, now: float) -> list[Output]:
        """The answer to something asked. Late answers, after the end, are dropped."""
        if self.over:
            return []
        match given:
            case GroupKey() | KnownGroup() | Signature() | CertificateVerdict():
                self.phase1.step(given, now)
                return [*self._done(), *self._take_early(now)]
            case Verdict() | PersonAnswer() | Configuration():
                self.dialogue.step(given, now)
        return self._done()

    def _is_early(self, octets: bytes, header: Header) -> bool:
        """Whether the peer went on while its proof is still looked at, which may take seconds: it
        need not say it again then. One such message is kept."""
        later = header.exchange in (wire.TRANSACTION, wire.QUICK)
        return later and self._early is None and len(octets) <= EARLY

    def _take_early(self, now: float) -> list[Output]:
        if self._early is None or self.in_phase1:
            return []
        (octets, header, path), self._early = self._early, None
        try:
            return self.receive(octets, header, path, now=now)
        except ProtocolError:
            return []  # as if it had been lost; a genuine peer says it again

    def tick(self, *, now: float) -> list[Output]:
        """The deadline came."""
        for name in self.timers.due(now):
            if not self.over:
                self._due(name, now)
        return self._done()

    def start_quick(
        self, local: Selector, remote: Selector, *, now: float, replaces: int = 0
    ) -> list[Output]:
        """Ask the peer for a pair of SAs."""
        if not self.over:
            self.negotiator.start(local, remote, replaces, now)
        return self._done()

    def close(self, reason: str, words: Reason | None = None, *, now: float) -> list[Output]:
        """End it from here: delete messages for everything, then `Over`. Twice is normal."""
        if not self.over:
            if self.channel.keyed and not self.in_phase1:
                self.informational.delete_everything(words)
            self.end(reason, now=now)
        return self._done()

    def permit(self, given: Configuration) -> list[Output]:
        """No Mode Config with this peer: it may have that, and its phase 1 is over."""
        if not self.over:
            self.dialogue.permitted = given
            self.phase = Phase.UP
        return self._done()

    def renew_later(self, *, now: float) -> list[Output]:
        """Its renewal came to nothing: try again while it lives."""
        if not self.over and now + RENEWAL_PAUSE < self.timers.at("life"):
            self.timers.set("renewal", now + RENEWAL_PAUSE)
        return self._done()

    def succeed(self, old: IkeSa, *, now: float) -> list[Output]:
        """This one renews ``old``: its pairs go on here. ``old`` keeps nothing but its keys."""
        unfinished = old.negotiator.abandon(now)
        self.pairs.take(old.pairs)
        self.warned.take(old.warned)
        self.quirks = old.quirks
        for number in unfinished:
            self.pairs.renew(number, now=now)
        self.negotiator.carries()
        self.tell_life()
        self.channel.log("ike.renewed", old=old.channel.cookies.hex(), peer=text(self.path.remote))
        return self._done()

    def worn(self, number: int, *, spent: bool, now: float) -> list[Output]:
        """The data path has nearly used up the keys of pair ``number``, or (``spent``) has."""
        pair = self.pairs.get(number)
        if self.over or pair is None:
            return self._done()
        if spent:
            self.negotiator.end(pair)
        elif not self.negotiator.renewing(number):
            self.pairs.worn(number, now=now)
        return self._done()

    def heard(self, *, now: float, streaming: bool = False) -> None:
        """The data path heard authentic packets of this peer; ``streaming``: ever more of them."""
        self.informational.heard(now, streaming=streaming)

    def ask(self, *, now: float) -> list[Output]:
        """Is the peer still there? A question ahead of time."""
        if not self.over and not self.in_phase1:
            self.informational.ask(now)
        return self._done()

    @property
    def unanswered_since(self) -> float:
        """When the liveness question that is open was first asked; inf if none is."""
        return inf if self.over else self.informational.unanswered_since

    def moved(self, path: Path) -> list[Output]:
        """The data path saw an authentic packet come from elsewhere."""
        if not self.over:
            self.came_from(path)
        return self._done()

    def announce(self, dns: tuple[str, ...], nbns: tuple[str, ...], *, now: float) -> list[Output]:
        """Tell the peer where we are now."""
        if not self.over:
            self.informational.announce(dns, nbns, now)
        return self._done()

    # --- for the parts of this SA ------------------------------------------------------------

    def end(
        self,
        reason: str,
        *,
        now: float,
        by_peer: bool = False,
        detail: str = "",
        told: Reason | None = None,
    ) -> None:
        """Everything stops; told exactly once."""
        if self.over:
            return
        for pair in self.pairs:
            self.remove_pair(pair.number)
        self.negotiator.stop()
        self.phase1.proofs.forget()
        self.phase = Phase.OVER
        self.channel.stop_repeating()
        self.timers.stop_all()
        self.channel.log("ike.over", reason=reason, by_peer=by_peer)
        said = told or Reason()
        self.channel.out.append(Over(reason, by_peer, detail, said.code, said.ending))

    def pair_deleted(self, number: int) -> None:
        """By the peer."""
        self.negotiator.superseded(number)
        self.remove_pair(number)

    def remove_pair(self, number: int) -> None:
        pair = self.pairs.drop(number)
        if pair is not None:
            self.channel.out += [Activate(waiting) for waiting in self.pairs.take_waiting()]
            self._spis.release(pair.inbound_spi)
            self.channel.out.append(Remove(number, pair.inbound_spi, pair.outbound_spi))
            self.channel.log(
                "quick.removed",
                spi_in=spi_text(pair.inbound_spi),
                spi_out=spi_text(pair.outbound_spi),
            )

    def tell_differences(self, phase: int, differences: tuple[object, ...], whose: str) -> None:
        """Log a refusal pair by pair, then as one (S3-12)."""
        listed = [d for d in differences if isinstance(d, Difference)]
        for each in listed:
            self.channel.log(
                "ike.proposal-compared",
                phase=phase,
                attribute=each.attribute,
                remote=each.remote,
                local=each.local,
                remote_number=each.remote_number,
                local_number=each.local_number,
            )
        self.channel.log(
            "ike.proposal-refused",
            phase=phase,
            peer=text(self.path.remote),
            remote=", ".join(dict.fromkeys(f"{d.attribute} {d.remote}" for d in listed)),
            local=whose,
        )

    def quick_refused(self, spi: int, why: str, now: float) -> None:
        self.negotiator.refused_by_peer(spi, why, now)

    def wait_for_answer(self, message_id: int, octets: bytes, reason: str, now: float) -> None:
        patience, renews = self.settings.timing.answer_patience, not self.settings.first_contact
        self.channel.expect_answer(
            message_id,
            octets,
            patience=min(patience, RENEWAL_PATIENCE) if renews else patience,
            longest=PHASE2_WAIT if renews else LONGEST_WAIT,
            otherwise=reason,
            now=now,
        )

    def phase1_over(self, now: float) -> None:
        """Phase 1 stands: liveness is watched, and the dialogue goes on."""
        self.informational.begin(now)
        self.dialogue.begin(now)

    def lives(self, seconds: float, now: float) -> None:
        """It ends after so long; who called has it renewed before."""
        self.timers.set("life", now + seconds)
        if self.initiator:
            self.timers.set("renewal", now + soft_life(Lifetime(seconds=int(seconds)), self._rng))

    def tell_life(self) -> None:
        """Who called offered a longer life of the IKE SA than it has: it could not renew it in
        time if it did not know."""
        chosen, ours = self.phase1.chosen, self.phase1.settings.phase1_life.seconds
        if not self.initiator and chosen is not None and 0 < ours < chosen.lifetime.seconds:
            self.informational.announce_life(ours)

    def disputed(self) -> None:
        self.phase1.disputed()

    def reject(self, reason: str, detail: str, now: float) -> None:
        """The peer did not prove itself: it hears no more than that, and it is over."""
        self.informational.reject()
        self.end(reason, now=now, detail=detail)

    def complaints(self) -> list[LogEvent]:
        """What a refused message has to tell; the message itself did not happen."""
        return self.phase1.complaints()

    def _done(self) -> list[Output]:
        made, self.channel.out = self.channel.out, []
        return made

    # --- what came ---------------------------------------------------------------------------

    def _dispatch(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        """Handle one message; true if it was genuine and new."""
        match header.exchange:
            case wire.AGGRESSIVE | wire.IDENTITY_PROTECTION if header.exchange == self.exchange:
                return self.phase1.receive(octets, header, path, now)
            case wire.INFORMATIONAL:
                return self.informational.receive(octets, header, now)
            case wire.TRANSACTION:
                self._after_phase1(header)
                return self.dialogue.receive(octets, header, now)
            case wire.QUICK:
                self._after_phase1(header)
                return self.negotiator.receive(octets, header, now)
            case other:
                raise UnexpectedMessage(f"exchange type {other} within an IKE SA")

    def _after_phase1(self, header: Header) -> None:
        if self.in_phase1:
            raise UnexpectedMessage("before phase 1 is over")
        if not header.encrypted:
            raise UnexpectedMessage("in clear, after phase 1")

    def came_from(self, path: Path) -> None:
        """An authentic, fresh message: RFC 3947 §7, both IKE and ESP follow the peer."""
        if path == self.channel.path or self._is_left(path):
            return
        old = self.channel.path
        self.channel.path = path
        if path.remote != old.remote:  # else it called another address of ours
            self.channel.log("ike.peer-moved", old=text(old.remote), new=text(path.remote))
        self.channel.out.append(Moved(path))

    def _is_left(self, path: Path) -> bool:
        """Whether ``path`` uses the port that IKE has left for the NAT-T one (RFC 3947 §4): a
        late repeat still comes there, and takes nobody back."""
        return self.path.encapsulated and not path.encapsulated

    def doubt(self, reason: str, now: float, detail: str = "") -> None:
        """Something unauthentic says it failed: true unless disproved soon."""
        if not self.timers.running("doubt"):
            self._doubt = (reason, detail)
            self.timers.set("doubt", now + DOUBT)

    # --- what is due -------------------------------------------------------------------------

    def _due(self, name: Name, now: float) -> None:
        kind, number = name
        match kind:
            case "repeat":
                self._repeat(number, now)
            case "doubt":
                self._doubt_over(now)
            case "half-open":
                self.phase1.half_open_over(now)
            case "life":
                self.informational.delete_everything(Reason(code=3, ending="lifetime-expired"))
                self.end("lifetime-expired", now=now)
            case "renewal":
                self.channel.log("ike.rekeying", peer=text(self.path.remote))
                self.channel.out.append(Renew())
            case "keepalive":
                self.channel.out.append(SendKeepalive(self.path))
                self.channel.log("live.keepalive-sent", peer=text(self.path.remote))
                self.timers.set("keepalive", now + self.settings.timing.keepalive)
            case "heartbeat":
                self.informational.beat(now)
            case "liveness":
                self.informational.tick(now)
            case "xauth" | "person":
                self.dialogue.tick(kind, now)
            case _:
                self.negotiator.tick(kind, number, now)

    def _doubt_over(self, now: float) -> None:
        if self.phase1.proofs.waiting:
            self.timers.set("doubt", now + DOUBT)
            return
        if isinstance(self.phase1, Calling):
            unproved = self.phase1.take_unproved()
            if unproved:
                self.informational.dispute(unproved, self._doubt[0])
        reason, detail = self._doubt
        self.end(reason, now=now, detail=detail)

    def _repeat(self, message_id: int, now: float) -> None:
        given_up = self.channel.repeat(message_id, now=now)
        if given_up is None:
            return
        repeat, reason = given_up
        self.channel.log(
            "ike.no-answer",
            peer=text(self.path.remote),
            attempts=repeat.attempts,
            seconds=round(now - repeat.began, 1),
        )
        if self.negotiator.gave_up(message_id):
            return
        if self.channel.keyed and not self.in_phase1:
            # The peer may hear what we do not hear of it.
            self.informational.delete_everything(Reason(code=1, ending=reason))
        self.end(reason, now=now)
