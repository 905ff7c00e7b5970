"""The tunnel of a connection: what Mode Config gave, pairs of SAs, this machine, traffic."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from math import inf
from typing import assert_never

from culvert.client.configuration import Given, given
from culvert.client.joint import Joint
from culvert.client.pairs import (
    SESSION,
    install,
    largest_inside,
    routes_of,
    tunnel_settings,
    wanted_pairs,
)
from culvert.effects import (
    ActivateSa,
    ConfigureMachine,
    Effect,
    MachineConfigured,
    PairWorn,
    PeerMoved,
    RemoveSa,
    Traffic,
    TunnelSettings,
)
from culvert.ike.carriage import after_move
from culvert.ike.outputs import (
    Activate,
    Install,
    Output,
    Remove,
)
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.wire.attribute import Attribute
from culvert.session.session import Counters
from culvert.session.silence import Silence

STREAM = 20
"""Packets between two looks that make a stream: in one that flows this way only, nothing of ours
would tell a NAT that forgot us, or the gateway behind it, where we are."""


class Tunnel(Joint):
    """Between an IKE SA that is logged in and a machine that is set up."""

    def _configured(self, answer: Given, now: float) -> list[Effect]:
        if not answer.address:
            return self._leave("no-address", now)
        self._so_far.given = answer
        self._had = answer.address if self.profile.provisioning != "off" else ""
        unprovided = self.profile.provisioning == "off"
        self._so_far.own_address = unprovided and not self.profile.local_address
        self._so_far.udp_port = self._udp_port(answer)
        self._so_far.routes = routes_of(self.profile, answer, self._so_far.address)
        return self._ask_for_pairs(now)

    def _answer(self, attributes: Iterable[Attribute]) -> Given:
        """The gateway's answer; without Mode Config, the address of the profile or our own."""
        if self.profile.provisioning != "off":
            return given(attributes)
        sa = self._endpoint.get(self._renewal or self._sa)
        own = sa.path.local[0] if sa is not None else ""
        return Given(address=self.profile.local_address or own)

    def _ask_for_pairs(self, now: float) -> list[Effect]:
        made: list[Effect] = []
        for local, remote in wanted_pairs(self.profile, self._so_far, unity=self._unity):
            made += self._quick(local, remote, now)
        return made

    def _ask_for_missing(self, now: float) -> list[Effect]:
        """Pairs that the gateway took away while the connection stands."""
        self._absent.whole()
        sa = self._endpoint.get(self._sa)
        if sa is None:
            return []
        wanted = wanted_pairs(self.profile, self._so_far, unity=self._unity)
        gone = [(local, remote) for local, remote in wanted if not sa.pairs.same(local, remote)]
        missing = [
            self._event("client.pair-missing", local=str(local), remote=str(remote))
            for local, remote in gone
            if not sa.negotiator.asks(local, remote)
        ]
        if not missing:
            if gone:
                self._absent.under_way(now)
            return []
        self._absent.asked(now)
        return [*missing, *self._ask_for_pairs(now)]

    def _quick(self, local: Selector, remote: Selector, now: float) -> list[Effect]:
        def start(sa: IkeSa) -> list[Output]:
            # A renewal that outlives its pair is under way still.
            asked = sa.negotiator.asks(local, remote) or sa.pairs.same(local, remote)
            return [] if asked else sa.start_quick(local, remote, now=now)

        return self._carry(self._endpoint.act(self._sa, start), now)

    def _pair(self, pair: Install | Activate | Remove, now: float) -> list[Effect]:
        match pair:
            case Install():
                return self._install(pair, now)
            case Activate(number=number):
                return [ActivateSa(SESSION, number), *self._configure(now)]
            case Remove(number=number):
                self._so_far.pairs -= 1
                if self.state == "up":
                    self._absent.lost(now)
                return [RemoveSa(SESSION, number)]
            case _:
                assert_never(pair)

    def _install(self, pair: Install, now: float) -> list[Effect]:
        so_far = self._so_far
        if so_far.silence is None:
            so_far.silence = self._watch(now)
        so_far.pairs += 1
        so_far.esp = pair.suite
        if (sa := self._endpoint.get(self._sa)) is not None:
            so_far.way, so_far.tunnel_port = so_far.carried_by(sa)
        so_far.weak = tuple(sorted({*so_far.weak, *pair.suite.legacy}))
        largest = largest_inside(self.profile, so_far, pair.suite, self._carriage)
        return [install(pair, so_far.routes, so_far.udp_port, largest)]

    def _configure(self, now: float) -> list[Effect]:
        """Once, with the first pair that carries."""
        so_far = self._so_far
        if so_far.configuring or so_far.esp is None:
            return []
        so_far.configuring = True
        settings = tunnel_settings(self.profile, so_far, so_far.esp, self._carriage)
        if settings == self._set_up:
            return self._up(now)  # back with all it had before
        self._set_up = settings
        return [self._order("machine", settings)]

    def _order(self, what: str, settings: TunnelSettings) -> Effect:
        self._waits_for = what
        self._ticket += 1
        return ConfigureMachine(self._ticket, settings)

    def _machine(self, done: MachineConfigured, now: float) -> list[Effect]:
        about, self._waits_for = self._waits_for, ""
        if done.problem:
            told = self._event("client.machine-failed", problem=done.problem)
            return [told, *self._leave("machine-failed", now)]
        self._interface = done.interface
        if about == "way":
            return self._call(now)
        made = self._up(now) if about == "machine" else []
        told = self._event(
            "client.machine-configured",
            interface=done.interface,
            address=self._so_far.given.address,
            routes=self._so_far.routes,
            dns=self._so_far.given.dns,
        )
        return [told, *made]

    def _up(self, now: float) -> list[Effect]:
        so_far = self._so_far
        so_far.interface = self._interface
        so_far.up_at = self._wall + timedelta(seconds=now - self._began)
        self.state = "up"
        self._hosts.again()
        self._returning.over()
        self._patient_until = inf
        address, seconds = so_far.given.address, round(now - so_far.began, 3)
        return [
            self._event(
                "client.up",
                profile=self.profile.name,
                address=address,
                seconds=seconds,
                poll_seconds=self.profile.polling_interval,
            )
        ]

    def _udp_port(self, answer: Given) -> int:
        """The gateway's port for ESP in UDP, if that is the way (Cisco's own)."""
        sa = self._endpoint.get(self._sa)
        if sa is None or sa.traverses or not self.profile.ipsec_over_udp:
            return 0
        return answer.natt_port

    def _peer_moved(self, moved: PeerMoved, now: float) -> list[Effect]:
        def follow(sa: IkeSa) -> list[Output]:
            return sa.moved(after_move(sa.path, moved.peer, moved.local_port))

        return self._carry(self._endpoint.act(self._sa, follow), now)

    def _worn(self, worn: PairWorn, now: float) -> list[Effect]:
        renewed = self._endpoint.act(
            self._sa, lambda sa: sa.worn(worn.pair, spent=worn.spent, now=now)
        )
        return self._carry(renewed, now)

    def _traffic(self, traffic: Traffic, now: float) -> list[Effect]:
        so_far = self._so_far
        if self._returning.wanted("lost-peer"):
            sent = traffic.packets_out > (so_far.carried.packets_out if so_far.carried else 0)
            came = traffic.packets_in > so_far.heard_packets
            self._doubt.carried(heard=came, sent=sent, now=now)
        so_far.carried = traffic
        if so_far.silence is not None:
            counted = Counters(packets_in=traffic.packets_in, packets_out=traffic.packets_out)
            so_far.silence.counted(counted, now=now)
        sa = self._endpoint.get(self._sa)
        if sa is not None and traffic.packets_in > so_far.heard_packets:
            streaming = traffic.packets_in - so_far.heard_packets >= STREAM
            so_far.heard_packets = traffic.packets_in
            sa.heard(now=now, streaming=streaming)
            # Hearing moved the deadline of its own accord.
            return self._carry(self._endpoint.act(self._sa, _nothing), now)
        return []

    def _watch(self, now: float) -> Silence:
        sa = self._endpoint.get(self._sa)
        nat = sa is not None and sa.nat.found
        in_udp = self._encapsulated or bool(self._so_far.udp_port)
        return Silence(untraversed=nat and not in_udp, encapsulated=in_udp, now=now)


def _nothing(_: IkeSa) -> list[Output]:
    return []
