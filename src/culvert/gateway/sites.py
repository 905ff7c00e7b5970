"""Sites of a gateway: which IKE SA is whose, and when to call those that we call.

Gateways are equal: either may have called, and what one lost the other may bring back. A site is
called once at start, and again, ever more patiently, as long as it is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf

from culvert.gateway.config import GatewayConfig
from culvert.gateway.settings import group_settings
from culvert.ike.peer import IkeSa
from culvert.ike.settings import NOBODY, Answered, Role, Settings
from culvert.ike.suite import ike_suites
from culvert.ike.wire.identity import Identity
from culvert.inet.address import Address, Path
from culvert.policy.site import Site

FIRST_WAIT = 2.0
"""Seconds until a site that was lost is called again."""
LONGEST_WAIT = 60.0
"""Seconds between two calls to a site that never answers."""
BARE_WAIT = 5.0
"""Seconds until pairs that the peer deleted are asked for again; it may renew them itself."""

TOGETHER = 10.0
"""Seconds within which calls of both ends count as made at the same moment."""

METHOD = "psk"
"""Sites prove themselves by their key; a person has no part in it."""


class Sites:
    def __init__(self, config: GatewayConfig, general: Settings, *, began: float) -> None:
        self.by_name: Mapping[str, Site] = {site.name: site for site in config.restart.sites}
        self._by_peer = {site.peer: site for site in config.restart.sites}
        self._settings = {site.name: _settings(general, site) for site in config.restart.sites}
        self._port = config.restart.ike_port
        self._called: dict[int, str] = {}  # IKE SA -> site that we called with it
        self._holds: dict[str, int] = {}  # site -> the IKE SA that is its own now
        self._waits: dict[str, float] = {}
        self._calls = {site.name: began for site in config.restart.sites if site.calls}
        self._asks: dict[int, float] = {}
        self._since: dict[str, float] = {}
        self._stopped = False
        self._elsewhere: dict[str, str] = {}  # site -> the address that it moved to

    @property
    def settings(self) -> Mapping[str, Settings]:
        """What holds for each site that calls us."""
        return self._settings

    def at(self, address: str) -> Site | None:
        for name, moved_to in self._elsewhere.items():
            if moved_to == address:
                return self.by_name[name]
        return self._by_peer.get(address)

    def identity(self, sa: IkeSa, claimed: Identity) -> Identity:
        """Under which the peer's key is kept: its address as configured, though it moved; in
        aggressive mode what it claims to be."""
        here = sa.path.remote[0]
        site = self.at(here)
        if sa.initiator or claimed == Identity.of_address(here):
            return Identity.of_address(site.peer if site is not None else here)
        return claimed

    def called(self, number: int) -> Site | None:
        """The site that we called with this IKE SA."""
        return self.by_name.get(self._called.get(number, ""))

    def owner(self, name: str) -> int:
        """The IKE SA of this site, 0 if it is not there."""
        return self._holds.get(name, 0)

    # --- calling -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return min(*self._calls.values(), *self._asks.values(), inf, inf)

    def due(self, now: float) -> Iterator[tuple[Site, Path, Settings]]:
        """Whom to call now. Tell `calling` the number of its IKE SA."""
        for name in [name for name, at in self._calls.items() if at <= now]:
            del self._calls[name]
            if name in self._holds:
                continue
            site = self.by_name[name]
            remote = self.where(site)
            nowhere = "0.0.0.0"  # noqa: S104  # not known yet
            settings = replace(
                self._settings[name], role=Role.INITIATOR, exchange="main", provisioned=False
            )
            yield site, Path((nowhere, self._port), remote), settings

    def bare(self, now: float) -> Iterator[tuple[int, Site]]:
        """Sites that are here, but lost all their pairs: time to ask for new ones."""
        for number in [number for number, at in self._asks.items() if at <= now]:
            del self._asks[number]
            if (site := self.called(number)) is not None:
                yield number, site

    def calling(self, number: int, site: Site) -> None:
        self._called[number] = site.name

    def moved(self, number: int, address: str) -> None:
        """Authentic messages of it come from there: it is called there too, until it answers no
        more and its own address is as good."""
        for name, held in self._holds.items():
            if held == number:
                self._elsewhere[name] = address

    def announced(self, site: Site, address: str, now: float) -> None:
        """It says that it is there now; whom we call is called there at once."""
        self._elsewhere[site.name] = address
        if site.calls and site.name not in self._holds and not self._stopped:
            self._waits.pop(site.name, None)
            self._calls[site.name] = now

    def where(self, site: Site) -> Address:
        """Whom to call."""
        return self._elsewhere.get(site.name, site.peer), self._port

    # --- what became of it -------------------------------------------------------------------

    def crossed(self, old: IkeSa | None, new: IkeSa | None, site: Site, now: float) -> bool | None:
        """If both called at the same moment: whether ``new`` is the call to keep. It is the one
        with the smaller cookie, as both ends see it. None: that is not what happened."""
        if old is None or new is None or old.initiator == new.initiator:
            return None
        if now >= self._since.get(site.name, -inf) + TOGETHER:
            return None
        return new.channel.cookie_i < old.channel.cookie_i

    def here(self, number: int, site: Site, now: float) -> int:
        """It proved itself with this IKE SA. The one that it had before, or 0."""
        self._since[site.name] = now
        before = self._holds.get(site.name, 0)
        self._holds[site.name] = number
        self._waits.pop(site.name, None)
        self._calls.pop(site.name, None)
        return before

    def lost_pairs(self, number: int, left: Iterable[object], now: float) -> None:
        """``left``: the pairs that it still has."""
        if number in self._called and not any(True for _ in left):
            self._asks[number] = now + BARE_WAIT

    def over(self, number: int, now: float) -> None:
        """That IKE SA has ended; who is to be called is called again."""
        self._asks.pop(number, None)
        site = self.called(number)
        self._called.pop(number, None)
        for name, held in list(self._holds.items()):
            if held == number:
                del self._holds[name]
                site = self.by_name[name]
        if self._stopped or site is None or not site.calls or site.name in self._holds:
            return
        if site.name in self._waits:  # called in vain: perhaps it is where it was
            self._elsewhere.pop(site.name, None)
        wait = self._waits.get(site.name, FIRST_WAIT)
        self._waits[site.name] = min(wait * 2, LONGEST_WAIT)
        self._calls[site.name] = now + wait

    def resumed(self, before: Collection[str], live: Container[int], now: float) -> None:
        """Taken over from a process that knew the sites ``before``, with those IKE SAs that
        live: the others are as if they had ended now, and sites that are new are called."""
        for known in (self._holds, self._waits, self._calls, self._since, self._elsewhere):
            for name in [name for name in known if name not in self.by_name]:
                del known[name]
        for number in {*self._called, *self._holds.values(), *self._asks}:
            if number not in live:
                self.over(number, now)
        for name, site in self.by_name.items():
            if site.calls and name not in before:
                self._calls[name] = now

    def stop(self) -> None:
        """Nobody is called any more: the gateway goes down."""
        self._calls.clear()
        self._asks.clear()
        self._stopped = True


def _settings(general: Settings, site: Site) -> Settings:
    suites = ike_suites(site.group.ike_proposals, (METHOD,))
    return replace(
        group_settings(general, site.group),
        phase1=suites,
        transport=site.transport,
        answered=Answered(aggressive=NOBODY, main=frozenset((METHOD,))),
    )
