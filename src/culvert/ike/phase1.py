"""Phase 1 of one IKE SA: what both ends share (RFC 2409 §5, RFC 3947 §3).

What is learnt of the peer here — features, NAT, identity, the suite — holds for the IKE SA's life.
What the caller's end shares stands in `calling`, what the other does in `called`; the messages
themselves in `aggressive_calling`, `aggressive_called`, `main_calling` and `main_called`.
"""

from __future__ import annotations

from culvert.errors import MisuseError
from culvert.eventlog.event import LogEvent
from culvert.ike import natt, vendor
from culvert.ike.outputs import (
    Authenticated,
    CertificateVerdict,
    GroupKey,
    KnownGroup,
    Signature,
)
from culvert.ike.owner import Owner, Phase
from culvert.ike.proofs import Proofs
from culvert.ike.proposal import ChosenIke
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import VENDOR_ID, Chain, of_kind
from culvert.inet.address import Path, text
from culvert.inet.lane import ALONE, Share
from culvert.rng import Random
from culvert.tables.algorithms import Authentication

_EXPOSED = {
    "psk": "both names went in clear, and whoever saw them can guess the group key offline",
    "signature": "both names went in clear",
}
"""What aggressive mode costs, by what SKEYID follows from."""


class Phase1:
    """Common state and steps. ``owner`` is the IKE SA, ``exchange`` "aggressive" or "main"."""

    exchange = ""

    def __init__(self, owner: Owner, settings: Settings) -> None:
        self.settings = settings
        self.features: frozenset[str] = frozenset()
        self.nat = natt.Nat()
        self.version: natt.Version | None = None
        self.identity: Identity | None = None
        self.group = ""
        self.name = ""  # whose certificate the peer has
        self.proofs = Proofs(owner.channel)
        self.chosen: ChosenIke | None = None
        self.initial_contact = False
        self._owner = owner
        self._question = b""  # the message that waits for SKEYID
        self._complaints: list[LogEvent] = []

    # --- what state machines are given --------------------------------------------------------

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        """One message of phase 1; true if it was genuine and new."""
        raise NotImplementedError

    def step(
        self, given: GroupKey | KnownGroup | Signature | CertificateVerdict, now: float
    ) -> None:
        """What was asked for has come."""
        match given:
            case GroupKey():
                self.keyed(given, now)
            case KnownGroup():
                self.grouped(given, now)
            case Signature(octets=b""):
                channel = self._owner.channel
                channel.log("ike.signature-missing", problem=given.problem)
                self._owner.end(given.reason or "error", now=now, detail=given.problem)
            case Signature() | CertificateVerdict():
                self.proofs.step(given, now)

    def keyed(self, key: GroupKey, now: float) -> None:
        """SKEYID, where a pre-shared key makes it."""
        raise NotImplementedError

    def grouped(self, known: KnownGroup, now: float) -> None:
        """The group of a caller who proves itself later."""
        raise NotImplementedError

    def half_open_over(self, now: float) -> None:
        """The caller proved nothing in time."""
        raise NotImplementedError

    @property
    def question(self) -> bytes:
        """The message that waits for an answer from elsewhere."""
        return self._question

    @property
    def way(self) -> Authentication:
        """How the ends prove themselves, once that was chosen."""
        if self.chosen is None:
            raise MisuseError("nothing was chosen")
        return self.chosen.suite.authentication

    @property
    def certified(self) -> bool:
        """Whether certificates prove an end, or would in all that we offer."""
        if self.chosen is not None:
            return self.way.signed
        return all(suite.authentication.signed for suite in self.settings.phase1)

    def _reject(self, verdict: CertificateVerdict, now: float) -> None:
        """The peer's certificate is not accepted, in a message that is its own: say so."""
        peer = text(self._owner.path.remote)
        if self.way.signed:
            self._owner.channel.log(
                "ike.certificate-refused", reason=verdict.reason, detail=verdict.detail, peer=peer
            )
        self._owner.reject(verdict.reason, verdict.detail, now)

    # --- NAT traversal -----------------------------------------------------------------------

    @property
    def encapsulated(self) -> bool:
        """Whether ESP travels in UDP: a NAT is in between, or one end cannot do without."""
        if self.settings.streamed:
            return True
        wanted = self.nat.found or self.nat.pretended or self.settings.force_encapsulation
        return self.version is not None and wanted

    @property
    def mode(self) -> int:
        """The encapsulation mode phase 2 speaks of."""
        if self.version is not None and self.encapsulated:
            return self.version.mode
        return natt.TUNNEL

    @property
    def _disguised(self) -> bool:
        """Whether the peer must be made to see a NAT."""
        return self.settings.force_encapsulation

    @property
    def _detecting(self) -> natt.Version | None:
        """How NAT-D payloads look. Our own kind looks for a NAT with NAT traversal off, too: to
        say what is missing."""
        return self.version or (natt.RFC_3947 if "culvert" in self.features else None)

    def _detection(self, path: Path) -> Chain:
        """Our NAT-D payloads, if there is a version to send them in."""
        version = self._detecting
        if version is None or self.chosen is None:
            return ()
        return natt.detection(
            version,
            self.chosen.suite.hash.name,
            self._owner.channel.cookies,
            path.remote,
            path.local,
            disguise=self._disguised,
        )

    def _find_nat(self, parts: Chain, path: Path) -> None:
        version = self._detecting
        if self.chosen is None:
            return
        found = None
        if version is not None:
            found = natt.detect(
                parts,
                version,
                self.chosen.suite.hash.name,
                self._owner.channel.cookies,
                path.local,
                path.remote,
            )
        self.nat = found or natt.guess(path.local, path.remote)

    def _tell_nat(self) -> None:
        channel = self._owner.channel
        if self.settings.streamed:
            return
        channel.log("ike.nat-detected", local=self.nat.local, remote=self.nat.remote)
        if self.encapsulated and self.version is not None:
            port = channel.path.remote[1]
            channel.log("ike.natt-negotiated", version=self.version.feature, port=port)
        elif self.nat.found:
            channel.log("ike.natt-missing")

    # --- the peer ----------------------------------------------------------------------------

    def _know_peer(self, parts: Chain) -> None:
        self.features = vendor.features(parts)
        self.version = natt.best(self.features, self.settings.natt)
        channel = self._owner.channel
        channel.cuts = self.settings.fragmentation and "fragmentation" in self.features
        for part in of_kind(parts, VENDOR_ID):
            row = vendor.recognise(part.body)
            name = row.name if row else "unknown"
            channel.log("ike.vendor-id", hex=part.body.hex().upper()[:128], name=name)
        for feature in sorted(self.features):
            channel.log("ike.peer-supports", feature=feature)

    def _in_answer(self) -> tuple[str, ...]:
        """The vendor ids we answer with, the least missed last: only what the peer has too."""
        version = (self.version.feature,) if self.version else ()
        cuts = ("fragmentation",) if self.settings.fragmentation else ()
        named = ("xauth", *version, "unity", "dpd", *cuts, "culvert")
        common = [name for name in named if name in self.features]
        return (*common, *self.settings.shows)

    def _choose(self, chosen: ChosenIke) -> None:
        self.chosen = chosen
        self._owner.channel.log(
            "ike.proposal-chosen", phase=1, suite=chosen.suite.name, number=chosen.transform.number
        )

    def disputed(self) -> None:
        """The peer says that our proof was not made with its key; of use to who was called."""

    def complaints(self) -> list[LogEvent]:
        """What a refused message has to tell; the message itself did not happen."""
        told, self._complaints = self._complaints, []
        return told

    # --- the end of it -----------------------------------------------------------------------

    def _established(self, now: float) -> None:
        owner, chosen = self._owner, self.chosen
        if chosen is None or self.identity is None:
            raise MisuseError("phase 1 ends without a choice or an identity")
        channel = owner.channel
        channel.finish_phase1()
        owner.timers.stop("half-open")
        owner.timers.stop("doubt")
        life = chosen.lifetime.shorter(self.settings.phase1_life).seconds
        if life:
            owner.lives(life, now)
        authentication = self.way
        channel.log(
            "ike.phase1-established",
            peer=text(channel.path.remote),
            suite=chosen.suite.name,
            authentication=authentication.label,
            method=authentication.name,
            life_seconds=life,
        )
        self._tell_nat()
        owner.warned.weak(chosen.suite.name, chosen.suite.weak)
        if self.exchange == "aggressive":
            channel.log("ike.aggressive", why=_EXPOSED[authentication.skeyid])
        if self.initial_contact:
            channel.log("ike.initial-contact", peer=text(channel.path.remote))
        owner.phase = Phase.PERSON if authentication.xauth else Phase.CONFIG
        channel.out.append(
            Authenticated(
                chosen.suite, self.exchange, self.identity, self.initial_contact, self.name
            )
        )
        owner.phase1_over(now)


def new_cookie(rng: Random, share: Share = ALONE) -> bytes:
    """Never zero, which means "none yet" (RFC 2408 §3.1)."""
    while True:
        drawn = rng.octets(8)
        if drawn != wire.NO_COOKIE and share.has_cookie(drawn):
            return drawn
