"""Phase 1 when we are called, in either mode: who the caller is, and what nobody proved.

Until its proof came the caller's address is unproved: an answer is at most `ALLOWANCE` octets
larger than its question. Certificates do not fit into that; where they are enabled in aggressive
mode, an answer is at most `FAVOUR` times the question and rationed by whoever signs.
"""

from __future__ import annotations

from culvert.errors import MisuseError, NegotiationError
from culvert.eventlog.event import LogEvent
from culvert.ike import natt, vendor
from culvert.ike.outputs import AskGroup, CertificateVerdict
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import Phase1
from culvert.ike.proposal import ChosenIke
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.certificate import request_parts
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.message import message_octets
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import GENERIC_HEADER, NOTIFY, Chain, of_kind
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import text
from culvert.rng import Random

ALLOWANCE = 200  # octets an answer to a stranger may exceed the question by
FAVOUR = 4  # times the question that an answer with certificates may be long


class Called(Phase1):
    def __init__(self, owner: Owner, settings: Settings, rng: Random) -> None:
        super().__init__(owner, settings)
        self._rng = rng
        self._disputed = False

    # --- the choice --------------------------------------------------------------------------

    def _refuse(self, error: NegotiationError, now: float) -> None:
        """Nothing the caller offers is accepted here."""
        ours = ", ".join(
            f"{suite.name} ({suite.authentication.name})"
            for suite in self.settings.accepted(self.exchange)
        )
        self._owner.tell_differences(1, error.comparisons, ours)
        refusal = Notify(error.notify, PROTO_ISAKMP).part()
        self._owner.channel.send_clear(wire.INFORMATIONAL, (refusal,))
        self._owner.end("proposal-refused", now=now)

    def _begin(self, chosen: ChosenIke, now: float) -> None:
        owner = self._owner
        owner.channel.log("ike.phase1-started", peer=text(owner.path.remote), mode=self.exchange)
        self._choose(chosen)
        owner.timers.set("half-open", now + self.settings.timing.half_open_patience)

    def _announced(self) -> Chain:
        return vendor.announcing(self._in_answer())

    def _requests(self) -> Chain:
        """We ask a caller who signs for a certificate of one of our authorities."""
        if self.way.proof_i != "signature":
            return ()
        return request_parts(self.settings.authorities)

    # --- the caller --------------------------------------------------------------------------

    def _narrow(self, group: str, settings: Settings | None) -> None:
        """The group is known: from here on its settings hold."""
        self.group = group
        self.settings = settings or self.settings
        if self.version not in self.settings.natt:
            # In aggressive mode nothing was announced yet.
            early = self.exchange == "aggressive"
            self.version = natt.best(self.features, self.settings.natt) if early else None

    def _unknown_group(self, name: str) -> None:
        if not self.group:
            peer = text(self._owner.path.remote)
            self._owner.channel.log("ike.group-unknown", group=name, peer=peer)

    def _ask_group(self, identity: Identity) -> None:
        self._owner.channel.out.append(AskGroup(identity))

    def _proved_by_key(self) -> None:
        """Raises MisuseError: a decoy key cannot be proved; it is a bug of whoever derived it."""
        if self.way.skeyid == "psk" and not self.group:
            raise MisuseError("a key without a group was proved")

    def _note_contact(self, parts: Chain) -> None:
        self.initial_contact = any(
            Notify.parse(part).kind == INITIAL_CONTACT for part in of_kind(parts, NOTIFY)
        )

    def _certified(self, verdict: CertificateVerdict) -> None:
        """The caller's certificate names its group."""
        self.name = verdict.name
        if self.way.proof_i == "signature":
            self._narrow(verdict.group, verdict.settings)

    # --- what nobody proved ------------------------------------------------------------------

    def _mismatch(self, name: str, peer: str) -> None:
        """A proof that is none; the message that brought it did not happen."""
        if self.way.skeyid != "psk":
            return
        self._disputed = True
        code = "ike.group-key-mismatch" if self.group else "ike.group-unknown"
        fields = {"group": self.group or name, "peer": peer, "cookies": self._owner.channel.label}
        self._complaints.append(LogEvent(code, fields))

    def half_open_over(self, now: float) -> None:
        """Nobody proved anything, either because keys differ or because nothing came through."""
        owner = self._owner
        if owner.phase is not Phase.PROVING:
            owner.end("half-open-timeout", now=now)
        elif self.way.skeyid != "psk":
            self._no_signature(now)
        elif not self.group:
            owner.end("group-mismatch", now=now, detail=self._no_group())
        elif self._disputed:
            owner.end("group-mismatch", now=now, detail=other_key(self.group))
        else:
            peer = text(owner.path.remote)
            owner.channel.log("ike.proof-missing", group=self.group, peer=peer)
            detail = f"no proof of the key of group {self.group} came"
            owner.end("half-open-timeout", now=now, detail=detail)

    def _no_group(self) -> str:
        return no_such_group(str(self.identity))

    def _no_signature(self, now: float) -> None:
        if self._disputed:
            detail = "the caller does not accept our certificate"
            self._owner.end("certificate-disputed", now=now, by_peer=True, detail=detail)
        else:
            detail = f"no proof came after our answer ({self.way.label})"
            self._owner.end("half-open-timeout", now=now, detail=detail)


def no_such_group(name: str) -> str:
    """The exact cause, for the operator's eyes."""
    return f"there is no group {name}"


def other_key(group: str) -> str:
    return f"the caller's key is not that of group {group}"


def no_larger(parts: Chain, extras: Chain, most: int) -> Chain:
    """Leave out extras, the last first, until the message has at most ``most`` octets: an answer
    to a stranger must not be worth an attack."""
    octets = message_octets(parts)
    kept = 0
    for part in extras:
        octets += len(part.body) + GENERIC_HEADER
        if octets > most:
            break
        kept += 1
    return (*parts, *extras[:kept])
