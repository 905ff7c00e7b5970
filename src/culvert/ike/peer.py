"""One IKE SA, either end: joins phase 1, XAUTH, Mode Config, quick modes and liveness.

    calling ─┐                                            (initiator)
             ├─> keying ─> proving ─> person ─> config ─> up ─> over
    called ──┘                                            (responder)

Entries: `connect`, `receive`, `step`, `tick`, `start_quick`, `close`, `heard`, `moved`. Every one
returns all that must now be done, in order. Retransmission, NAT traversal and rekeying are here in
as far as they decide *when*; *what* stands in `aggressive`, `quick`, `xauth`, `natt`.
"""

from __future__ import annotations

from culvert.errors import (
    IntegrityError,
    MisuseError,
    NegotiationError,
    ProtocolError,
    UnexpectedMessage,
)
from culvert.eventlog.event import LogEvent
from culvert.ike import natt, vendor
from culvert.ike.aggressive import AggressiveInitiator, AggressiveResponder, check_hash
from culvert.ike.channel import Channel
from culvert.ike.dialogue import ClientDialogue, GatewayDialogue
from culvert.ike.informational import Informational
from culvert.ike.negotiator import Negotiator
from culvert.ike.outputs import (
    AskGroupKey,
    Authenticated,
    Configuration,
    GroupKey,
    Input,
    Moved,
    Output,
    Over,
    PersonAnswer,
    Remove,
    SendKeepalive,
    Verdict,
)
from culvert.ike.owner import Phase, spi_text
from culvert.ike.pairs import Pairs
from culvert.ike.proposal import ChosenIke, Difference
from culvert.ike.script import AGGRESSIVE
from culvert.ike.selector import Selector
from culvert.ike.settings import Role, Settings
from culvert.ike.spis import Spis
from culvert.ike.timers import Name, Timers
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import GENERIC_HEADER, NOTIFY, VENDOR_ID, Chain, of_kind
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path, text
from culvert.rng import Random
from culvert.tables.algorithms import Authentication

DOUBT = 1.0  # seconds a hint of failure may still be disproved by a genuine answer
ALLOWANCE = 200  # octets an answer to a stranger may exceed the question by

