"""Main mode with a pre-shared key when we are called (RFC 2409 §5.4, identity protection).

    called ── 1 ──> offered (2 goes) ── 3 ──> keying ── SKEYID (4 goes) ──> proving ── 5 ──> 6 goes

The key is chosen by the caller's address, because SKEYID is needed before the caller names itself.
Nothing is computed for a stranger before message 3 came back to the cookie of message 2.
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
from culvert.eventlog.event import LogEvent
from culvert.ike import vendor
from culvert.ike.aggressive import NONCE_OCTETS, Exchanged, check_hash, check_nonce
from culvert.ike.called import no_larger
from culvert.ike.outputs import AskGroupKey, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import Phase1, new_cookie
from culvert.ike.proposal import choose_ike, compare_ike
from culvert.ike.script import MAIN
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import HASH, KE, NONCE, NOTIFY, SA, Chain, Part, must, of_kind
from culvert.ike.wire.payload import ID as IDENTITY
from culvert.ike.wire.proposal import PROTO_ISAKMP, SecurityAssociation
from culvert.inet.address import Path, text
from culvert.rng import Random


class MainCalled(Phase1):
    def __init__(self, owner: Owner, settings: Settings, rng: Random) -> None:
        super().__init__(owner, settings)
        self._rng = rng
        self._made = Exchanged()
        self._disputed = False

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
        owner, channel = self._owner, self._owner.channel
        channel.cookie_r = new_cookie(self._rng)
        parts = channel.read_clear(octets, header)
        MAIN[0].check(parts)
        self._know_peer(parts)
        body = must(parts, SA)
        offered = SecurityAssociation.parse(body)
        chosen = choose_ike(offered, self.settings.phase1)
        if chosen is None:
            ours = ", ".join(suite.name for suite in self.settings.phase1)
            owner.tell_differences(1, compare_ike(offered, self.settings.phase1), ours)
            refusal = Notify(NegotiationError.notify, PROTO_ISAKMP).part()
            channel.send_clear(wire.INFORMATIONAL, (refusal,))
            owner.end("proposal-refused", now=now)
            return False
        channel.log("ike.phase1-started", peer=text(owner.path.remote), mode="main")
        self._choose(chosen)
        self._made.cookies = channel.cookies
        self._made.sa_i = body.body
        owner.timers.set("half-open", now + self.settings.timing.half_open_patience)
        answer = (Part(SA, chosen.answer().to_bytes()),)
        announced = vendor.announcing(self._in_answer())
        sent = channel.send_clear(wire.IDENTITY_PROTECTION, no_larger(answer, announced, octets))
        channel.answers.keep(octets, sent, now=now)
        owner.phase = Phase.OFFERED
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
        self.identity = Identity.of_address(path.remote[0])
        self._question = octets
        channel.answers.keep(octets, None, now=now)
        self._owner.phase = Phase.KEYING
        hash_name = self.chosen.suite.hash.name
        channel.out.append(AskGroupKey(self.identity, hash_name, made.nonce_i, made.nonce_r))
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        if self._owner.phase is not Phase.KEYING or self.chosen is None:
            return
        self.group = key.group
        self.settings = key.settings or self.settings
        channel, made = self._owner.channel, self._made
        pair = key_pair(self.chosen.suite.group.number, self._rng)
        made.public_r = pair.public
        channel.use(made.keys(self.chosen.suite, key.skeyid, pair.shared(made.public_i)))
        parts = (
            Part(KE, made.public_r),
            Part(NONCE, made.nonce_r),
            *self._detection(self._owner.path),
        )
        sent = channel.send_clear(wire.IDENTITY_PROTECTION, parts)
        channel.answers.amend(self._question, sent)
        self._owner.phase = Phase.PROVING

    # --- messages 5 and 6: proofs ------------------------------------------------------------

    def _fifth(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel, made = self._owner.channel, self._made
        if not header.encrypted:
            raise UnexpectedMessage("message 5 of main mode in clear")
        try:
            parts = channel.read_sealed(octets, header).parts
            MAIN[4].check(parts)
            named = must(parts, IDENTITY)
            made.id_i = named.body
            check_hash(parts, made.hash_i(channel.keys), "HASH_I")
        except (IntegrityError, WireError, UnexpectedMessage):
            # A wrong key makes anything at all of an encrypted message.
            self._mismatch(text(path.remote))
            raise
        if not self.group:
            raise MisuseError("a key without a group was proved")
        channel.accept(octets, header)
        channel.note_received(header, parts)
        self.identity = Identity.parse(named)
        self.initial_contact = any(
            Notify.parse(part).kind == INITIAL_CONTACT for part in of_kind(parts, NOTIFY)
        )
        self._owner.came_from(path)
        self._answer_proof(octets, now)
        self._established(now)
        return True

    def _answer_proof(self, question: bytes, now: float) -> None:
        channel, made = self._owner.channel, self._made
        own = self.settings.identity.part()
        made.id_r = own.body
        parts: Chain = (own, Part(HASH, made.hash_r(channel.keys)))
        sent = channel.send_sealed(wire.IDENTITY_PROTECTION, 0, parts, hashed=b"")
        channel.answers.keep(question, sent, now=now)

    def _mismatch(self, peer: str) -> None:
        self._disputed = True
        code = "ike.group-key-mismatch" if self.group else "ike.group-unknown"
        name = self.group or peer
        self._complaints.append(LogEvent(code, {"group": name, "peer": peer}))

    def disputed(self) -> None:
        self._disputed = True

    def half_open_over(self, now: float) -> None:
        """Nobody proved the key."""
        owner = self._owner
        if owner.phase is not Phase.PROVING:
            owner.end("half-open-timeout", now=now)
        elif not self.group:
            owner.end("group-mismatch", now=now, detail="main mode has no group for this caller")
        elif self._disputed:
            detail = f"the caller's key is not that of group {self.group}"
            owner.end("group-mismatch", now=now, detail=detail)
        else:
            peer = text(owner.path.remote)
            owner.channel.log("ike.proof-missing", group=self.group, peer=peer)
            detail = f"no proof of the key of group {self.group} came"
            owner.end("half-open-timeout", now=now, detail=detail)
