"""What IpsecGateway does with sites: calls them, admits them, asks for their pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from culvert.effects import Effect, Record
from culvert.gateway.caller import Caller
from culvert.gateway.sessions import CallersSessions
from culvert.gateway.sites import Sites
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.outputs import Output
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.settings import Settings
from culvert.inet.address import Path
from culvert.policy.refused import Refused
from culvert.policy.site import Site


class OtherGateways(ABC):
    _endpoint: Endpoint
    _sessions: CallersSessions
    _sites: Sites
    _clients: dict[int, Caller]

    @abstractmethod
    def _carry(self, numbered: Iterable[Numbered], now: float) -> list[Effect]:
        """What IKE SAs said, as effects."""

    @abstractmethod
    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        """End an IKE SA for ``reason`` (tables/endings.toml)."""

    def _call(self, site: Site, path: Path, settings: Settings, now: float) -> list[Effect]:
        number, made = self._endpoint.call(path, now=now, settings=settings)
        self._sites.calling(number, site)
        self._clients[number] = Caller(path.remote, site.name)
        return self._carry(made, now)

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
