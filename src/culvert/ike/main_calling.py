"""Main mode with a pre-shared key when we call (RFC 2409 §5.4, identity protection).

    calling ── 2 (3 goes) ──> exchanging ── 4, SKEYID (5 goes) ──> proving ── 6 ──> phase 1 stands

Unlike aggressive mode it names nobody before the channel is encrypted.
"""

from __future__ import annotations

from culvert.crypto.dh import KeyPair, key_pair
from culvert.errors import MisuseError, NegotiationError, UnexpectedMessage
from culvert.ike import natt, vendor
from culvert.ike.aggressive import NONCE_OCTETS, Exchanged, check_hash, check_nonce
from culvert.ike.calling import NATT_OFFERED
from culvert.ike.outputs import AskGroupKey, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import Phase1
from culvert.ike.proposal import choose_ike, offer_ike
from culvert.ike.script import MAIN
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import HASH, KE, NONCE, SA, Chain, Part, must
from culvert.ike.wire.payload import ID as IDENTITY
from culvert.ike.wire.proposal import PROTO_ISAKMP, SecurityAssociation
from culvert.inet.address import Path, text
from culvert.rng import Random


class MainCalling(Phase1):
    def __init__(self, owner: Owner, settings: Settings, rng: Random, natt_port: int) -> None:
        super().__init__(owner, settings)
        self._rng = rng
        self._natt_port = natt_port
        self._made = Exchanged()
        self._pair: KeyPair | None = None
        self._shared = b""

    def begin(self, now: float) -> None:
        channel = self._owner.channel
        channel.log("ike.phase1-started", peer=text(channel.path.remote), mode="main")
        sa = offer_ike(self.settings.phase1, self.settings.phase1_life.seconds).to_bytes()
        self._made.sa_i = sa
        versions = NATT_OFFERED if self.settings.natt else ()
        offered = vendor.announcing(("xauth", *versions, "dpd", "unity", "culvert"))
        octets = channel.send_clear(wire.IDENTITY_PROTECTION, (Part(SA, sa), *offered))
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
                return self._sixth(octets, header, now)
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
        self._choose(chosen)
        self._pair = key_pair(chosen.suite.group.number, self._rng)
        made.public_i = self._pair.public
        made.nonce_i = self._rng.octets(NONCE_OCTETS)
        answer: Chain = (
            Part(KE, made.public_i),
            Part(NONCE, made.nonce_i),
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
        self._question = octets
        hash_name = self.chosen.suite.hash.name
        channel.out.append(
            AskGroupKey(self.settings.identity, hash_name, made.nonce_i, made.nonce_r)
        )
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        if self.chosen is None or not self._question or self._owner.phase is not Phase.OFFERED:
            return
        self.group = key.group
        channel, made = self._owner.channel, self._made
        channel.use(made.keys(self.chosen.suite, key.skeyid, self._shared))
        if self.encapsulated and not channel.path.encapsulated:
            channel.path = Path(
                (channel.path.local[0], self._natt_port),
                (channel.path.remote[0], natt.NATT_PORT),
                encapsulated=True,
            )
        # In main mode a pre-shared key belongs to an address (RFC 2409 §5.4).
        own = Identity.of_address(channel.path.local[0])
        made.id_i = own.to_bytes()
        contact = Notify(INITIAL_CONTACT, PROTO_ISAKMP, channel.cookies).part()
        parts: Chain = (own.part(), Part(HASH, made.hash_i(channel.keys)), contact)
        sent = channel.send_sealed(wire.IDENTITY_PROTECTION, 0, parts, hashed=b"")
        channel.answers.keep(self._question, sent, now=now)
        # Whoever has another key cannot read message 5 and stays silent.
        self._owner.wait_for_answer(0, sent, "group-mismatch", now)
        self._owner.phase = Phase.PROVING

    # --- message 6 ---------------------------------------------------------------------------

    def _sixth(self, octets: bytes, header: Header, now: float) -> bool:
        channel, made = self._owner.channel, self._made
        if not header.encrypted:
            raise UnexpectedMessage("message 6 of main mode in clear")
        parts = channel.read_sealed(octets, header).parts
        MAIN[5].check(parts)
        named = must(parts, IDENTITY)
        made.id_r = named.body
        check_hash(parts, made.hash_r(channel.keys), "HASH_R")
        channel.accept(octets, header)
        channel.note_received(header, parts)
        self.identity = Identity.parse(named)
        channel.answered(0)
        channel.answers.keep(octets, None, now=now)
        self._established(now)
        return True

    def take_unproved(self) -> bytes:
        """Main mode learns of a wrong key only by silence."""
        return b""

    def half_open_over(self, now: float) -> None:
        raise MisuseError("who calls is never half open")
