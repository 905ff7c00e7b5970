"""Aggressive mode when we call: message 1 goes, 2 proves the peer, 3 proves us.

    calling ── message 2 ── SKEYID ──> message 3 goes, phase 1 stands

An answer that was not made with our key may be forged: a genuine one may still come for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass

from culvert.errors import IntegrityError, MisuseError, UnexpectedMessage
from culvert.ike import natt, vendor
from culvert.ike.aggressive import AggressiveInitiator, check_hash
from culvert.ike.outputs import AskGroupKey, GroupKey
from culvert.ike.owner import Owner, Phase
from culvert.ike.phase1 import Phase1
from culvert.ike.proposal import ChosenIke
from culvert.ike.script import AGGRESSIVE
from culvert.ike.settings import Settings
from culvert.ike.wire import header as wire
from culvert.ike.wire.header import Header
from culvert.ike.wire.notify import INITIAL_CONTACT, Notify
from culvert.ike.wire.payload import Chain
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Path, text
from culvert.rng import Random

NATT_OFFERED = ("natt-rfc3947", "natt-03", "natt-02n", "natt-02")


@dataclass(frozen=True, slots=True)
class _Answer:
    """Message 2, while SKEYID is asked for."""

    chosen: ChosenIke
    shared: bytes
    parts: Chain
    path: Path


class AggressiveCalling(Phase1):
    def __init__(self, owner: Owner, settings: Settings, rng: Random, natt_port: int) -> None:
        super().__init__(owner, settings)
        self._natt_port = natt_port
        self._initiator = AggressiveInitiator(settings, rng)
        self._pending: _Answer | None = None
        self._unproved = b""  # the cookies of an answer that was not made with our key

    def begin(self, now: float) -> None:
        channel = self._owner.channel
        channel.log("ike.phase1-started", peer=text(channel.path.remote), mode="aggressive")
        versions = NATT_OFFERED if self.settings.natt else ()
        offered = vendor.announcing(("xauth", *versions, "dpd", "unity", "culvert"))
        octets = channel.send_clear(wire.AGGRESSIVE, (*self._initiator.first(), *offered))
        self._owner.wait_for_answer(0, octets, "no-answer", now)

    def receive(self, octets: bytes, header: Header, path: Path, now: float) -> bool:
        """Message 2; whether it is genuine is known once SKEYID is."""
        if self._owner.phase is not Phase.CALLING or self._pending is not None:
            raise UnexpectedMessage("an answer to nothing asked")
        if header.encrypted or header.cookie_r == wire.NO_COOKIE:
            raise UnexpectedMessage("no answer to message 1")
        channel = self._owner.channel
        parts = channel.read_clear(octets, header)
        AGGRESSIVE[1].check(parts)
        cookies = header.cookie_i + header.cookie_r
        chosen, who, shared = self._initiator.second(parts, cookies)
        self._pending = _Answer(chosen, shared, parts, path)
        self._question = octets
        self.identity = who
        made = self._initiator.exchanged
        channel.out.append(
            AskGroupKey(self.settings.identity, chosen.suite.hash.name, made.nonce_i, made.nonce_r)
        )
        return False

    def keyed(self, key: GroupKey, now: float) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self.group = key.group
        made, channel = self._initiator.exchanged, self._owner.channel
        keys = made.keys(pending.chosen.suite, key.skeyid, pending.shared)
        try:
            check_hash(pending.parts, made.hash_r(keys), "HASH_R")
        except IntegrityError:
            # Either the keys differ, or somebody else answered: a genuine answer may still come.
            peer = text(channel.path.remote)
            channel.log("ike.group-key-mismatch", group=str(self.settings.identity), peer=peer)
            self._unproved = made.cookies
            self._owner.doubt("group-mismatch", now)
            return
        self._owner.timers.stop("doubt")
        channel.cookie_r = made.cookies[8:]
        channel.use(keys)
        self._know_peer(pending.parts)
        self._choose(pending.chosen)
        # The socket knows our address only now that something came in on it.
        channel.path = pending.path
        self._find_nat(pending.parts, pending.path)
        if self.encapsulated and not channel.path.encapsulated:
            self._float()
        self._prove(made.hash_i(keys), now)
        self._established(now)

    def _prove(self, hashed: bytes, now: float) -> None:
        """Nobody answers message 3: it is repeated until the peer is heard encrypted."""
        channel = self._owner.channel
        contact = Notify(INITIAL_CONTACT, PROTO_ISAKMP, channel.cookies).part()
        extras = (*self._detection(channel.path), contact)
        octets = channel.send_sealed(wire.AGGRESSIVE, 0, extras, hashed=hashed)
        channel.answers.keep(self._question, octets, now=now)
        self._owner.wait_for_answer(0, octets, "no-answer", now)

    def _float(self) -> None:
        """RFC 3947 §4: from here on both ends use the NAT-T port."""
        path = self._owner.channel.path
        self._owner.channel.path = Path(
            (path.local[0], self._natt_port),
            (path.remote[0], natt.NATT_PORT),
            encapsulated=True,
        )

    def take_unproved(self) -> bytes:
        """The cookies of an answer that was not made with our key, for telling who sent it.

        From here on they are this SA's, as it is about to end.
        """
        if self._unproved:
            self._owner.channel.cookie_r = self._unproved[8:]
        return self._unproved

    def half_open_over(self, now: float) -> None:
        raise MisuseError("who calls is never half open")
