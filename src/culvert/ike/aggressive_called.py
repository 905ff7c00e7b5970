"""Aggressive mode when we are called: message 1 comes, 2 goes, 3 proves the peer.

    called ── message 1 ──> keying ── SKEYID, our proof ──> proving ── message 3 ──> judging
           ── proved ──> phase 1 stands

Until message 3 the caller's address is unproved: nothing is sent but one answer.
"""

from __future__ import annotations

from culvert.errors import IntegrityError, MisuseError, NegotiationError, UnexpectedMessage
from culvert.ike.aggressive import AggressiveResponder
from culvert.ike.called import ALLOWANCE, FAVOUR, Called, no_larger
from culvert.ike.outputs import AskGroupKey, CertificateVerdict, GroupKey, KnownGroup
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import new_cookie
from culvert.ike.proofs import Task
from culvert.ike.proposal import ChosenIke
from culvert.ike.script import AGGRESSIVE
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.message import message_octets
from culvert.ike.wire.notify import UNSUPPORTED_EXCHANGE_TYPE, Notify
from culvert.ike.wire.payload import CERT, GENERIC_HEADER, Chain
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Path, text
from culvert.rng import Random


class AggressiveCalled(Called):
    exchange = "aggressive"

    def __init__(self, owner: Owner, settings: Settings, rng: Random) -> None:
        super().__init__(owner, settings, rng)
        self._responder = AggressiveResponder(settings, rng)

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        match self._owner.phase:
            case Phase.CALLED:
                return self._first(octets, header, now)
            case Phase.PROVING:
                return self._third(octets, header, path, now)
            case phase:
                raise UnexpectedMessage(f"aggressive mode while {phase.value}")

    # --- message 1 ---------------------------------------------------------------------------

    def _first(self, octets: bytes, header: Header, now: float) -> bool:
        owner, channel = self._owner, self._owner.channel
        channel.cookie_r = new_cookie(self._rng, self.settings.share)
        parts = channel.read_clear(octets, header)
        AGGRESSIVE[0].check(parts)
        try:
            chosen, who = self._responder.first(parts, channel.cookies)
        except NegotiationError as error:
            self._know_peer(parts)
            self._refuse(error, now)
            return False
        self.identity = who
        self._know_peer(parts)
        self._check_size(octets, chosen)
        self._begin(chosen, now)
        self.proofs.note_requests(parts)
        owner.phase = Phase.KEYING
        self._question = octets
        channel.answers.keep(octets, None, now=now)
        if self.way.skeyid == "psk":
            made = self._responder.exchanged
            name = chosen.suite.hash.name
            channel.out.append(AskGroupKey(who, name, made.nonce_i, made.nonce_r))
        elif self.way.proof_i == "hash":
            self._ask_group(who)
        else:
            self._answer(b"", now)  # the caller's certificate will tell its group
        return False

    def _check_size(self, question: bytes, chosen: ChosenIke) -> None:
        """Raises UnexpectedMessage for a question so small that its answer could serve to flood
        whoever stands in its source address. No real client's is."""
        detecting = self._detecting_with(chosen)
        least = self._responder.octets(chosen) + detecting
        if least > self._most(question, chosen):
            raise UnexpectedMessage(
                f"{len(question)} octets that would take an answer of {least}: too large a favour"
            )

    def _detecting_with(self, chosen: ChosenIke) -> int:
        return 2 * (GENERIC_HEADER + chosen.suite.hash.octets) if self._detecting else 0

    def _most(self, question: bytes, chosen: ChosenIke) -> int:
        """Octets an answer may have."""
        if chosen.suite.authentication.proof_r == "signature":
            return FAVOUR * len(question)
        return len(question) + ALLOWANCE

    # --- message 2 ---------------------------------------------------------------------------

    def keyed(self, key: GroupKey, now: float) -> None:
        """SKEYID for message 1 has come: answer it."""
        if self._owner.phase is Phase.KEYING:
            self._narrow(key.group, key.settings)
            self._unknown_group(str(self.identity))
            self._answer(key.skeyid, now)

    def grouped(self, known: KnownGroup, now: float) -> None:
        if self._owner.phase is Phase.KEYING:
            self._narrow(known.group, known.settings)
            self._unknown_group(str(self.identity))
            self._answer(b"", now)

    def _answer(self, skeyid: bytes, now: float) -> None:
        if self.chosen is None:
            raise MisuseError("no question is open")
        parts, keys = self._responder.second(self.chosen, skeyid)
        self._owner.channel.use(keys)
        made = self._responder.exchanged
        task = Task(self.way.proof_r, "HASH_R", made.hash_r(keys), made.cookies)

        def proved(proof: Chain, at: float) -> None:
            self._second((*parts, *proof), at)

        self.proofs.make(task, proved, now=now, unproved=True)

    def _second(self, parts: Chain, now: float) -> None:
        if self.chosen is None:
            raise MisuseError("no question is open")
        channel = self._owner.channel
        most = self._most(self._question, self.chosen)
        whole = fewer_certificates((*parts, *self._detection(self._owner.path)), most)
        octets = message_octets(whole)
        if octets > most:
            self._too_large(octets, now)
            return
        extras = (*self._requests(), *self._announced())
        sent = channel.send_clear(wire.AGGRESSIVE, no_larger(whole, extras, most))
        channel.answers.amend(self._question, sent)
        self._owner.phase = Phase.PROVING

    def _too_large(self, octets: int, now: float) -> None:
        question, peer = len(self._question), text(self._owner.path.remote)
        channel = self._owner.channel
        channel.log(
            "ike.answer-too-large", octets=octets, question=question, times=FAVOUR, peer=peer
        )
        refusal = Notify(UNSUPPORTED_EXCHANGE_TYPE, PROTO_ISAKMP).part()
        channel.send_clear(wire.INFORMATIONAL, (refusal,))
        detail = (
            f"the answer with our certificate has {octets} octets, more than {FAVOUR} times the "
            f"question's {question}: call in main mode, or have a shorter certificate issued"
        )
        self._owner.end("mode-refused", now=now, detail=detail)

    # --- message 3 ---------------------------------------------------------------------------

    def _third(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel, identity = self._owner.channel, self.identity
        if identity is None:
            raise MisuseError("nobody has called")
        if header.encrypted:
            parts = channel.read_sealed(octets, header).parts
        else:
            parts = channel.read_clear(octets, header)
        AGGRESSIVE[2].check(parts)
        digest = self._responder.exchanged.hash_i(channel.keys)
        task = Task(self.way.proof_i, "HASH_I", digest, self._responder.exchanged.cookies)

        def judged(verdict: CertificateVerdict, at: float) -> None:
            self._judged(octets, header, parts, path, verdict, at)

        self._owner.phase = Phase.JUDGING
        try:
            self.proofs.check(task, parts, identity, judged, now=now)
        except (IntegrityError, UnexpectedMessage):
            self._owner.phase = Phase.PROVING
            self._mismatch(str(identity), text(path.remote))
            raise
        channel.answers.keep(octets, None, now=now)
        return not self._owner.in_phase1

    def _judged(
        self,
        octets: bytes,
        header: Header,
        parts: Chain,
        path: Path,
        verdict: CertificateVerdict,
        now: float,
    ) -> None:
        channel = self._owner.channel
        self._proved_by_key()
        if not verdict.accepted and not header.encrypted:
            # Anybody may have sent it in clear: the genuine one may still come.
            channel.log(
                "ike.certificate-refused",
                reason=verdict.reason,
                detail=verdict.detail,
                peer=text(path.remote),
            )
            self._owner.phase = Phase.PROVING
            return
        channel.accept(octets, header)
        if header.encrypted:
            channel.note_received(header, parts)
        if not verdict.accepted:
            self._reject(verdict, now)
            return
        self._certified(verdict)
        self._find_nat(parts, path)
        self._note_contact(parts)
        channel.answered(0)
        self._owner.came_from(path)
        self._established(now)

    # --- what nobody proved ------------------------------------------------------------------

    def disputed(self) -> None:
        """The caller says that our proof does not convince it. Anybody may say so: it only names
        the cause should no proof come."""
        if not self._disputed and self.group and self.way.skeyid == "psk":
            peer = text(self._owner.path.remote)
            self._owner.channel.log("ike.group-key-mismatch", group=self.group, peer=peer)
        self._disputed = True


def fewer_certificates(parts: Chain, most: int) -> Chain:
    """Leave out certificates of authorities, the highest first: peers may have them. Our own
    stays."""
    while message_octets(parts) > most:
        found = [at for at, part in enumerate(parts) if part.kind == CERT]
        if len(found) < 2:
            break
        parts = (*parts[: found[-1]], *parts[found[-1] + 1 :])
    return parts
