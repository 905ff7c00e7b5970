"""Informational exchanges of one IKE SA: liveness, deletes and notices (RFC 2408 §4.8, RFC 3706).

A clear one, before there are keys, is only a hint: it may be forged by anybody.
"""

from __future__ import annotations

from math import inf

from culvert.errors import UnexpectedMessage
from culvert.ike import pfs
from culvert.ike.liveness import Dead, Liveness, Question
from culvert.ike.outputs import Announced
from culvert.ike.owner import Owner, Phase, spi_text
from culvert.ike.proposal import Lifetime, ike_life_octets
from culvert.ike.quick import announced_life
from culvert.ike.script import INFORMATIONAL
from culvert.ike.wire import header as wire
from culvert.ike.wire.announcement import ANNOUNCEMENT, Announcement
from culvert.ike.wire.header import Header
from culvert.ike.wire.notify import (
    ALTIGA_KEEPALIVE,
    AUTHENTICATION_FAILED,
    CERT_TYPE_UNSUPPORTED,
    INITIAL_CONTACT,
    INVALID_CERT_AUTHORITY,
    INVALID_CERTIFICATE,
    INVALID_HASH_INFORMATION,
    INVALID_ID_INFORMATION,
    INVALID_SIGNATURE,
    NO_PROPOSAL_CHOSEN,
    R_U_THERE,
    R_U_THERE_ACK,
    RESPONDER_LIFETIME,
    UNSUPPORTED_EXCHANGE_TYPE,
    Delete,
    Notify,
)
from culvert.ike.wire.payload import DELETE, NOTIFY, Chain, of_kind, one
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_ISAKMP
from culvert.ike.wire.reason import DELETE_WITH_REASON, Reason
from culvert.inet.address import text
from culvert.octets.cursor import Cursor
from culvert.tables.numbers import notify_name
from culvert.tables.quirks import RENEWS_DELETED_PAIRS

ERRORS = range(1, 8192)  # RFC 2408 §3.14.1
# What an error in clear, while we call, most likely means (never certain).
HINTS = {
    NO_PROPOSAL_CHOSEN: "proposal-refused",
    AUTHENTICATION_FAILED: "group-mismatch",
    UNSUPPORTED_EXCHANGE_TYPE: "mode-refused",
}
# What an error about our proof means where certificates are the proof.
DISPUTES = frozenset(
    (
        INVALID_ID_INFORMATION,
        INVALID_CERTIFICATE,
        CERT_TYPE_UNSUPPORTED,
        INVALID_CERT_AUTHORITY,
        INVALID_HASH_INFORMATION,
        AUTHENTICATION_FAILED,
        INVALID_SIGNATURE,
    )
)
MAY_BE_REFUSED = frozenset((R_U_THERE, R_U_THERE_ACK, RESPONDER_LIFETIME, ANNOUNCEMENT))


