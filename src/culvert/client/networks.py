"""Other networks behind the gateway while connected (S1-72): pairs and routes follow."""

from __future__ import annotations

from dataclasses import replace

from culvert.client.calls import Calls
from culvert.client.pairs import routes_of, tunnel_settings, wanted_pairs
from culvert.effects import Effect, NetworksWanted
from culvert.ike.outputs import Output
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector


class Networks(Calls):
    """Each network has a pair of its own; only where one pair carries all it has to be renewed."""

    def _other_networks(self, wanted: NetworksWanted, now: float) -> list[Effect]:
        """Not up: the next connect asks for them anyway."""
        profile = replace(self.profile, remote_networks=wanted.remote_networks)
        if self.state != "up":
            self.profile = profile
            return []
        before = self._wanted_now()
        self.profile = profile
        routes = routes_of(profile, self._so_far.given, self._so_far.address)
        same = routes == self._so_far.routes
        self._so_far.routes = routes
        after = self._wanted_now()
        # Routes first: what is new waits for its pair, and does not leave in clear meanwhile.
        made = [] if same else self._follow_routes()
        for ends in after:
            if ends not in before:
                made += self._quick(*ends, now)
            elif not same and not ends[1].network.prefixlen:
                made += self._renew_pair(ends, now)
        for ends in before:
            if ends not in after:
                made += self._drop_pair(ends, now)
        told = self._event(
            "client.networks-changed", profile=profile.name, networks=wanted.remote_networks
        )
        return [told, *made]

    def _wanted_now(self) -> list[tuple[Selector, Selector]]:
        return wanted_pairs(self.profile, self._so_far, unity=self._unity)

    def _follow_routes(self) -> list[Effect]:
        so_far = self._so_far
        if so_far.esp is None:
            return []
        self._set_up = tunnel_settings(self.profile, so_far, so_far.esp, self._carriage)
        return [self._order("routes", self._set_up)]

    def _renew_pair(self, ends: tuple[Selector, Selector], now: float) -> list[Effect]:
        """A pair for everything carries what was routed when it was made."""

        def renew(sa: IkeSa) -> list[Output]:
            made: list[Output] = []
            for pair in sa.pairs:
                if (pair.local, pair.remote) == ends and not sa.negotiator.renewing(pair.number):
                    made += sa.start_quick(*ends, now=now, replaces=pair.number)
            return made

        return self._carry(self._endpoint.act(self._sa, renew), now)

    def _drop_pair(self, ends: tuple[Selector, Selector], now: float) -> list[Effect]:
        def drop(sa: IkeSa) -> list[Output]:
            made: list[Output] = []
            for pair in sa.pairs:
                if (pair.local, pair.remote) == ends:
                    made += sa.worn(pair.number, spent=True, now=now)
            return made

        return self._carry(self._endpoint.act(self._sa, drop), now)
