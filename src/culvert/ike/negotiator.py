"""Quick modes of one IKE SA: several at once, started by either end, renewed in time.

    asking  ── message 2 ──> message 3 sent, pair installed and active
    asked   ── message 1 ──> message 2 sent, pair installed ── message 3 ──> active

The end that asked for a pair renews it: a new pair first, then the old one's delete.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from culvert.errors import NegotiationError, ProtocolError, UnexpectedMessage
from culvert.ike import natt
from culvert.ike import quick as arithmetic
from culvert.ike.informational import Informational
from culvert.ike.keys import quick_hash_3
from culvert.ike.outputs import Activate, Install
from culvert.ike.owner import Owner, Phase, spi_text
from culvert.ike.pairs import SETTLING, UNCONFIRMED, Pair
from culvert.ike.pfs import PfsMismatch
from culvert.ike.quick import Agreed, QuickMode, SelectorError, Terms
from culvert.ike.retransmit import PHASE2_WAIT
from culvert.ike.script import QUICK
from culvert.ike.selector import Selector
from culvert.ike.spis import Spis
from culvert.ike.wire.header import QUICK as QUICK_EXCHANGE
from culvert.ike.wire.header import Header
from culvert.ike.wire.payload import Chain
from culvert.ike.wire.reason import Reason

NOTHING_AGREED = Reason(code=10, ending="phase2-refused")

OPEN_AT_ONCE = 8  # quick modes under way; the Cisco client opens two
LONGEST_RENEWAL = 600.0  # seconds for its answer, whatever the life of what it renews
MOST_PAIRS = 64  # of one IKE SA; a pair costs memory, and its peer decides when it is deleted


class Negotiator:
    def __init__(self, owner: Owner, informational: Informational, spis: Spis) -> None:
        self._owner = owner
        self._informational = informational
        self._spis = spis
        self._open: dict[int, QuickMode] = {}
        self._carried = False  # whether there ever was a pair
        self._agreed: dict[int, tuple[int, Agreed]] = {}  # message id -> pair number and keys
        self._left = False  # another IKE SA has taken over

    def _terms(self) -> Terms:
        settings, mode = self._owner.settings, self._owner.mode
        if settings.force_encapsulation and mode == natt.TUNNEL and not settings.streamed:
            # A peer without NAT-T: say what is missing instead of agreeing on what carries nothing.
            mode = natt.UDP_TUNNEL
        if settings.transport:
            mode = natt.TRANSPORT_OF[mode]
        return Terms(
            settings.phase2,
            frozenset((mode,)),
            settings.pfs_groups,
            settings.phase2_life,
        )

    # --- asking ------------------------------------------------------------------------------

    def start(self, local: Selector, remote: Selector, replaces: int, now: float) -> None:
        channel = self._owner.channel
        made = QuickMode(channel.new_id(), self._draw(), True, local, remote, replaces=replaces)
        self._open[made.message_id] = made
        terms = self._terms()
        (mode,) = terms.modes
        parts = arithmetic.first(made, terms, mode, self._owner.rng)
        parts = (*parts, *self._original_addresses(initiator=True))
        channel.log(
            "quick.started", message_id=made.message_id, local=str(local), remote=str(remote)
        )
        if len(terms.suites) > 1:
            channel.log("ike.several-offered", phase=2, count=len(terms.suites))
        octets = channel.send_sealed(QUICK_EXCHANGE, made.message_id, parts)
        self._expect(made, octets, now)

    def _draw(self) -> int:
        """An SPI in the lane of those that this peer has."""
        beside = next((pair.inbound_spi for pair in self._owner.pairs), 0)
        return self._spis.draw(self._owner.rng, beside)

    def _expect(self, quick: QuickMode, octets: bytes, now: float) -> None:
        """A renewal has until the end of what it renews, which carries until then."""
        patience, timers = self._owner.settings.timing.answer_patience, self._owner.timers
        ends = now
        if quick.replaces:
            ends = min(timers.at("pair-hard", quick.replaces), timers.at("life"))
        self._owner.channel.expect_answer(
            quick.message_id,
            octets,
            patience=max(patience, min(ends - now, LONGEST_RENEWAL)),
            longest=PHASE2_WAIT,
            # A peer that never spoke of phase 2 is another trouble than one that falls silent.
            otherwise="no-answer" if quick.initiator and not self._carried else "lost-peer",
            now=now,
        )

    def gave_up(self, message_id: int) -> bool:
        """Nobody answered a quick mode. True if the IKE SA can live without it."""
        quick = self._open.pop(message_id, None)
        if quick is None:
            return False
        if not quick.initiator and message_id in self._agreed:
            # Message 3 never came, but the peer may hold its half and believe in it.
            number, agreed = self._agreed.pop(message_id)
            self._informational.delete_pair(agreed.inbound.spi)
            self._owner.remove_pair(number)
            # Who was heard in phase 2 before may have lost this one message; liveness decides.
            return len(self._owner.pairs) > 0 or self._carried
        self._spis.release(quick.spi)
        self._refused(quick, "no-answer")
        return len(self._owner.pairs) > 0

    def refused_by_peer(self, spi: int, why: str, now: float) -> None:
        """The peer's notify: about the quick mode with this SPI, or the only one open."""
        asking = [quick for quick in self._open.values() if quick.initiator]
        about = [quick for quick in asking if quick.spi == spi] or asking[:1]
        for quick in about:
            del self._open[quick.message_id]
            self._spis.release(quick.spi)
            self._owner.channel.answered(quick.message_id)
            self._refused(quick, why)
        if about and not len(self._owner.pairs) and not self._open:
            self._informational.delete_everything(NOTHING_AGREED)
            self._owner.end("phase2-refused", now=now, by_peer=True, detail=why)

    def _refused(self, quick: QuickMode, why: str) -> None:
        self._owner.channel.log(
            "quick.refused", reason=why, remote=str(quick.remote), local=str(quick.local)
        )

    def abandon(self, now: float) -> tuple[int, ...]:
        """Quick modes under way come to nothing, because another IKE SA takes over: the pairs that
        they were to renew. A successor whose last message is missing may be one to the peer."""
        unfinished = [quick.replaces for quick in self._open.values() if quick.initiator]
        for message_id, (number, agreed) in self._agreed.items():
            if self._open[message_id].replaces:
                self._owner.pairs.carry_later(number, after=UNCONFIRMED, now=now)
            else:
                self._informational.delete_pair(agreed.inbound.spi)
                self._owner.remove_pair(number)
        for message_id in self._open:
            self._owner.channel.answered(message_id)
        self.stop()
        self._left = True
        return tuple(number for number in unfinished if number)

    def carries(self) -> None:
        """There are pairs, though none was negotiated here."""
        self._carried = len(self._owner.pairs) > 0

    def stop(self) -> None:
        """The IKE SA is over: nothing is open any more."""
        for quick in self._open.values():
            if quick.message_id not in self._agreed:
                self._spis.release(quick.spi)
        self._open.clear()
        self._agreed.clear()

    # --- receiving ---------------------------------------------------------------------------

    def receive(self, octets: bytes, header: Header, now: float) -> bool:
        quick = self._open.get(header.message_id)
        if quick is None:
            return self._first(octets, header, now)
        if quick.initiator:
            return self._second(quick, octets, header, now)
        return self._third(quick, octets, header, now)

    def _first(self, octets: bytes, header: Header, now: float) -> bool:
        channel = self._owner.channel
        sealed = channel.read_sealed(octets, header)
        QUICK[0].check(sealed.parts)
        channel.check(sealed)
        channel.begin_exchange(header)
        if self._left:
            raise UnexpectedMessage("quick mode under keys that another IKE SA has renewed")
        if early := self._too_early():
            channel.not_yet(header)
            raise UnexpectedMessage(early)
        try:
            self._answer(octets, header, sealed.parts, now)
        except ProtocolError as error:
            channel.answers.keep(octets, None, now=now)
            self._refuse(error, header, sealed.parts)
        return True

    def _too_early(self) -> str:
        """Why nothing can be agreed at the moment; said again, it may find that passed."""
        if self._owner.phase is not Phase.UP:
            return "quick mode before there is an address"
        if len(self._open) >= OPEN_AT_ONCE:
            return f"more than {OPEN_AT_ONCE} quick modes at once"
        if len(self._owner.pairs) >= MOST_PAIRS:
            return f"more than {MOST_PAIRS} pairs of IPsec SAs"
        return ""

    def _answer(self, octets: bytes, header: Header, parts: Chain, now: float) -> None:
        channel = self._owner.channel
        remote, local = arithmetic.selectors(
            parts, _host(self._owner.path.local[0]), _host(self._owner.path.remote[0])
        )
        if self._owner.settings.transport:
            local, remote = self._ends(local, remote)
        self._check_selectors(local, remote)
        quick = QuickMode(header.message_id, self._draw(), False, local, remote)
        quick.replaces = self._owner.pairs.same(local, remote)
        try:
            answer, agreed = arithmetic.answer(
                quick, parts, self._terms(), channel.keys, self._owner.rng
            )
        except ProtocolError:
            self._spis.release(quick.spi)
            raise
        answer = (*answer, *self._original_addresses(initiator=False))
        message = channel.send_quick_answer(quick.message_id, answer, quick.nonce_i)
        channel.answers.keep(octets, message, now=now)
        self._open[quick.message_id] = quick
        number = self._install(quick, agreed, now)
        self._agreed[quick.message_id] = number, agreed
        self._expect(quick, message, now)

    def _original_addresses(self, *, initiator: bool) -> Chain:
        owner = self._owner
        version = natt.best(owner.features, owner.settings.natt)
        if not owner.settings.transport or not owner.encapsulated or version is None:
            return ()
        ours, theirs = owner.path.local[0], owner.path.remote[0]
        return natt.original_addresses(version, *((ours, theirs) if initiator else (theirs, ours)))

    def _ends(self, local: Selector, remote: Selector) -> tuple[Selector, Selector]:
        """In transport mode it is the two ends, by the addresses that packets have here: whoever
        is behind a NAT cannot know its own (RFC 3948 §5.2). Raises SelectorError for networks."""
        for asked in (local, remote):
            if asked.network.num_addresses > 1:
                raise SelectorError(f"{asked} is a network; transport mode is for two hosts only")
        path = self._owner.path
        near, far = _host(path.local[0]), _host(path.remote[0])
        return replace(local, network=near.network), replace(remote, network=far.network)

    def _check_selectors(self, local: Selector, remote: Selector) -> None:
        """Raises SelectorError unless this peer may have exactly this."""
        if self._owner.pairs.same(local, remote):
            return  # a renewal of what was agreed before
        permitted = self._owner.permitted
        if permitted is None or not permitted.peer_may_use:
            raise SelectorError("this peer may not ask for a tunnel")
        if not any(theirs.covers(remote) for theirs in permitted.peer_may_use):
            theirs = ", ".join(map(str, permitted.peer_may_use))
            what = "the address that was handed out, nor a network of this peer"
            raise SelectorError(f"{remote} is not {what} ({theirs})")
        if not any(reachable.covers(local) for reachable in permitted.reachable):
            raise SelectorError(f"{local} is not reachable for this peer")

    def _refuse(self, error: ProtocolError, header: Header, parts: Chain) -> None:
        ours = ", ".join(suite.name for suite in self._terms().suites)
        comparisons = getattr(error, "comparisons", ())
        if comparisons:
            self._owner.tell_differences(2, comparisons, ours)
        theirs = arithmetic.asked_for(parts)
        self._owner.channel.log("quick.refused", reason=str(error), remote=theirs, local=ours)
        data = b""
        if isinstance(error, PfsMismatch):
            offered, accepted = error.offered, error.accepted
            self._owner.channel.log("quick.pfs-mismatch", remote=offered, local=accepted)
            data = error.data if "culvert" in self._owner.features else b""
        number = header.message_id.to_bytes(4, "big")
        self._informational.refuse_quick(error.notify, number, data)

    def _second(self, quick: QuickMode, octets: bytes, header: Header, now: float) -> bool:
        channel = self._owner.channel
        sealed = channel.read_sealed(octets, header)
        QUICK[1].check(sealed.parts)
        channel.check(sealed, nonce=quick.nonce_i)
        channel.answered(quick.message_id)
        del self._open[quick.message_id]
        try:
            agreed = arithmetic.finish(quick, sealed.parts, self._terms(), channel.keys)
        except ProtocolError as error:
            self._spis.release(quick.spi)
            self._refused(quick, str(error))
            if not len(self._owner.pairs) and not self._open:
                self._informational.delete_everything(NOTHING_AGREED)
                # Nothing to agree on is one thing, a message that makes no sense another.
                agreeable = isinstance(error, NegotiationError | SelectorError)
                reason = "phase2-refused" if agreeable else "protocol-error"
                self._owner.end(reason, now=now, detail=str(error))
            return True
        hashed = quick_hash_3(channel.keys, quick.message_id, quick.nonce_i, quick.nonce_r)
        message = channel.send_sealed(QUICK_EXCHANGE, quick.message_id, (), hashed=hashed)
        channel.answers.keep(octets, message, now=now)
        channel.end_exchange(quick.message_id)
        number = self._install(quick, agreed, now)
        self._activate(quick, number, agreed, now)
        return True

    def _third(self, quick: QuickMode, octets: bytes, header: Header, now: float) -> bool:
        channel = self._owner.channel
        sealed = channel.read_sealed(octets, header)
        QUICK[2].check(sealed.parts)
        wanted = quick_hash_3(channel.keys, quick.message_id, quick.nonce_i, quick.nonce_r)
        channel.check_against(sealed, wanted)
        channel.answered(quick.message_id)
        channel.answers.keep(octets, None, now=now)
        channel.end_exchange(quick.message_id)
        del self._open[quick.message_id]
        number, agreed = self._agreed.pop(quick.message_id)
        if self._owner.pairs.get(number) is not None:  # else deleted before it was confirmed
            self._activate(quick, number, agreed, now)
        return True

    # --- pairs -------------------------------------------------------------------------------

    def _install(self, quick: QuickMode, agreed: Agreed, now: float) -> int:
        pairs = self._owner.pairs
        number = pairs.next_number()
        pair = Pair(
            number,
            agreed.inbound.spi,
            agreed.outbound.spi,
            quick.local,
            quick.remote,
            quick.initiator,
        )
        pairs.add(pair, agreed.life, now=now)
        self._owner.channel.out.append(
            Install(
                number,
                agreed.suite,
                agreed.inbound,
                agreed.outbound,
                quick.local,
                quick.remote,
                self._owner.path,
                self._owner.encapsulated,
                agreed.life.seconds,
                agreed.life.kilobytes,
                quick.replaces,
                self._owner.settings.transport,
                *pairs.volumes(pair, agreed.life, now=now),
                agreed.cpi_in,
                agreed.cpi_out,
            )
        )
        return number

    def _activate(self, quick: QuickMode, number: int, agreed: Agreed, now: float) -> None:
        channel = self._owner.channel
        self._owner.pairs.carry_never(quick.replaces)
        if quick.replaces and quick.initiator and "culvert" not in self._owner.features:
            self._owner.pairs.carry_later(number, after=SETTLING, now=now)
        else:
            channel.out.append(Activate(number))
        if not self._carried:
            self._owner.tell_life()
        self._carried = True
        channel.log(
            "quick.established",
            message_id=quick.message_id,
            spi_in=spi_text(agreed.inbound.spi),
            spi_out=spi_text(agreed.outbound.spi),
            suite=agreed.suite.name,
            local=str(quick.local),
            remote=str(quick.remote),
            additional=not quick.replaces
            and any(other.number < number for other in self._owner.pairs),
            life_seconds=agreed.life.seconds,
            life_kilobytes=agreed.life.kilobytes,
        )
        warned, ours = self._owner.warned, self._owner.settings.phase2_life.seconds
        warned.weak(agreed.suite.name, agreed.suite.weak)
        warned.tell(channel)
        # A client that asks for more than there is gets less; that is the usual way of Cisco's.
        if quick.initiator or agreed.theirs.seconds < ours:
            warned.lifetime("IPsec SA", ours, agreed.theirs.seconds, channel)
        if quick.initiator:
            self._owner.pairs.retire(quick.replaces, now=now)
        else:
            self._owner.pairs.succeeded(quick.replaces, number)
        unconfirmed = {waiting for waiting, _ in self._agreed.values()}
        if kept := self._owner.pairs.settle(number, unconfirmed, now=now):
            channel.out.append(Activate(kept))

    def asks(self, local: Selector, remote: Selector) -> bool:
        """Whether we wait for the peer's answer about these selectors."""
        return any(
            quick.initiator and (quick.local, quick.remote) == (local, remote)
            for quick in self._open.values()
        )

    def renewing(self, number: int) -> bool:
        """Whether a successor of this pair is being agreed on."""
        return any(quick.replaces == number for quick in self._open.values())

    def tick(self, kind: str, number: int, now: float) -> None:
        """A pair's time has come: renew it softly, or end it."""
        pair = self._owner.pairs.get(number)
        if pair is not None and kind == "pair-soft":
            self._owner.channel.log("quick.rekeying", spi_in=spi_text(pair.inbound_spi))
            self.start(pair.local, pair.remote, number, now)
        elif pair is not None and kind == "pair-carries":
            self._owner.channel.out.append(Activate(number))
        elif pair is not None:
            self.end(pair)

    def superseded(self, number: int) -> None:
        """A pair ends whose successor the peer asked for: it carries by that one, even if the
        message that says so was lost. Repeats will bring it."""
        found = [
            successor
            for message_id, (successor, _) in self._agreed.items()
            if self._open[message_id].replaces == number
        ]
        self._owner.channel.out += [Activate(successor) for successor in found]

    def end(self, pair: Pair) -> None:
        """This pair has lived as long, or carried as much, as it may."""
        self.superseded(pair.number)
        self._informational.delete_pair(pair.inbound_spi)
        self._owner.remove_pair(pair.number)


def _host(address: str) -> Selector:
    return Selector(ip_network(address))
