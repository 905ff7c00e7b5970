"""What IpsecGateway does with sites: calls them, admits them, asks for their pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime

from culvert.effects import Effect, Record, SendIke
from culvert.errors import ProtocolError
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway import announcing
from culvert.gateway.caller import Caller
from culvert.gateway.dynamic import Dynamic
from culvert.gateway.sessions import CallersSessions
from culvert.gateway.sites import Sites
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.outputs import Output
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.settings import Settings
from culvert.inet.address import Path, text
from culvert.policy.refused import Refused
from culvert.policy.site import Site


class OtherGateways(ABC):
    _endpoint: Endpoint
    _sessions: CallersSessions
    _sites: Sites
    _clients: dict[int, Caller]
    _dynamic: Dynamic

    @abstractmethod
    def _carry(self, numbered: Iterable[Numbered], now: float) -> list[Effect]:
        """What IKE SAs said, as effects."""

    @abstractmethod
    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        """End an IKE SA for ``reason`` (tables/endings.toml)."""

    @abstractmethod
    def _at(self, now: float) -> datetime:
        """The wall time of a monotonic second."""

    # --- addresses that change ---------------------------------------------------------------

    def announce(self, *, now: float) -> list[Effect]:
        """This machine has another address: tell everybody, from there."""
        made: list[Effect] = []
        for number, client in list(self._clients.items()):
            tell = announcing.telling(self._sessions.groups.get(client.group), now)
            made += self._carry(self._endpoint.act(number, tell), now)
        for site in self._dynamic.sites:
            if not self._sites.owner(site.name):
                made += self._before_ike(site, now)
        return made

    def _before_ike(self, site: Site, now: float) -> list[Effect]:
        """Main mode finds the key by our address: say first that it is ours."""
        to = self._sites.where(site)
        told = self._dynamic.announcement(site, self._at(now))
        group = site.group
        event = LogEvent(
            "dynamic.announced", {"peer": text(to), "dns": group.dns, "nbns": group.nbns}
        )
        return [Record(event.with_fields(group=site.name)), SendIke(told, to, to[1])]

    def _heard_before_ike(self, octets: bytes, path: Path, now: float) -> list[Effect]:
        if not self._dynamic.takes(now=now):
            return []  # strangers send as many as they like
        try:
            heard = self._dynamic.heard(octets, self._at(now))
        except ProtocolError:
            heard = None
        peer = text(path.remote)
        if heard is None:
            return [Record(LogEvent("dynamic.refused", {"peer": peer}))]
        site, told = heard
        made: list[Effect] = []
        held = self._endpoint.get(number := self._sites.owner(site.name))
        if held is not None and held.path.remote[0] != path.remote[0]:
            # With an IKE SA it would have said so under that: it has none any more.
            made += self._close(number, "lost-peer", now)
        self._sites.announced(site, path.remote[0], now)
        fields: dict[str, Field] = {"peer": peer, "dns": told.dns, "nbns": told.nbns}
        event = LogEvent("dynamic.received", {**fields, "group": site.name})
        return [Record(event), *made]

    def _call(self, site: Site, path: Path, settings: Settings, now: float) -> list[Effect]:
        told = self._before_ike(site, now) if site.dynamic else []
        number, made = self._endpoint.call(path, now=now, settings=settings)
        self._sites.calling(number, site)
        self._clients[number] = Caller(path.remote, site.name)
        return told + self._carry(made, now)

    def _renew_site(self, number: int, now: float) -> list[Effect]:
        site = self._sites.called(number)
        if site is None:
            return []
        new, made = self._endpoint.renew(number, address="", now=now)
        self._sites.calling(new, site)
        self._clients[new] = Caller(self._clients[number].source, site.name)
        return self._carry(made, now)

    def _site_here(self, number: int, client: Caller, site: Site, now: float) -> list[Effect]:
        """It proved its key. Who renewed phase 1 keeps its pairs; who forgot us begins anew."""
        client.user = site.name
        held = self._endpoint.get(self._sites.owner(site.name))
        kept = self._sites.crossed(held, self._endpoint.get(number), site, now)
        if kept is False:
            return self._close(number, "replaced", now)
        permit = self._endpoint.act(number, lambda sa: sa.permit(site.permitted))
        made = self._carry(permit, now)
        old = self._sites.here(number, site, now)
        if old and not client.initial_contact and not kept:
            made += self._carry(self._endpoint.succeed(old, number, now=now), now)
            self._sessions.pass_on(self._clients.pop(old), client, number)
            return made + self._close(old, "replaced", now)
        if old:
            made += self._close(old, "replaced", now)
        refused = self._sessions.admit_site(number, client, site, now)
        if isinstance(refused, Refused):
            client.cause = refused.detail or refused.reason
            made.append(Record(self._sessions.refusal(refused, client)))
            return made + self._close(number, refused.reason, now)
        if self._sites.called(number) is not None:
            made += self._ask_for_pairs(number, site, now)
        return made

    def _ask_for_pairs(self, number: int, site: Site, now: float) -> list[Effect]:
        made: list[Effect] = []
        for near, far in site.pairs:

            def start(sa: IkeSa, near: Selector = near, far: Selector = far) -> list[Output]:
                return sa.start_quick(near, far, now=now)

            made += self._carry(self._endpoint.act(number, start), now)
        return made
