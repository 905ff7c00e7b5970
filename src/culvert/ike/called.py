"""Aggressive mode when we are called: message 1 comes, 2 goes, 3 proves the peer.

    called ── message 1 ──> keying ── SKEYID ──> proving ── message 3 ──> phase 1 stands

Until message 3 the caller's address is unproved: nothing is sent but one answer, and never more
than `ALLOWANCE` octets larger than the question.
"""

from __future__ import annotations

from culvert.errors import IntegrityError, MisuseError, NegotiationError, UnexpectedMessage
from culvert.eventlog.event import LogEvent
from culvert.ike import vendor
from culvert.ike.aggressive import AggressiveResponder, check_hash
from culvert.ike.outputs import AskGroupKey, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import Phase1, new_cookie
from culvert.ike.proposal import ChosenIke
from culvert.ike.script import AGGRESSIVE
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import GENERIC_HEADER, NOTIFY, Chain, of_kind
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Path, text
from culvert.rng import Random

ALLOWANCE = 200  # octets an answer to a stranger may exceed the question by


class AggressiveCalled(Phase1):
    def __init__(self, owner: Owner, settings: Settings, rng: Random) -> None:
        super().__init__(owner, settings)
        self._rng = rng
        self._responder = AggressiveResponder(settings, rng)
        self._disputed = False

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        match self._owner.phase:
            case Phase.CALLED:
                return self._first(octets, header, now)
            case Phase.PROVING:
                return self._third(octets, header, path, now)
            case phase:
                raise UnexpectedMessage(f"aggressive mode while {phase.value}")

    def keyed(self, key: GroupKey, now: float) -> None:
        """SKEYID for message 1 has come: answer it."""
        if self._owner.phase is not Phase.KEYING:
            return
        self.group = key.group
        self.settings = key.settings or self.settings
        if not self.settings.natt:
            self.version = None
        if not key.group:
            peer = text(self._owner.path.remote)
            self._owner.channel.log("ike.group-unknown", group=str(self.identity), peer=peer)
        self._answer(key.skeyid)

    # --- message 1 ---------------------------------------------------------------------------

    def _first(self, octets: bytes, header: Header, now: float) -> bool:
        owner, channel = self._owner, self._owner.channel
        channel.cookie_r = new_cookie(self._rng)
        parts = channel.read_clear(octets, header)
        AGGRESSIVE[0].check(parts)
        try:
            chosen, who = self._responder.first(parts, channel.cookies)
        except NegotiationError as error:
            self._refuse(error, parts, now)
            return False
        self.identity = who
        self._know_peer(parts)
        self._check_size(octets, chosen)
        channel.log("ike.phase1-started", peer=text(owner.path.remote), mode="aggressive")
        self._choose(chosen)
        owner.phase = Phase.KEYING
        self._question = octets
        owner.timers.set("half-open", now + self.settings.timing.half_open_patience)
        made = self._responder.exchanged
        channel.out.append(AskGroupKey(who, chosen.suite.hash.name, made.nonce_i, made.nonce_r))
        channel.answers.keep(octets, None, now=now)
        return False

    def _refuse(self, error: NegotiationError, parts: Chain, now: float) -> None:
        self._know_peer(parts)
        ours = ", ".join(suite.name for suite in self.settings.phase1)
        self._owner.tell_differences(1, error.comparisons, ours)
        refusal = Notify(error.notify, PROTO_ISAKMP).part()
        self._owner.channel.send_clear(wire.INFORMATIONAL, (refusal,))
        self._owner.end("proposal-refused", now=now)

    def _check_size(self, question: bytes, chosen: ChosenIke) -> None:
        """Raises UnexpectedMessage for a question so small that its answer could serve to flood
        whoever stands in its source address. No real client's is."""
        detection = 2 * (GENERIC_HEADER + chosen.suite.hash.octets) if self._detecting else 0
        least = self._responder.octets(chosen) + detection
        if least > len(question) + ALLOWANCE:
            raise UnexpectedMessage(
                f"{len(question)} octets that would take an answer of {least}: too large a favour"
            )

    # --- message 2 ---------------------------------------------------------------------------

    def _answer(self, skeyid: bytes) -> None:
        if self.chosen is None:
            raise MisuseError("no question is open")
        channel = self._owner.channel
        parts, keys = self._responder.second(self.chosen, skeyid)
        channel.use(keys)
        whole = (*parts, *self._detection(self._owner.path))
        octets = channel.send_clear(
            wire.AGGRESSIVE,
            no_larger(whole, vendor.announcing(self._in_answer()), self._question),
        )
        channel.answers.amend(self._question, octets)
        self._owner.phase = Phase.PROVING

    # --- message 3 ---------------------------------------------------------------------------

    def _third(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        channel = self._owner.channel
        if header.encrypted:
            parts = channel.read_sealed(octets, header).parts
        else:
            parts = channel.read_clear(octets, header)
        AGGRESSIVE[2].check(parts)
        try:
            check_hash(parts, self._responder.exchanged.hash_i(channel.keys), "HASH_I")
        except IntegrityError:
            self._mismatch(text(path.remote))
            raise
        if not self.group:
            # A decoy key cannot be proved; this is a bug of whoever derived it.
            raise MisuseError("a key without a group was proved")
        channel.accept(octets, header)
        if header.encrypted:
            channel.note_received(header, parts)
        self._find_nat(parts, path)
        self.initial_contact = any(
            Notify.parse(part).kind == INITIAL_CONTACT for part in of_kind(parts, NOTIFY)
        )
        channel.answers.keep(octets, None, now=now)
        channel.answered(0)
        self._owner.came_from(path)
        self._established(now)
        return True

    def _mismatch(self, peer: str) -> None:
        self._disputed = True
        code = "ike.group-key-mismatch" if self.group else "ike.group-unknown"
        name = self.group or str(self.identity)
        self._complaints.append(LogEvent(code, {"group": name, "peer": peer}))

    def disputed(self) -> None:
        """The caller says that our proof was not made with its key. Anybody may say so: it only
        names the cause should no proof come."""
        if not self._disputed and self.group:
            peer = text(self._owner.path.remote)
            self._owner.channel.log("ike.group-key-mismatch", group=self.group, peer=peer)
        self._disputed = True

    def half_open_over(self, now: float) -> None:
        """Nobody proved the key, either because theirs differs or because nothing came through."""
        owner = self._owner
        if owner.phase is not Phase.PROVING:
            owner.end("half-open-timeout", now=now)
        elif not self.group:
            owner.end("group-mismatch", now=now, detail=f"there is no group {self.identity}")
        elif self._disputed:
            detail = f"the caller's key is not that of group {self.group}"
            owner.end("group-mismatch", now=now, detail=detail)
        else:
            peer = text(owner.path.remote)
            owner.channel.log("ike.proof-missing", group=self.group, peer=peer)
            detail = f"no proof of the key of group {self.group} came"
            owner.end("half-open-timeout", now=now, detail=detail)


def no_larger(parts: Chain, extras: Chain, question: bytes) -> Chain:
    """Leave out vendor ids, the last first, until the answer is at most `ALLOWANCE` octets larger
    than the question: an answer to a stranger must not be worth an attack."""
    octets = wire.OCTETS + sum(len(part.body) + GENERIC_HEADER for part in parts)
    kept = 0
    for part in extras:
        octets += len(part.body) + GENERIC_HEADER
        if octets > len(question) + ALLOWANCE:
            break
        kept += 1
    return (*parts, *extras[:kept])
