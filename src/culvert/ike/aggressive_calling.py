"""Aggressive mode when we call: message 1 goes, 2 proves the peer, 3 proves us.

    calling ── message 2 ── SKEYID, its proof ──> proving ── our proof, message 3 ──> phase 1 stands

An answer that proves nobody may be forged: a genuine one may still come for a moment.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from culvert.errors import IntegrityError, ProtocolError, UnexpectedMessage
from culvert.ike.aggressive import AggressiveInitiator
from culvert.ike.calling import Calling
from culvert.ike.keys import Phase1Keys
from culvert.ike.outputs import AskGroupKey, CertificateVerdict, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.proofs import Task
from culvert.ike.proposal import ChosenIke
from culvert.ike.script import AGGRESSIVE
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import Chain
from culvert.inet.address import Path, text
from culvert.rng import Random


@dataclass(frozen=True, slots=True)
class _Answer:
    """Message 2, until its proof was looked at."""

    chosen: ChosenIke
    identity: Identity
    shared: bytes
    parts: Chain
    path: Path


class AggressiveCalling(Calling):
    exchange = "aggressive"

    def __init__(self, owner: Owner, settings: Settings, rng: Random, natt_port: int) -> None:
        super().__init__(owner, settings, rng, natt_port)
        self._initiator = AggressiveInitiator(settings, rng)
        self._pending: _Answer | None = None
        self._next: tuple[bytes, Header, Path] | None = None
        self._unproved = b""  # the cookies of an answer that proved nobody

    def begin(self, now: float) -> None:
        channel = self._owner.channel
        channel.log("ike.phase1-started", peer=text(channel.path.remote), mode=self.exchange)
        self._tell_offer(len(self._initiator.suites))
        way = self._initiator.suites[0].authentication
        whole = (*self._initiator.first(), *self._requests(way), *self._announced())
        octets = channel.send_clear(wire.AGGRESSIVE, self._padded(whole, way))
        self._owner.wait_for_answer(0, octets, "no-answer", now)

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        """Message 2; whether it is genuine is known later."""
        if self._owner.phase is not Phase.CALLING:
            raise UnexpectedMessage("an answer to nothing asked")
        if header.encrypted or header.cookie_r == wire.NO_COOKIE:
            raise UnexpectedMessage("no answer to message 1")
        if self._pending is not None:
            # While a forged one is looked at, the genuine one may come.
            self._next = octets, header, path
            return False
        channel = self._owner.channel
        parts = channel.read_clear(octets, header)
        AGGRESSIVE[1].check(parts)
        cookies = header.cookie_i + header.cookie_r
        chosen, who, shared = self._initiator.second(parts, cookies)
        self._pending = _Answer(chosen, who, shared, parts, path)
        self._question = octets
        self.identity = who
        if chosen.suite.authentication.skeyid == "psk":
            made, name = self._initiator.exchanged, chosen.suite.hash.name
            channel.out.append(
                AskGroupKey(self.settings.identity, name, made.nonce_i, made.nonce_r)
            )
            return False
        try:
            self._check(self._pending, b"", now)
        except ProtocolError:
            self._pending = None
            raise
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        if self._pending is None:
            return
        self.group = key.group
        try:
            self._check(self._pending, key.skeyid, now)
        except IntegrityError:
            # Either the keys differ, or somebody else answered: a genuine answer may still come.
            channel = self._owner.channel
            peer = text(channel.path.remote)
            channel.log("ike.group-key-mismatch", group=str(self.settings.identity), peer=peer)
            self._doubt("group-mismatch", "", now)

    def _check(self, answer: _Answer, skeyid: bytes, now: float) -> None:
        made = self._initiator.exchanged
        suite = answer.chosen.suite
        keys = made.keys(suite, answer.shared, skeyid)
        task = Task(suite.authentication.proof_r, "HASH_R", made.hash_r(keys), made.cookies)

        def proved(verdict: CertificateVerdict, at: float) -> None:
            judged = self._identified(answer.identity, verdict, answer.path)
            self._judged(answer, keys, judged, at)

        self.proofs.check(task, answer.parts, answer.identity, proved, now=now)

    def _judged(
        self, answer: _Answer, keys: Phase1Keys, verdict: CertificateVerdict, now: float
    ) -> None:
        channel = self._owner.channel
        if not verdict.accepted:
            peer = text(channel.path.remote)
            if answer.chosen.suite.authentication.proof_r == "signature":
                detail = verdict.detail
                channel.log(
                    "ike.certificate-refused", reason=verdict.reason, detail=detail, peer=peer
                )
            self._doubt(verdict.reason, verdict.detail, now)
            return
        self._pending = None
        self._owner.timers.stop("doubt")
        self._owner.phase = Phase.PROVING
        self.name = verdict.name
        made = self._initiator.exchanged
        channel.cookie_r = made.cookies[8:]
        channel.use(keys)
        self._know_peer(answer.parts)
        self.proofs.note_requests(answer.parts)
        self._choose(answer.chosen)
        # The socket knows our address only now that something came in on it.
        channel.path = answer.path
        self._find_nat(answer.parts, answer.path)
        self._float()
        task = Task(self.way.proof_i, "HASH_I", made.hash_i(keys), made.cookies)
        self.proofs.make(task, self._prove, now=now)

    def _doubt(self, reason: str, detail: str, now: float) -> None:
        self._pending = None
        self._unproved = self._initiator.exchanged.cookies
        self._owner.doubt(reason, now, detail)
        following, self._next = self._next, None
        if following is not None:
            with suppress(ProtocolError):
                self.receive(*following, now)

    def _prove(self, proof: Chain, now: float) -> None:
        """Nobody answers message 3: it is repeated until the peer is heard encrypted."""
        channel = self._owner.channel
        parts = (*proof, *self._detection(channel.path), *self._contact())
        octets = channel.send_sealed(wire.AGGRESSIVE, 0, parts, hashed=b"")
        channel.answers.keep(self._question, octets, now=now)
        self._owner.wait_for_answer(0, octets, "no-answer", now)
        self._established(now)

    def take_unproved(self) -> bytes:
        """From here on these cookies are this SA's, as it is about to end."""
        if self._unproved:
            self._owner.channel.cookie_r = self._unproved[8:]
        return self._unproved