NATT_OFFERED = ("natt-rfc3947", "natt-03", "natt-02n", "natt-02")


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
    ) -> None:
        self.number = number
        self.settings = settings
        self.phase = Phase.CALLING if settings.role is Role.INITIATOR else Phase.CALLED
        self.features: frozenset[str] = frozenset()
        self.nat = natt.Nat()
        self.version: natt.Version | None = None
        self.identity: Identity | None = None
        self.group = ""
        self.chosen: ChosenIke | None = None
        self.timers = Timers()
        self._rng = rng
        self._spis = spis
        self._natt_port = natt_port
        self._began = now
        self._initial_contact = False
        self.channel = Channel(cookie_i or _cookie(rng), path, rng, self.timers)
        self.pairs = Pairs(self.timers, rng)
        self.informational = Informational(self)
        self.dialogue: ClientDialogue | GatewayDialogue = (
            ClientDialogue(self) if settings.role is Role.INITIATOR else GatewayDialogue(self)
        )
        self.negotiator = Negotiator(
            self, self.informational, spis, lambda: self.dialogue.permitted
        )
        self._initiator: AggressiveInitiator | None = None
        self._responder: AggressiveResponder | None = None
        self._question = b""  # the message that waits for SKEYID
        self._pending: tuple[ChosenIke, bytes, Chain, Path] | None = None
        self._doubt = ""
        self._unproved = b""  # the cookies of an answer that was not made with our key
        self._disputed = False
        self._complaints: list[LogEvent] = []

    # --- what others may know ----------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return self.timers.deadline

    @property
    def over(self) -> bool:
        return self.phase is Phase.OVER

    @property
    def initiator(self) -> bool:
        return self.settings.role is Role.INITIATOR

    @property
    def path(self) -> Path:
        return self.channel.path

    @property
    def half_open(self) -> bool:
        """Whether the peer has not yet proved that it knows the key."""
        return self.phase in (Phase.CALLED, Phase.KEYING, Phase.PROVING)

    @property
    def encapsulated(self) -> bool:
        """Whether ESP travels in UDP."""
        return self.version is not None and (self.nat.found or self.settings.force_encapsulation)

    @property
    def _disguised(self) -> bool:
        """Whether the peer must be made to see a NAT; our own kind encapsulates by itself."""
        return self.settings.force_encapsulation and "culvert" not in self.features

    @property
    def mode(self) -> int:
        """The encapsulation mode phase 2 speaks of."""
        if self.version is not None and self.encapsulated:
            return self.version.mode
        return natt.TUNNEL

    @property
    def rng(self) -> Random:
        return self._rng

    # --- entries -----------------------------------------------------------------------------

    def connect(self, *, now: float) -> list[Output]:
        """Initiator: begin."""
        if not self.initiator or self._initiator is not None:
            raise MisuseError("connect is for an initiator, once")
        self._initiator = AggressiveInitiator(self.settings, self._rng)
        self.channel.log("ike.phase1-started", peer=text(self.path.remote), mode="aggressive")
        offered = (
            "xauth",
            *(NATT_OFFERED if self.settings.natt else ()),
            "dpd",
            "unity",
            "culvert",
        )
        octets = self.channel.send_clear(
            wire.AGGRESSIVE, (*self._initiator.first(), *vendor.announcing(offered))
        )
        self._wait_for_answer(0, octets, "no-answer", now)
        return self._done()

    def receive(self, octets: bytes, header: Header, path: Path, *, now: float) -> list[Output]:
        """One datagram for this SA. Raises ProtocolError, and changes nothing, for one that is
        malformed, out of place or not genuine."""
        if self.over:
            return []
        if self.channel.answers.known(octets):
            again = self.channel.answers.again(octets, now=now)
            if again is not None:
                self.channel.log("ike.duplicate-answered", peer=text(path.remote))
                self.channel.send_again(again, path)
            return self._done()
        try:
            fresh = self._dispatch(octets, header, path, now)
        except ProtocolError:
            self.channel.out.clear()
            raise
        if fresh and self.initiator:
            self.channel.answered(0)
        if fresh and not self.over:
            self._came_from(path)
            self.informational.heard(now)
        return self._done()

    def step(self, given: Input, *, now: float) -> list[Output]:
        """The answer to something asked. Late answers, after the end, are dropped."""
        if self.over:
            return []
        match given:
            case GroupKey():
                self._keyed(given, now)
            case Verdict() | PersonAnswer() | Configuration():
                self.dialogue.step(given, now)
        return self._done()

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
            if self.channel.keyed and not self.half_open:
                self.informational.delete_everything(words)
            self.end(reason, now=now)
        return self._done()

    def heard(self, *, now: float, streaming: bool = False) -> None:
        """The data path heard authentic packets of this peer; ``streaming``: ever more of them."""
        self.informational.heard(now, streaming=streaming)

    def moved(self, path: Path) -> list[Output]:
        """The data path saw an authentic packet come from elsewhere."""
        if not self.over:
            self._came_from(path)
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
        self.phase = Phase.OVER
        self.channel.stop_repeating()
        self.timers.stop_all()
        self.channel.log("ike.over", reason=reason, by_peer=by_peer)
        said = told or Reason()
        self.channel.out.append(Over(reason, by_peer, detail, said.code, said.ending))

    def remove_pair(self, number: int) -> None:
        pair = self.pairs.drop(number)
        if pair is not None:
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

    def _wait_for_answer(self, message_id: int, octets: bytes, reason: str, now: float) -> None:
        self.channel.expect_answer(
            message_id,
            octets,
            patience=self.settings.timing.answer_patience,
            otherwise=reason,
            now=now,
        )

    def _done(self) -> list[Output]:
        made, self.channel.out = self.channel.out, []
        return made

    # --- what came ---------------------------------------------------------------------------

    def _dispatch(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        """Handle one message; true if it was genuine and new."""
        match header.exchange:
            case wire.AGGRESSIVE:
                return self._aggressive(octets, header, path, now)
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
        if self.half_open or self.phase is Phase.CALLING:
            raise UnexpectedMessage("before phase 1 is over")
        if not header.encrypted:
            raise UnexpectedMessage("in clear, after phase 1")

    def _aggressive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        match self.phase:
            case Phase.CALLED:
                return self._first(octets, header, now)
            case Phase.CALLING:
                return self._second(octets, header, path)
            case Phase.PROVING:
                return self._third(octets, header, path, now)
            case _:
                raise UnexpectedMessage(f"aggressive mode while {self.phase.value}")

    # --- aggressive mode, called -------------------------------------------------------------

    def _first(self, octets: bytes, header: Header, now: float) -> bool:
        self.channel.cookie_r = _cookie(self._rng)
        parts = self.channel.read_clear(octets, header)
        AGGRESSIVE[0].check(parts)
        self._responder = AggressiveResponder(self.settings, self._rng)
        try:
            chosen, who = self._responder.first(parts, self.channel.cookies)
        except NegotiationError as error:
            self._know_peer(parts)
            ours = ", ".join(suite.name for suite in self.settings.phase1)
            self.tell_differences(1, error.comparisons, ours)
            refusal = Notify(error.notify, PROTO_ISAKMP).part()
            self.channel.send_clear(wire.INFORMATIONAL, (refusal,))
            self.end("proposal-refused", now=now)
            return False
        self.chosen, self.identity = chosen, who
        self._know_peer(parts)
        self._check_size(octets, chosen)
        self.channel.log("ike.phase1-started", peer=text(self.path.remote), mode="aggressive")
        self.channel.log(
            "ike.proposal-chosen", phase=1, suite=chosen.suite.name, number=chosen.transform.number
        )
        self.phase = Phase.KEYING
        self._question = octets
        self.timers.set("half-open", now + self.settings.timing.half_open_patience)
        made = self._responder.exchanged
        self.channel.out.append(
            AskGroupKey(who, chosen.suite.hash.name, made.nonce_i, made.nonce_r)
        )
        self.channel.answers.keep(octets, None, now=now)
        return False

    def _check_size(self, question: bytes, chosen: ChosenIke) -> None:
        """Raises UnexpectedMessage for a question so small that its answer could serve to flood
        whoever stands in its source address. No real client's is."""
        detection = 2 * (GENERIC_HEADER + chosen.suite.hash.octets) if self.version else 0
        least = (self._responder.octets(chosen) if self._responder else 0) + detection
        if least > len(question) + ALLOWANCE:
            raise UnexpectedMessage(
                f"{len(question)} octets that would take an answer of {least}: too large a favour"
            )

    def _answer_first(self, skeyid: bytes) -> None:
        responder, chosen = self._responder, self.chosen
        if responder is None or chosen is None:
            raise MisuseError("no question is open")
        parts, keys = responder.second(chosen, skeyid)
        self.channel.use(keys)
        extras: Chain = ()
        if self.version is not None:
            extras = natt.detection(
                self.version,
                chosen.suite.hash.name,
                self.channel.cookies,
                self.path.remote,
                self.path.local,
                disguise=self._disguised,
            )
        octets = self.channel.send_clear(
            wire.AGGRESSIVE,
            _no_larger((*parts, *extras), vendor.announcing(self._in_answer()), self._question),
        )
        self.channel.answers.amend(self._question, octets)
        self.phase = Phase.PROVING

    def _in_answer(self) -> tuple[str, ...]:
        """The vendor ids of message 2, the least missed last: only what the peer has too."""
        named = (
            ("xauth", "xauth" in self.features),
            (self.version.feature if self.version else "", self.version is not None),
            ("unity", "unity" in self.features),
            ("dpd", "dpd" in self.features),
            ("culvert", "culvert" in self.features),
        )
        return tuple(name for name, present in named if present)

    def _third(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        responder, chosen = self._responder, self.chosen
        if responder is None or chosen is None:
            raise MisuseError("no question is open")
        if header.encrypted:
            parts = self.channel.read_sealed(octets, header).parts
        else:
            parts = self.channel.read_clear(octets, header)
        AGGRESSIVE[2].check(parts)
        try:
            check_hash(parts, responder.exchanged.hash_i(self.channel.keys), "HASH_I")
        except IntegrityError:
            self._mismatch(text(path.remote))
            raise
        if not self.group:
            # A decoy key cannot be proved; this is a bug of whoever derived it.
            raise MisuseError("a key without a group was proved")
        self.channel.accept(octets, header)
        if header.encrypted:
            self.channel.note_received(header, parts)
        self._find_nat(parts, path)
        self._initial_contact = any(
            Notify.parse(part).kind == INITIAL_CONTACT for part in of_kind(parts, NOTIFY)
        )
        self.channel.answers.keep(octets, None, now=now)
        self._established(chosen, now)
        return True

    def _mismatch(self, peer: str) -> None:
        self._disputed = True
        code = "ike.group-key-mismatch" if self.group else "ike.group-unknown"
        name = self.group or str(self.identity)
        self._complaints.append(LogEvent(code, {"group": name, "peer": peer}))

    def complaints(self) -> list[LogEvent]:
        """What a refused message has to tell; the message itself did not happen."""
        told, self._complaints = self._complaints, []
        return told

    # --- aggressive mode, calling ------------------------------------------------------------

    def _second(self, octets: bytes, header: Header, path: Path) -> bool:
        initiator = self._initiator
        if initiator is None or self._pending is not None:
            raise UnexpectedMessage("an answer to nothing asked")
        if header.encrypted or header.cookie_r == wire.NO_COOKIE:
            raise UnexpectedMessage("no answer to message 1")
        parts = self.channel.read_clear(octets, header)
        AGGRESSIVE[1].check(parts)
        cookies = header.cookie_i + header.cookie_r
        chosen, who, shared = initiator.second(parts, cookies)
        self._pending = (chosen, shared, parts, path)
        self._question = octets
        self.identity = who
        made = initiator.exchanged
        self.channel.out.append(
            AskGroupKey(self.settings.identity, chosen.suite.hash.name, made.nonce_i, made.nonce_r)
        )
        return False

    def _prove(self, skeyid: bytes, now: float) -> None:
        initiator, pending = self._initiator, self._pending
        if initiator is None or pending is None:
            raise MisuseError("no question is open")
        self._pending = None
        chosen, shared, parts, path = pending
        made = initiator.exchanged
        keys = made.keys(chosen.suite, skeyid, shared)
        try:
            check_hash(parts, made.hash_r(keys), "HASH_R")
        except IntegrityError:
            # Either the keys differ, or somebody else answered: a genuine answer may still come.
            peer = text(self.path.remote)
            self.channel.log("ike.group-key-mismatch", group=str(self.settings.identity), peer=peer)
            self._unproved = made.cookies
            self.doubt("group-mismatch", now)
            return
        self.timers.stop("doubt")
        self.channel.cookie_r = made.cookies[8:]
        self.channel.use(keys)
        self._know_peer(parts)
        self.chosen = chosen
        self.channel.log(
            "ike.proposal-chosen", phase=1, suite=chosen.suite.name, number=chosen.transform.number
        )
        # The socket knows our address only now that something came in on it.
        self.channel.path = path
        self._find_nat(parts, path)
        if self.encapsulated and not self.path.encapsulated:
            self._float()
        self._send_third(chosen, keys_hash=made.hash_i(keys), now=now)
        self._established(chosen, now)

    def _send_third(self, chosen: ChosenIke, *, keys_hash: bytes, now: float) -> None:
        extras: Chain = ()
        if self.version is not None:
            extras = natt.detection(
                self.version,
                chosen.suite.hash.name,
                self.channel.cookies,
                self.path.remote,
                self.path.local,
                disguise=self._disguised,
            )
        contact = Notify(INITIAL_CONTACT, PROTO_ISAKMP, self.channel.cookies).part()
        octets = self.channel.send_sealed(wire.AGGRESSIVE, 0, (*extras, contact), hashed=keys_hash)
        self.channel.answers.keep(self._question, octets, now=now)
        # Nobody answers message 3; it is repeated until the peer is heard encrypted.
        self._wait_for_answer(0, octets, "no-answer", now)

    def _float(self) -> None:
        """RFC 3947 §4: from here on both ends use the NAT-T port."""
        self.channel.path = Path(
            (self.path.local[0], self._natt_port),
            (self.path.remote[0], natt.NATT_PORT),
            encapsulated=True,
        )

    # --- both ends ---------------------------------------------------------------------------

    def _keyed(self, key: GroupKey, now: float) -> None:
        if self.phase is Phase.KEYING:
            self.group = key.group
            self.settings = key.settings or self.settings
            if not key.group:
                peer = text(self.path.remote)
                self.channel.log("ike.group-unknown", group=str(self.identity), peer=peer)
            self._answer_first(key.skeyid)
        elif self.phase is Phase.CALLING and self._pending is not None:
            self.group = key.group
            self._prove(key.skeyid, now)

    def _know_peer(self, parts: Chain) -> None:
        self.features = vendor.features(parts)
        if self.settings.natt:
            self.version = natt.best(self.features)
        for part in of_kind(parts, VENDOR_ID):
            row = vendor.recognise(part.body)
            name = row.name if row else "unknown"
            self.channel.log("ike.vendor-id", hex=part.body.hex().upper()[:128], name=name)
        for feature in sorted(self.features):
            self.channel.log("ike.peer-supports", feature=feature)

    def _find_nat(self, parts: Chain, path: Path) -> None:
        if self.version is None or self.chosen is None:
            return
        found = natt.detect(
            parts,
            self.version,
            self.chosen.suite.hash.name,
            self.channel.cookies,
            path.local,
            path.remote,
        )
        if found is not None:
            # What we falsified ourselves is no NAT of ours.
            self.nat = found

    def _established(self, chosen: ChosenIke, now: float) -> None:
        self.channel.finish_phase1()
        self.timers.stop("half-open")
        self.timers.stop("doubt")
        if not self.initiator:
            self.channel.answered(0)
        life = chosen.lifetime.shorter(self.settings.phase1_life).seconds
        self.timers.set("life", now + life)
        authentication: Authentication = chosen.suite.authentication
        self.channel.log(
            "ike.phase1-established",
            peer=text(self.path.remote),
            suite=chosen.suite.name,
            authentication=authentication.label,
            life_seconds=life,
        )
        self._tell_nat()
        for why in chosen.suite.weak:
            self.channel.log("ike.weak", what=chosen.suite.name, why=why)
        if self._initial_contact:
            self.channel.log("ike.initial-contact", peer=text(self.path.remote))
        self.phase = Phase.PERSON if authentication.xauth else Phase.CONFIG
        self.informational.begin(now)
        if self.identity is not None:
            self.channel.out.append(
                Authenticated(chosen.suite, self.identity, self._initial_contact)
            )
        self.dialogue.begin(now)

    def _tell_nat(self) -> None:
        self.channel.log("ike.nat-detected", local=self.nat.local, remote=self.nat.remote)
        if self.encapsulated and self.version is not None:
            port = self.path.remote[1]
            self.channel.log("ike.natt-negotiated", version=self.version.feature, port=port)
        elif self.nat.found:
            self.channel.log("ike.natt-missing")

    def _came_from(self, path: Path) -> None:
        """An authentic, fresh message: RFC 3947 §7, both IKE and ESP follow the peer."""
        if path == self.channel.path:
            return
        old = self.channel.path
        self.channel.path = path
        self.channel.log("ike.peer-moved", old=text(old.remote), new=text(path.remote))
        self.channel.out.append(Moved(path))

    def doubt(self, reason: str, now: float) -> None:
        """Something unauthentic says it failed: true unless disproved soon."""
        if not self.timers.running("doubt"):
            self._doubt = reason
            self.timers.set("doubt", now + DOUBT)

    def disputed(self) -> None:
        """The caller says that our proof was not made with its key. Anybody may say so: it only
        names the cause should no proof come."""
        if not self._disputed and self.group:
            peer = text(self.path.remote)
            self.channel.log("ike.group-key-mismatch", group=self.group, peer=peer)
        self._disputed = True

    # --- what is due -------------------------------------------------------------------------

    def _due(self, name: Name, now: float) -> None:
        kind, number = name
        match kind:
            case "repeat":
                self._repeat(number, now)
            case "doubt":
                if self._unproved:
                    self.channel.cookie_r = self._unproved[8:]
                    self.informational.dispute(self._unproved)
                self.end(self._doubt, now=now)
            case "half-open":
                self._half_open_over(now)
            case "life":
                self.informational.delete_everything(Reason(code=3, ending="lifetime-expired"))
                self.end("lifetime-expired", now=now)
            case "keepalive":
                self.channel.out.append(SendKeepalive(self.path))
                self.timers.set("keepalive", now + self.settings.timing.keepalive)
            case "liveness":
                self.informational.tick(now)
            case "xauth" | "person":
                self.dialogue.tick(kind, now)
            case _:
                self.negotiator.tick(kind, number, now)

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
        if self.channel.keyed and not self.half_open:
            # The peer may hear what we do not hear of it.
            self.informational.delete_everything(Reason(code=1, ending=reason))
        self.end(reason, now=now)

    def _half_open_over(self, now: float) -> None:
        """Nobody proved the key, either because theirs differs or because nothing came through."""
        if self.phase is not Phase.PROVING:
            self.end("half-open-timeout", now=now)
        elif not self.group:
            self.end("group-mismatch", now=now, detail=f"there is no group {self.identity}")
        elif self._disputed:
            detail = f"the caller's key is not that of group {self.group}"
            self.end("group-mismatch", now=now, detail=detail)
        else:
            peer = text(self.path.remote)
            self.channel.log("ike.proof-missing", group=self.group, peer=peer)
            detail = f"no proof of the key of group {self.group} came"
            self.end("half-open-timeout", now=now, detail=detail)


def _cookie(rng: Random) -> bytes:
    drawn = rng.octets(8)
    return drawn if drawn != wire.NO_COOKIE else _cookie(rng)


def _no_larger(parts: Chain, extras: Chain, question: bytes) -> Chain:
    """Leave out vendor ids, the last first, until the answer is at most `ALLOWANCE` octets larger
    than the question: an answer to a stranger must not be worth an attack."""
    octets = wire.OCTETS + sum(len(part.body) + 4 for part in parts)
    kept = 0
    for part in extras:
        octets += len(part.body) + 4
        if octets > len(question) + ALLOWANCE:
            break
        kept += 1
    return (*parts, *extras[:kept])
