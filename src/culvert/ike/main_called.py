"""Main mode when we are called (RFC 2409 §5.1, §5.4, identity protection).

    called ── 1 ──> offered (2 goes) ── 3 ──> keying ── SKEYID (4 goes) ──> proving
           ── 5 ──> judging ── proved, and our proof made ──> 6 goes

A pre-shared key is chosen by the caller's address, because SKEYID is needed before the caller
names itself. Nothing is computed for a stranger before message 3 came back to the cookie of
message 2.
"""

from __future__ import annotations

from culvert.crypto.dh import check_public, key_pair
from culvert.errors import (
    IntegrityError,
    MisuseError,
    NegotiationError,
    UnexpectedMessage,
    WireError,
)
from culvert.ike.called import ALLOWANCE, Called, no_larger
from culvert.ike.exchanged import NONCE_OCTETS, Exchanged, check_nonce
from culvert.ike.outputs import AskGroupKey, CertificateVerdict, GroupKey, KnownGroup
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import new_cookie
from culvert.ike.proofs import Task
from culvert.ike.proposal import choose_ike, compare_ike
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


class MainCalled(Called):
    exchange = "main"

    def __init__(self, owner: Owner, settings: Settings, rng: Random) -> None:
        super().__init__(owner, settings, rng)
        self._made = Exchanged()

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        match self._owner.phase:
            case Phase.CALLED:
                return self._first(octets, header, now)
            case Phase.OFFERED:
                return self._third(octets, header, path, now)
            case Phase.PROVING:
                return self._fifth(octets, header, path, now)
            case phase:
                raise UnexpectedMessage(f"main mode while {phase.value}")

    # --- messages 1 and 2: proposals ---------------------------------------------------------

    def _first(self, octets: bytes, header: Header, now: float) -> bool:
        channel = self._owner.channel
        channel.cookie_r = new_cookie(self._rng, self.settings.share)
        parts = channel.read_clear(octets, header)
        MAIN[0].check(parts)
        self._know_peer(parts)
        body = must(parts, SA)
        offered = SecurityAssociation.parse(body)
        accepted = self.settings.accepted(self.exchange)
        chosen = choose_ike(offered, accepted)
        if chosen is None:
            differences = compare_ike(offered, accepted)
            self._refuse(NegotiationError("no common proposal", differences), now)
            return False
        self._begin(chosen, now)
        self.proofs.note_requests(parts)
        self._made.cookies = channel.cookies
        self._made.sa_i = body.body
        answer = (Part(SA, chosen.answer().to_bytes()),)
        sent = channel.send_clear(
            wire.IDENTITY_PROTECTION,
            no_larger(answer, self._announced(), len(octets) + ALLOWANCE),
        )
        channel.answers.keep(octets, sent, now=now)
        self._owner.phase = Phase.OFFERED
        return False

    # --- messages 3 and 4: key exchange ------------------------------------------------------

    def _third(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        if self.chosen is None:
            raise MisuseError("nothing was chosen")
        channel = self._owner.channel
        parts = channel.read_clear(octets, header)
        MAIN[2].check(parts)
        public, nonce = must(parts, KE), must(parts, NONCE)
        check_nonce(nonce.body)
        check_public(self.chosen.suite.group.number, public.body)
        made = self._made
        made.public_i, made.nonce_i = public.body, nonce.body
        made.nonce_r = self._rng.octets(NONCE_OCTETS)
        self._find_nat(parts, path)
        self.proofs.note_requests(parts)
        self._question = octets
        channel.answers.keep(octets, None, now=now)
        self._owner.phase = Phase.KEYING
        if self.way.skeyid == "psk":
            self.identity = Identity.of_address(path.remote[0])
            hash_name = self.chosen.suite.hash.name
            channel.out.append(AskGroupKey(self.identity, hash_name, made.nonce_i, made.nonce_r))
        else:
            self._exchange(b"")
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        if self._owner.phase is Phase.KEYING:
            self._narrow(key.group, key.settings)
            self._exchange(key.skeyid)

    def _exchange(self, skeyid: bytes) -> None:
        if self.chosen is None:
            raise MisuseError("nothing was chosen")
        channel, made = self._owner.channel, self._made
        pair = key_pair(self.chosen.suite.group.number, self._rng)
        made.public_r = pair.public
        channel.use(made.keys(self.chosen.suite, pair.shared(made.public_i), skeyid))
        parts = (
            Part(KE, made.public_r),
            Part(NONCE, made.nonce_r),
            *self._detection(self._owner.path),
        )
        most = len(self._question) + ALLOWANCE
        sent = channel.send_clear(
            wire.IDENTITY_PROTECTION, no_larger(parts, self._requests(), most)
        )
        channel.answers.amend(self._question, sent)
        self._owner.phase = Phase.PROVING

    # --- messages 5 and 6: proofs ------------------------------------------------------------

    def _fifth(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel, made = self._owner.channel, self._made
        if not header.encrypted:
            raise UnexpectedMessage("message 5 of main mode in clear")

        def judged(verdict: CertificateVerdict, at: float) -> None:
            channel.accept(octets, header)
            channel.note_received(header, parts)
            self.identity = identity
            self._judged(parts, path, verdict, at)

        self._question, before = octets, self._question
        self._owner.phase = Phase.JUDGING
        try:
            parts = channel.read_sealed(octets, header).parts
            MAIN[4].check(parts)
            named = must(parts, IDENTITY)
            made.id_i = named.body
            identity = Identity.parse(named)
            task = Task(self.way.proof_i, "HASH_I", made.hash_i(channel.keys), made.cookies)
            self.proofs.check(task, parts, identity, judged, now=now)
        except (IntegrityError, WireError, UnexpectedMessage):
            # A wrong key makes anything at all of an encrypted message.
            self._question = before
            self._owner.phase = Phase.PROVING
            self._mismatch(text(path.remote), text(path.remote))
            raise
        if not channel.answers.known(octets):
            channel.answers.keep(octets, None, now=now)
        return not self._owner.in_phase1

    def _judged(self, parts: Chain, path: Path, verdict: CertificateVerdict, now: float) -> None:
        self._proved_by_key()
        if not verdict.accepted:
            self._reject(verdict, now)
            return
        self.proofs.note_requests(parts)
        self._note_contact(parts)
        self._owner.came_from(path)
        self._certified(verdict)
        if self.way.name == "hybrid" and self.identity is not None:
            self._ask_group(self.identity)
        else:
            self._answer_proof(now)

    def grouped(self, known: KnownGroup, now: float) -> None:
        if self._owner.phase is Phase.JUDGING:
            self._narrow(known.group, known.settings)
            self._unknown_group(str(self.identity))
            self._answer_proof(now)

    def _answer_proof(self, now: float) -> None:
        channel, made = self._owner.channel, self._made
        made.id_r = self.settings.identity.to_bytes()
        task = Task(self.way.proof_r, "HASH_R", made.hash_r(channel.keys), made.cookies)
        self.proofs.make(task, self._sixth, now=now)

    def _sixth(self, proof: Chain, now: float) -> None:
        channel = self._owner.channel
        parts: Chain = (Part(IDENTITY, self._made.id_r), *proof)
        sent = channel.send_sealed(wire.IDENTITY_PROTECTION, 0, parts, hashed=b"")
        channel.answers.keep(self._question, sent, now=now)
        self._established(now)

    # --- what nobody proved ------------------------------------------------------------------

    def disputed(self) -> None:
        self._disputed = True

    def _no_group(self) -> str:
        return "main mode has no group for this caller"
