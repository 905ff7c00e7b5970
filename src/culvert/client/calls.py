"""Calls and ends of a connection: the gateways it has, coming back after a loss, going for good."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from math import inf

from culvert.client.configuration import Given
from culvert.client.doubt import Act, Doubt
from culvert.client.pairs import SESSION
from culvert.client.progress import Progress
from culvert.client.returning import ATTEMPT, SETTLING, UNREACHED
from culvert.client.searching import Searching
from culvert.client.settings import IKE_PORT, NATT_PORT
from culvert.client.watched import farewell
from culvert.effects import (
    Effect,
    OpenStream,
    Resolve,
    Resolved,
    RestoreMachine,
    SessionEnded,
    StreamOpened,
)
from culvert.ike.outputs import (
    Authenticated,
    Configured,
    Output,
    Over,
)
from culvert.ike.peer import IkeSa
from culvert.inet.address import Path
from culvert.profile.watching import unwatched
from culvert.session.ending import closing_words, endings, heard


class Calls(Searching):
    """Which gateway is called, when, and what an ending leads to."""

    def _resolve(self) -> Effect:
        self._waits_for = "address"
        self._ticket += 1
        return Resolve(self._ticket, self._hosts.current)

    def _resolved(self, found: Resolved, now: float) -> list[Effect]:
        self._waits_for = ""
        address, host = self._hosts.resolved(found.addresses), self._hosts.current
        if not address:
            problem = (
                found.problem or "it has IPv6 addresses only, and gateways are called over IPv4"
            )
            told = self._event("client.resolve-failed", host=host, problem=problem)
            return [told, *self._ended("resolve-failed", now)]
        self._so_far.address, self._so_far.path_mtu = address, found.path_mtu
        self._ways.begin(found.network, found.way)
        made: list[Effect] = [self._event("client.resolved", host=host, address=address)]
        if unwatched(self.profile):
            made.append(self._event("client.no-poll-entry", profile=self.profile.name))
            return [*made, *self._down("no-poll-entry", now)]
        if self._set_up is not None and self._set_up.gateway != address:
            # Another gateway: the way to it must not lead into the tunnel that is kept closed.
            self._set_up = replace(self._set_up, gateway=address)
            return [*made, self._order("way", self._set_up)]
        return made + self._call(now)

    def _call(self, now: float) -> list[Effect]:
        if self._by_stream and self._so_far.stream is None and not self._no_stream:
            self._waits_for = "stream"
            self._ticket += 1
            return [OpenStream(self._ticket, (self._so_far.address, self.profile.tcp_port))]
        self._no_stream = False
        self._enter("connecting")
        self._patient_until = self._sign_of_life(now)
        if self._returning.under_way and self._patient_until == inf:
            self._patient_until = now + ATTEMPT
        self._sa, outputs = self._endpoint.call(self._path, now=now)
        return self._carry(outputs, now)

    def _stream_opened(self, opened: StreamOpened, now: float) -> list[Effect]:
        """TCP comes first; without it, UDP as ever."""
        self._waits_for = ""
        self._so_far.stream, self._no_stream = opened.address, opened.address is None
        self._so_far.tcp_port = self.profile.tcp_port
        if opened.address is not None:
            return self._call(now)
        host, port = self._so_far.address, self.profile.tcp_port
        told = self._event("client.tcp-failed", host=host, port=port, problem=opened.problem)
        if self._ways.current is not None:
            self._no_stream = False
            self._enter("connecting")
            return [told, *self._ended("no-answer", now)]
        return [told, *self._call(now)]

    @property
    def _path(self) -> Path:
        if self._so_far.stream is not None:
            return Path(("0.0.0.0", NATT_PORT), self._so_far.stream, encapsulated=True)  # noqa: S104
        local = ("0.0.0.0", IKE_PORT)  # noqa: S104  # not known yet
        return Path(local, (self._so_far.address, IKE_PORT))

    def _leave(self, reason: str, now: float) -> list[Effect]:
        if parting := self._give_back(reason, now):
            return parting
        self._leaving = reason
        words = farewell(reason)
        if self._endpoint.get(self._sa) is None:
            return self._down(reason, now)

        def close(sa: IkeSa) -> list[Output]:
            return sa.close(reason, words, now=now)

        return self._carry(self._endpoint.act(self._sa, close), now)

    def _over(self, over: Over, now: float) -> list[Effect]:
        reason = self._leaving or over.reason
        by_peer = over.by_peer and not self._leaving
        if reason == "peer-deleted":
            told = endings().get(over.told)
            reason = told.id if told and told.tell_peer else heard(over.code, from_client=False).id
        return self._ended(reason, now, by_peer=by_peer, code=over.code)

    def _ended(
        self, reason: str, now: float, *, by_peer: bool = False, code: int = 0
    ) -> list[Effect]:
        """This attempt or connection is over: is another gateway, or a later moment, worth it?"""
        if not self._leaving:
            another = self._another_way(reason, now)
            if another is not None:
                return another
            if self.state in ("up", "reconnecting") and self._returning.wanted(reason):
                return self._lost(reason, now, by_peer=by_peer)
            unheard = self.state in ("resolving", "connecting") and reason in UNREACHED
            if unheard and self._hosts.next():
                return self._next_gateway()
        return self._down(reason, now, by_peer=by_peer, code=code)

    def _down(
        self, reason: str, now: float, *, by_peer: bool = False, code: int = 0
    ) -> list[Effect]:
        """Everything of this connection is undone; told exactly once."""
        self.state = "down"
        self._person.forget()
        self._returning.over()
        made: list[Effect] = [SessionEnded(SESSION, reason, by_peer), *self._forget(now)]
        if self._set_up is not None:
            self._set_up = None
            made.append(RestoreMachine(self.profile.name))
        peer = self._so_far.address if by_peer else ""
        words = closing_words(reason, peer=peer, code=code)
        made.append(
            self._event(
                "client.down",
                profile=self.profile.name,
                reason=reason,
                by_peer=by_peer,
                words=words,
            )
        )
        return made

    def _forget(self, now: float) -> list[Effect]:
        """What belonged to the IKE SA that is over."""
        self._waits_for = ""
        self._unwatch()
        self._absent.forget()
        self._patient_until = inf
        self._so_far.up_at = None
        self._so_far.pairs = 0
        self._so_far.silence = None
        self._so_far.configuring = False
        self._doubt = Doubt()
        self._lease, self._parts_at = None, inf
        renewal, self._renewal = self._renewal, 0
        made = self._close(renewal, "replaced", now) if renewal else []
        return made + self._drop_probe(now)

    def _next_gateway(self) -> list[Effect]:
        self.state = "resolving"
        host = self._hosts.current
        return [
            self._event("client.next-gateway", profile=self.profile.name, host=host),
            self._resolve(),
        ]

    def _lost(self, reason: str, now: float, *, by_peer: bool) -> list[Effect]:
        """To be tried again; meanwhile the machine stays as it is, so that nothing passes in
        clear, unless the profile wants otherwise."""
        if self._returning.under_way:
            self._hosts.next()
        wait = self._returning.again(reason, now)
        if wait is None:
            return self._down(reason, now, by_peer=by_peer)
        self.state = "reconnecting"
        made: list[Effect] = [SessionEnded(SESSION, reason, by_peer), *self._forget(now)]
        if self._set_up is not None and not self.profile.fail_closed:
            self._set_up = None
            made.append(RestoreMachine(self.profile.name))
        return [*made, self._tell_return(wait)]

    def _tell_return(self, wait: float) -> Effect:
        return self._event(
            "client.reconnecting",
            profile=self.profile.name,
            attempt=self._returning.attempt,
            wait=round(wait, 1),
            reason=self._returning.reason,
        )

    def _try_again(self, now: float) -> list[Effect]:
        self._returning.begun()
        self._so_far = Progress(began=now)
        return [self._resolve()]

    def _unanswered(self, now: float) -> list[Effect]:
        """An attempt to come back that nobody answered; the next is not far."""
        self._patient_until = inf
        return self._close(self._probe or self._sa, "no-answer", now)

    def _patience(self, now: float) -> float:
        """How long a gateway that is found again may take for what no person has a part in."""
        return now + SETTLING if self._returning.under_way else inf

    def _doubts(self, now: float) -> list[Effect]:
        sa = self._endpoint.get(self._sa)
        if sa is None or self.state != "up" or not self._returning.wanted("lost-peer"):
            return []
        self._doubt.look(sa.unanswered_since, now)
        made = self._drop_probe(now) if sa.unanswered_since == inf else []
        if self._doubt.calling and not self._probe:
            self._doubt.over()
        match self._doubt.tick(now):
            case Act.ASK:
                made += self._carry(self._endpoint.act(self._sa, lambda sa: sa.ask(now=now)), now)
            case Act.CALL:
                self._patient_until = now + ATTEMPT
                self._probe, outputs = self._endpoint.call(self._path, now=now)
                made += self._carry(outputs, now)
            case Act.REPLACE:
                made += self._forgotten(now)
            case None:
                pass
        return made

    def _drop_probe(self, now: float) -> list[Effect]:
        number, self._probe = self._probe, 0
        self._held.clear()
        if not number:
            return []
        self._patient_until = inf
        self._doubt.calling = False
        return self._close(number, "replaced", now)

    def _probed(self, output: Output, now: float) -> list[Effect]:
        if isinstance(output, Over):
            self._probe, self._patient_until = 0, inf
            self._held.clear()
            self._doubt.call_failed(now)
            return []
        self._held.append(output)
        if isinstance(output, Authenticated):
            self._patient_until = inf
            self._doubt.called(now)
        return []

    def _forgotten(self, now: float) -> list[Effect]:
        """It proved its key and yet leaves all about the old one unanswered."""
        old, self._sa, self._probe = self._sa, self._probe, 0
        held, self._held = self._held, []
        made = self._close(old, "lost-peer", now)
        made += [SessionEnded(SESSION, "lost-peer"), *self._forget(now)]
        self._returning.found(now)
        self._so_far = self._so_far.anew(now)
        made.append(self._tell_return(0.0))
        return made + self._carry([(self._sa, output) for output in held], now)

    # --- phase 1 anew ------------------------------------------------------------------------

    def _renew(self, now: float) -> list[Effect]:
        """The keys of phase 1 grow old: call again, beside the connection."""
        if self._renewal:
            return []
        address = self._so_far.given.address
        self._renewal, outputs = self._endpoint.renew(self._sa, address=address, now=now)
        return self._carry(outputs, now)

    def _renewed(self, output: Output, now: float) -> list[Effect]:
        match output:
            case Configured(attributes=attributes):
                return self._succeeded(self._answer(attributes), now)
            case Over(reason=reason, told=told):
                self._renewal = 0
                if UNREACHED & {reason, told}:
                    again = self._endpoint.act(self._sa, lambda sa: sa.renew_later(now=now))
                    return self._carry(again, now)
                return []  # who was refused will not be let in by trying: the old one lives on
            case _:
                return []

    def _succeeded(self, answer: Given, now: float) -> list[Effect]:
        """The tunnels go on under the new keys; with another address all is made anew."""
        old, new, self._renewal = self._sa, self._renewal, 0
        if answer.address == self._so_far.given.address:
            made = self._carry(self._endpoint.succeed(old, new, now=now), now)
            self._sa = new
            return made + self._close(old, "replaced", now)
        self._sa = new
        made = self._close(old, "replaced", now)
        made += [SessionEnded(SESSION, "replaced"), *self._forget(now)]
        self._so_far = self._so_far.anew(now)
        return made + self._configured(answer, now)

    @abstractmethod
    def _became(self, news: Authenticated, now: float) -> list[Effect]:
        """An IKE SA of this connection went on."""
