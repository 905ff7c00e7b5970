"""Finding the way that gets through, with ``transport = "auto"``: what is blocked, and what next.

A way is given up where nothing came back on it in time, or where the tunnel is up and brings
nothing back although IKE goes through: that tells bare ESP, or ESP on a port of its own, from a far
network that is silent. What was tried and what came of it is told with the counts as proof.
"""

from __future__ import annotations

from abc import abstractmethod
from math import inf

from culvert.client.pairs import SESSION
from culvert.client.progress import Progress
from culvert.client.returning import UNREACHED
from culvert.client.watched import Watched
from culvert.client.ways import NATT, PATIENCE, TCP, Blocked
from culvert.effects import Effect, SessionEnded

STEPS = frozenset(("connecting", "login", "configuring", "reconnecting"))
FAITHFUL = 2
"""Attempts to come back by the way that served before, until others are tried: a gateway that
starts again is not a way that is blocked."""


class Searching(Watched):
    """Between a tunnel that is watched and the calls that bring one up."""

    @property
    def _by_stream(self) -> bool:
        """Whether a TCP stream is wanted for this call."""
        way = self._ways.current
        return self.profile.ipsec_over_tcp if way is None else way is TCP

    def _sign_of_life(self, now: float) -> float:
        """Until when something must have come on this way; inf if no other is worth trying."""
        way = self._ways.current
        searching = way is not None and self._ways.others and not self._ways.patient
        return now + PATIENCE if searching else inf

    def _another_way(self, reason: str, now: float) -> list[Effect] | None:
        """This attempt came to nothing: is it the way's fault, and is there another?"""
        way = self._ways.current
        refused = reason == "phase2-refused" and way is not None and way is not NATT
        if way is None or self.state not in STEPS or not (reason in UNREACHED or refused):
            return None
        if self._returning.under_way and self._ways.known and self._returning.attempt <= FAITHFUL:
            return None
        blocked = Blocked.ESP_IN_UDP if refused else self._found_blocked()
        return None if blocked is None else self._go_on(blocked, now, reason)

    def _found_blocked(self) -> Blocked | None:
        """What this attempt shows; None if the gateway was heard where it all goes."""
        so_far = self._so_far
        if self._ways.current is TCP:
            return Blocked.TCP
        if not so_far.messages_in:
            return Blocked.UDP
        if so_far.floated:
            return None if so_far.heard_there else Blocked.NATT
        return Blocked.LONG if so_far.long else None

    def _nothing_back(self, now: float) -> list[Effect]:
        """The tunnel is up and carries one way only."""
        way, so_far = self._ways.current, self._so_far
        if way is None or self.state != "up" or so_far.stream is not None or self._ways.patient:
            return []
        if self._encapsulated and not so_far.udp_port:
            return []  # ESP goes where IKE goes: the way is not to blame
        blocked = Blocked.ESP_IN_UDP if so_far.udp_port else Blocked.ESP
        old = self._sa
        made = self._go_on(blocked, now, "no-answer", packets=self._counts)
        return [] if made is None else [*made, *self._close(old, "replaced", now)]

    @property
    def _counts(self) -> tuple[int, int]:
        carried = self._so_far.carried
        return (carried.packets_out, carried.packets_in) if carried else (0, 0)

    def _go_on(
        self, blocked: Blocked, now: float, reason: str, packets: tuple[int, int] | None = None
    ) -> list[Effect] | None:
        way, so_far = self._ways.current, self._so_far
        if way is None or not self._ways.next(blocked) or self._ways.current is None:
            return None
        out, came = packets or (so_far.messages_out, so_far.messages_in)
        told = self._event(
            "client.way-blocked",
            profile=self.profile.name,
            way=way.label,
            blocked=blocked.value,
            out=out,
            came=came,
            next=self._ways.current.label,
        )
        self._sa = 0
        made = [told, SessionEnded(SESSION, reason), *self._forget(now)]
        if packets is not None:
            # It was up: whoever waits for it is told that it is on its way back.
            self._returning.found(now)
            self.state = "reconnecting"
        self._so_far = Progress(
            address=so_far.address, path_mtu=so_far.path_mtu, began=so_far.began
        )
        return made + self._call(now)

    def _up(self, now: float) -> list[Effect]:
        made, way = super()._up(now), self._ways.current
        if way is None:
            return made
        self._ways.served()
        told = self._event(
            "client.way-found",
            profile=self.profile.name,
            way=way.label,
            transport=way.name,
            network=self._ways.network,
            tried=self._ways.tried,
        )
        return [*made, told]

    @abstractmethod
    def _forget(self, now: float) -> list[Effect]:
        """What belonged to the IKE SA that is over."""
