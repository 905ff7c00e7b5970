"""Main mode when we call (RFC 2409 §5.1, §5.4, identity protection).

    calling ── 2 (3 goes) ──> exchanging ── 4, SKEYID (5 goes) ──> proving ── 6 ──> phase 1 stands

Unlike aggressive mode it names nobody before the channel is encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass

from culvert.crypto.dh import KeyPair, key_pair
from culvert.errors import MisuseError, NegotiationError, UnexpectedMessage
from culvert.ike.calling import Calling
from culvert.ike.exchanged import NONCE_OCTETS, Exchanged, check_nonce
from culvert.ike.identified import resolved
from culvert.ike.outputs import AskGroupKey, CertificateVerdict, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.proofs import Task
from culvert.ike.proposal import choose_ike, offer_ike
from culvert.ike.script import MAIN
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import ID as IDENTITY
from culvert.ike.wire.payload import KE, NONCE, SA, Chain, Part, must
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.inet.address import Path, text
from culvert.rng import Random


@dataclass(frozen=True, slots=True)
class _Sixth:
    """Message 6, while its proof is looked at."""

    octets: bytes
    header: Header
    parts: Chain
    path: Path


class MainCalling(Calling):
    exchange = "main"

    def __init__(self, owner: Owner, settings: Settings, rng: Random, natt_port: int) -> None:
        super().__init__(owner, settings, rng, natt_port)
        self._made = Exchanged()
        self._pair: KeyPair | None = None
        self._shared = b""

    def begin(self, now: float) -> None:
        channel = self._owner.channel
        channel.log("ike.phase1-started", peer=text(channel.path.remote), mode=self.exchange)
        self._tell_offer(len(self.settings.phase1))
        sa = offer_ike(self.settings.phase1, self.settings.phase1_life.seconds).to_bytes()
        self._made.sa_i = sa
        octets = channel.send_clear(wire.IDENTITY_PROTECTION, (Part(SA, sa), *self._announced()))
        self._owner.wait_for_answer(0, octets, "no-answer", now)

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        if header.cookie_r == wire.NO_COOKIE:
            raise UnexpectedMessage("no answer to message 1")
        match self._owner.phase:
            case Phase.CALLING:
                return self._second(octets, header, path, now)
            case Phase.OFFERED:
                return self._fourth(octets, header, path, now)
            case Phase.PROVING:
                return self._sixth(octets, header, path, now)
            case phase:
                raise UnexpectedMessage(f"main mode while {phase.value}")

    # --- messages 2 and 3 --------------------------------------------------------------------

    def _second(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel = self._owner.channel
        parts = channel.read_clear(octets, header)
        MAIN[1].check(parts)
        chosen = choose_ike(SecurityAssociation.parse(must(parts, SA)), self.settings.phase1)
        if chosen is None:
            raise NegotiationError("the gateway chose a proposal that was not offered")
        channel.cookie_r = header.cookie_r
        channel.path = path
        made = self._made
        made.cookies = channel.cookies
        self._know_peer(parts)
        self.proofs.note_requests(parts)
        self._choose(chosen)
        self._pair = key_pair(chosen.suite.group.number, self._rng)
        made.public_i = self._pair.public
        made.nonce_i = self._rng.octets(NONCE_OCTETS)
        answer: Chain = (
            Part(KE, made.public_i),
            Part(NONCE, made.nonce_i),
            *self._requests(self.way),
            *self._detection(path),
        )
        self._owner.timers.stop("doubt")
        sent = channel.send_clear(wire.IDENTITY_PROTECTION, answer)
        channel.answers.keep(octets, sent, now=now)
        self._owner.wait_for_answer(0, sent, "no-answer", now)
        self._owner.phase = Phase.OFFERED
        return False

    # --- messages 4 and 5 --------------------------------------------------------------------

    def _fourth(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        if self._pair is None or self.chosen is None:
            raise MisuseError("no key pair in main mode")
        if self._question:
            raise UnexpectedMessage("message 4 came already")
        channel, made = self._owner.channel, self._made
        parts = channel.read_clear(octets, header)
        MAIN[3].check(parts)
        nonce = must(parts, NONCE)
        check_nonce(nonce.body)
        public = must(parts, KE)
        self._shared = self._pair.shared(public.body)
        made.public_r, made.nonce_r = public.body, nonce.body
        self._find_nat(parts, path)
        self.proofs.note_requests(parts)
        self._question = octets
        if self.way.skeyid == "psk":
            hash_name = self.chosen.suite.hash.name
            channel.out.append(
                AskGroupKey(self.settings.identity, hash_name, made.nonce_i, made.nonce_r)
            )
        else:
            self._go_encrypted(b"", now)
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        if self._question and self._owner.phase is Phase.OFFERED:
            self.group = key.group
            self._go_encrypted(key.skeyid, now)

    def _go_encrypted(self, skeyid: bytes, now: float) -> None:
        if self.chosen is None:
            raise MisuseError("nothing was chosen")
        channel, made = self._owner.channel, self._made
        channel.use(made.keys(self.chosen.suite, self._shared, skeyid))
        self._float()
        own = resolved(self.settings.identity, channel.path.local[0])
        if self.way.skeyid == "psk" and not self.settings.named:
            # In main mode a pre-shared key belongs to an address (RFC 2409 §5.4).
            own = Identity.of_address(channel.path.local[0])
        made.id_i = own.to_bytes()
        task = Task(self.way.proof_i, "HASH_I", made.hash_i(channel.keys), made.cookies)
        self.proofs.make(task, self._prove, now=now)

    def _prove(self, proof: Chain, now: float) -> None:
        channel = self._owner.channel
        parts: Chain = (Part(IDENTITY, self._made.id_i), *proof, *self._contact())
        sent = channel.send_sealed(wire.IDENTITY_PROTECTION, 0, parts, hashed=b"")
        channel.answers.keep(self._question, sent, now=now)
        # Whoever has another key cannot read message 5 and stays silent.
        silence = "group-mismatch" if self.way.skeyid == "psk" else "no-answer"
        self._owner.wait_for_answer(0, sent, silence, now)
        self._owner.phase = Phase.PROVING

    # --- message 6 ---------------------------------------------------------------------------

    def _sixth(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel, made = self._owner.channel, self._made
        if not header.encrypted:
            raise UnexpectedMessage("message 6 of main mode in clear")
        parts = channel.read_sealed(octets, header).parts
        MAIN[5].check(parts)
        named = must(parts, IDENTITY)
        made.id_r = named.body
        identity = Identity.parse(named)
        message = _Sixth(octets, header, parts, path)
        task = Task(self.way.proof_r, "HASH_R", made.hash_r(channel.keys), made.cookies)

        def judged(verdict: CertificateVerdict, at: float) -> None:
            self._judged(message, identity, self._identified(identity, verdict, path), at)

        self._owner.phase = Phase.JUDGING
        try:
            self.proofs.check(task, parts, identity, judged, now=now)
        finally:
            if self._owner.phase is Phase.JUDGING and not self.proofs.waiting:
                self._owner.phase = Phase.PROVING
        channel.answered(0)
        channel.answers.keep(octets, None, now=now)
        return not self._owner.in_phase1

    def _judged(
        self, message: _Sixth, identity: Identity, verdict: CertificateVerdict, now: float
    ) -> None:
        channel = self._owner.channel
        channel.accept(message.octets, message.header)
        channel.note_received(message.header, message.parts)
        self.identity = identity
        if not verdict.accepted:
            self._reject(verdict, now)
            return
        self.name = verdict.name
        self._owner.came_from(message.path)
        self._established(now)