class Informational:
    """Sends and takes the one-message exchanges."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.farewell = b""
        """The delete of this IKE SA, once it was sent."""
        self._liveness: Liveness | None = None
        self._began = 0.0
        self._announced = 0
        self._believed = 0

    # --- liveness ----------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Phase 1 stands."""
        timing = self._owner.settings.timing
        asks = "dpd" in self._owner.features
        self._began = now
        self._liveness = Liveness(
            delay=timing.dpd_delay if asks else 0.0,
            retry=timing.dpd_retry,
            tries=timing.dpd_tries,
            sequence=int.from_bytes(self._owner.rng.octets(4), "big"),
            now=now,
            grain=timing.dpd_grain,
        )
        self._arm()
        if self._keeps_alive and timing.keepalive:
            self._owner.timers.set("keepalive", now + timing.keepalive)
        if "altiga" in self._owner.features and timing.heartbeat:
            self._owner.timers.set("heartbeat", now + timing.heartbeat)

    @property
    def _keeps_alive(self) -> bool:
        """The end behind the NAT does (S4-12); who may have a UDP port for ESP only cannot know."""
        owner = self._owner
        beside = owner.settings.over_udp and not owner.traverses
        return (owner.encapsulated and owner.nat.local) or beside

    def heard(self, now: float, *, streaming: bool = False) -> None:
        if self._liveness is not None:
            self._liveness.heard(now, streaming=streaming)
            self._arm()

    def tick(self, now: float) -> None:
        if self._liveness is None:
            return
        match self._liveness.tick(now):
            case Question(sequence=sequence):
                self._owner.channel.log("live.question", sequence=sequence)
                self._send(self._dpd(R_U_THERE, sequence))
            case Dead(seconds=seconds, questions=questions):
                self._owner.channel.log(
                    "live.peer-dead", seconds=round(seconds, 1), questions=questions
                )
                # What we said may have been lost, and not what we heard.
                self.delete_everything(Reason(code=1, ending="lost-peer"))
                self._owner.end("lost-peer", now=now)
                return
            case None:
                pass
        self._arm()

    def beat(self, now: float) -> None:
        """The sign of life that a VPN 3000 concentrator expects of its clients beside DPD."""
        self._owner.channel.log("live.heartbeat-sent")
        beat = Notify(ALTIGA_KEEPALIVE, PROTO_ISAKMP, self._owner.channel.cookies)
        self._send((beat.part(),))
        self._owner.timers.set("heartbeat", now + self._owner.settings.timing.heartbeat)

    def ask(self, now: float) -> None:
        """A question ahead of time, because somebody doubts."""
        question = self._liveness.ahead(now) if self._liveness is not None else None
        if question is not None:
            self._owner.channel.log("live.question", sequence=question.sequence)
            self._send(self._dpd(R_U_THERE, question.sequence))

    @property
    def unanswered_since(self) -> float:
        """Of the question that is open; inf if none is."""
        return inf if self._liveness is None else self._liveness.unanswered_since

    # --- announcements -----------------------------------------------------------------------

    def announce(self, dns: tuple[str, ...], nbns: tuple[str, ...], now: float) -> None:
        """We have another address now: this message comes from it, and so does a question, whose
        answer shows that it was heard. Peers of other kinds get the question alone."""
        if self._liveness is None:
            return
        channel = self._owner.channel
        if "culvert" in self._owner.features:
            self._announced += 1
            told = Announcement(self._announced, dns, nbns).to_bytes()
            peer = text(self._owner.path.remote)
            channel.log("dynamic.announced", peer=peer, dns=dns, nbns=nbns)
            self._send((Notify(ANNOUNCEMENT, PROTO_ISAKMP, channel.cookies, told).part(),))
        self.ask(now)

    def _heard_of(self, notify: Notify) -> bool:
        channel = self._owner.channel
        told = Announcement.parse(notify.data)
        if notify.spi != channel.cookies or told.sequence <= self._believed:
            raise UnexpectedMessage("an announcement for another SA, or an old one: a replay")
        self._believed = told.sequence
        channel.out.append(Announced(told.dns, told.nbns))
        return True

    def _arm(self) -> None:
        if self._liveness is not None:
            self._owner.timers.set("liveness", self._liveness.deadline)

    def _dpd(self, kind: int, sequence: int) -> Chain:
        data = sequence.to_bytes(4, "big")
        return (Notify(kind, PROTO_ISAKMP, self._owner.channel.cookies, data).part(),)

    # --- sending -----------------------------------------------------------------------------

    def _send(self, parts: Chain) -> bytes:
        message_id = self._owner.channel.new_id()
        octets = self._owner.channel.send_sealed(wire.INFORMATIONAL, message_id, parts)
        self._owner.channel.end_exchange(message_id)
        return octets

    def refuse_quick(self, kind: int, spi: bytes, data: bytes = b"") -> None:
        """Tell the peer why its quick mode came to nothing."""
        peer = text(self._owner.path.remote)
        self._owner.channel.log("ike.notify-sent", name=notify_name(kind), peer=peer)
        self._send((Notify(kind, PROTO_ESP, spi, data).part(),))

    def announce_life(self, seconds: int) -> None:
        """Ours is shorter than what the peer offered for the IKE SA (RFC 2407 §4.6.3.1)."""
        peer = text(self._owner.path.remote)
        name = notify_name(RESPONDER_LIFETIME)
        self._owner.channel.log("ike.notify-sent", name=name, peer=peer)
        data, spi = ike_life_octets(Lifetime(seconds)), self._owner.channel.cookies
        self._send((Notify(RESPONDER_LIFETIME, PROTO_ISAKMP, spi, data).part(),))

    def delete_pair(self, inbound_spi: int) -> None:
        self._owner.channel.log("ike.delete-sent", what="IPsec SA", spi=spi_text(inbound_spi))
        self._send((Delete(PROTO_ESP, (inbound_spi.to_bytes(4, "big"),)).part(),))

    def delete_everything(self, words: Reason | None) -> None:
        """A delete for each pair, then one for the IKE SA: each its own message, as racoon
        and SonicWALL want it. ``words`` go only to our own kind."""
        if RENEWS_DELETED_PAIRS not in self._owner.quirks:
            for pair in self._owner.pairs:
                self.delete_pair(pair.inbound_spi)
        channel = self._owner.channel
        deleted = Delete(PROTO_ISAKMP, (channel.cookies,))
        channel.log("ike.delete-sent", what="IKE SA", spi=channel.cookies.hex())
        known = self._owner.settings.reasons and "culvert" in self._owner.features
        if words is not None and known:
            self.farewell = self._send((words.part(deleted), deleted.part()))
        else:
            self.farewell = self._send((deleted.part(),))

    # --- receiving ---------------------------------------------------------------------------

    def receive(self, octets: bytes, header: Header, now: float) -> bool:
        """True if it was genuine and new."""
        channel = self._owner.channel
        if not header.encrypted:
            return self._hint(octets, header, now)
        if self._owner.in_phase1:
            return self._refusal(octets, header, now)
        sealed = channel.read_sealed(octets, header)
        INFORMATIONAL.check(sealed.parts)
        channel.check(sealed)
        channel.end_exchange(header.message_id)
        channel.answers.keep(octets, None, now=now)
        why = one(sealed.parts, DELETE_WITH_REASON)
        told = Reason.parse(why) if why else None
        notifies = [Notify.parse(part) for part in of_kind(sealed.parts, NOTIFY)]
        deletes = [Delete.parse(part) for part in of_kind(sealed.parts, DELETE)]
        # Whatever may be refused comes first: a refusal takes back what was put out, and once a
        # pair or this SA is gone, that must be told.
        notifies.sort(key=lambda notify: notify.kind not in MAY_BE_REFUSED)
        fresh = False
        for notify in notifies:
            fresh |= self._notified(notify, sealed.parts, octets, now)
        for delete in deletes:
            fresh |= self._deleted(delete, told, now)
        return fresh

    def _refusal(self, octets: bytes, header: Header, now: float) -> bool:
        """Who has the keys, but does not accept our proof, says so before phase 1 is over."""
        channel = self._owner.channel
        if not (channel.keyed and self._owner.certified):
            raise UnexpectedMessage("before phase 1 is over")
        sealed = channel.read_sealed(octets, header)
        INFORMATIONAL.check(sealed.parts)
        notifies = [Notify.parse(part) for part in of_kind(sealed.parts, NOTIFY)]
        errors = [notify for notify in notifies if notify.kind in ERRORS]
        if not errors:
            raise UnexpectedMessage("a notice before phase 1 is over")
        channel.check(sealed)
        self._disputed(errors[0], now)
        return False

    def _disputed(self, notify: Notify, now: float) -> None:
        name, peer = notify_name(notify.kind), text(self._owner.path.remote)
        self._owner.channel.log("ike.notify-received", name=name, peer=peer)
        detail = f"the other end says {name}"
        self._owner.end("certificate-disputed", now=now, by_peer=True, detail=detail)

    def _hint(self, octets: bytes, header: Header, now: float) -> bool:
        parts = self._owner.channel.read_clear(octets, header)
        part = one(parts, NOTIFY)
        if part is None or not self._owner.in_phase1:
            raise UnexpectedMessage("an informational in clear")
        notify = Notify.parse(part)
        peer = text(self._owner.path.remote)
        self._owner.channel.log("ike.notify-received", name=notify_name(notify.kind), peer=peer)
        if self._owner.initiator and notify.kind in ERRORS:
            reason = HINTS.get(notify.kind, "proposal-refused")
            if self._owner.certified and notify.kind in DISPUTES:
                reason = "certificate-disputed"
            self._owner.doubt(reason, now)
        elif self._owner.half_open and (
            notify.kind == AUTHENTICATION_FAILED
            or (notify.kind == INVALID_ID_INFORMATION and self._owner.certified)
        ):
            self._owner.disputed()
        return False

    def reject(self) -> None:
        """Tell, encrypted, that the peer's proof is not accepted; why is for our own log."""
        name, peer = notify_name(AUTHENTICATION_FAILED), text(self._owner.path.remote)
        self._owner.channel.log("ike.notify-sent", name=name, peer=peer)
        self._send((Notify(AUTHENTICATION_FAILED, PROTO_ISAKMP).part(),))

    def dispute(self, cookies: bytes, reason: str) -> None:
        """Tell, in clear, that an answer was not made with our key, or by whom we did not expect:
        its maker's log can name the cause then. Nothing depends on it."""
        kind = INVALID_ID_INFORMATION if reason == "id-refused" else AUTHENTICATION_FAILED
        self._owner.channel.log(
            "ike.notify-sent", name=notify_name(kind), peer=text(self._owner.path.remote)
        )
        notify = Notify(kind, PROTO_ISAKMP, cookies).part()
        self._owner.channel.send_clear(wire.INFORMATIONAL, (notify,))

    def _notified(self, notify: Notify, parts: Chain, octets: bytes, now: float) -> bool:
        channel = self._owner.channel
        match notify.kind:
            case kind if kind == R_U_THERE:
                return self._questioned(notify, octets, now)
            case kind if kind == R_U_THERE_ACK:
                return self._answered(notify, now)
            case kind if kind == ALTIGA_KEEPALIVE:
                channel.log("live.heartbeat-received")
                # Life, but it has no number: a recorded one must not move the peer.
                self.heard(now)
                return False
            case kind if kind == ANNOUNCEMENT:
                return self._heard_of(notify)
            case kind if kind == INITIAL_CONTACT:
                channel.log("ike.initial-contact", peer=text(self._owner.path.remote))
                return False
            case kind if kind == RESPONDER_LIFETIME:
                self._lifetime(notify, parts, now)
                return False
            case kind if kind in DISPUTES and self._disputes(notify):
                self._disputed(notify, now)
                return True
            case kind:
                peer = text(self._owner.path.remote)
                channel.log("ike.notify-received", name=notify_name(kind), peer=peer)
                if kind in ERRORS:
                    self._refused(notify, now)
                return False

    def _disputes(self, notify: Notify) -> bool:
        """Whether this is about our proof of phase 1, which was the last message of it: nothing
        else has been said since."""
        owner = self._owner
        last = (
            owner.channel.unanswered(0)
            if owner.initiator
            else owner.phase in (Phase.PERSON, Phase.CONFIG)
        )
        return owner.certified and notify.protocol == PROTO_ISAKMP and last

    def _questioned(self, notify: Notify, octets: bytes, now: float) -> bool:
        """RFC 3706 §5.4-5.5: only with our cookies, and never for an old number.

        A number that was answered before is answered again, but it may be a replay: it is not new.
        """
        if notify.spi != self._owner.channel.cookies or self._liveness is None:
            raise UnexpectedMessage("R-U-THERE for another SA")
        sequence = Cursor(notify.data).u32("DPD sequence number")
        new = self._liveness.asks_anew(sequence)
        if not self._liveness.questioned(sequence):
            raise UnexpectedMessage("R-U-THERE with an old number: a replay")
        channel = self._owner.channel
        channel.log("live.question-received", sequence=sequence)
        answer = self._send(self._dpd(R_U_THERE_ACK, sequence))
        channel.answers.amend(octets, answer)
        channel.log("live.answer-sent", sequence=sequence)
        return new

    def _answered(self, notify: Notify, now: float) -> bool:
        sequence = Cursor(notify.data).u32("DPD sequence number")
        if notify.spi != self._owner.channel.cookies or self._liveness is None:
            raise UnexpectedMessage("R-U-THERE-ACK for another SA")
        waited = self._liveness.answered(sequence, now)
        if waited is None:
            return False
        self._owner.channel.log("live.answer", sequence=sequence, seconds=round(waited, 3))
        return True

    def _lifetime(self, notify: Notify, parts: Chain, now: float) -> None:
        """The responder's life is shorter: it counts from the SA's beginning (S4-53)."""
        life = announced_life(parts, notify.protocol)
        self._owner.channel.log(
            "ike.responder-lifetime",
            protocol="IKE" if notify.protocol == PROTO_ISAKMP else "ESP",
            seconds=life.seconds,
        )
        if notify.protocol == PROTO_ISAKMP and life.seconds:
            ours = self._owner.settings.phase1_life.seconds
            self._owner.warned.lifetime("IKE SA", ours, life.seconds, self._owner.channel)
            alive = now - self._began
            left = max(life.seconds - alive, 0.0)
            self._owner.lives(left, now)
            self._owner.channel.log(
                "ike.lifetime-shortened", alive=round(alive), expiry=round(left)
            )

    def _refused(self, notify: Notify, now: float) -> None:
        spi = int.from_bytes(notify.spi[:4], "big")
        why = notify_name(notify.kind)
        if (found := pfs.heard(notify.data)) is not None:
            offered, accepted = found
            self._owner.channel.log("quick.pfs-mismatch", remote=accepted, local=offered)
            why = f"{why}: PFS group {offered} is offered, {accepted} is accepted"
        elif notify.kind == NO_PROPOSAL_CHOSEN and self._owner.settings.phase2:
            # Others do not say what they miss; PFS is the part of it that people look for last.
            why = f"{why} (offered with PFS group {self._owner.settings.phase2[0].pfs_word})"
        self._owner.quick_refused(spi, why, now)

    def _deleted(self, delete: Delete, told: Reason | None, now: float) -> bool:
        channel = self._owner.channel
        if delete.protocol == PROTO_ISAKMP:
            if channel.cookies not in delete.spis:
                return False
            channel.log("ike.delete-received", what="IKE SA", spi=channel.cookies.hex())
            detail = told.text if told else ""
            self._owner.end("peer-deleted", now=now, by_peer=True, detail=detail, told=told)
            return True
        found = False
        for octets in delete.spis:
            spi = int.from_bytes(octets, "big")
            channel.log("ike.delete-received", what="IPsec SA", spi=spi_text(spi))
            pair = self._owner.pairs.by_spi(spi) if delete.protocol == PROTO_ESP else None
            if pair is not None:
                found = True
                self._owner.pair_deleted(pair.number)
        return found
