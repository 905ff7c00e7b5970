"""What IpsecGateway does when another process takes over: hands its state, or goes on with it.

Whoever is past phase 1 comes along; who is not, or is just being judged, calls again. A group that
the new configuration has no more ends its sessions, in words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from culvert.driver.handing import Codec, Form
from culvert.driver.message import MessageError
from culvert.effects import Effect
from culvert.errors import MisuseError
from culvert.gateway.caller import Attempt, Caller
from culvert.gateway.parts import FORMS, PARTS, REFUSALS, SCHEMA
from culvert.gateway.sessions import CallersSessions
from culvert.gateway.sites import Sites
from culvert.ike.endpoint import Endpoint
from culvert.ike.peer import IkeSa
from culvert.ike.settings import Role, Settings
from culvert.inet.address import Address, Path
from culvert.policy.pool import Pool
from culvert.session.table import SessionTable

Item = Mapping[str, object]

GONE = "by-administrator"
"""How a session ends whose group the new configuration has no more."""

SENSELESS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, MisuseError)
"""What values of the right type, that do not belong together, may come to."""

_LEASES = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What an IKE SA is made with, before it is filled. ``site``: whom we called with it."""

    number: int
    exchange: int
    site: str
    path: Path
    question: tuple[bytes, Address] | None


class UnknownSchemaError(MessageError):
    """The state of a process that is too old or too new for this one."""


class TakingOver(ABC):
    table: SessionTable
    refusals: deque[Attempt]
    _endpoint: Endpoint
    _sessions: CallersSessions
    _sites: Sites
    _clients: dict[int, Caller]
    _settings: Settings
    _last_ticket: int

    @abstractmethod
    def _settings_for(self, path: Path) -> Settings:
        """For a caller that nothing is known of yet."""

    @abstractmethod
    def _narrowed(self, number: int, group: str) -> Settings | None:
        """The settings of a group, for this caller; None if there is no such group."""

    @abstractmethod
    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        """End an IKE SA for ``reason`` (tables/endings.toml)."""

    def _codec(self) -> Codec:
        pools = self._sessions.pools

        def pool(name: str) -> Pool:
            # Of a pool that is gone nothing is handed out any more: its leases only end.
            return pools[name] if name in pools else next(iter(pools.values()))

        return Codec(PARTS, {**FORMS, Pool: Form(lambda one: one.name, pool)})

    # --- handing over ------------------------------------------------------------------------

    @property
    def half_way(self) -> int:
        """IKE SAs that could not be handed over now."""
        return len(self._endpoint) - len(self._endpoint.standing)

    @property
    def peers(self) -> list[tuple[Address, int]]:
        """Whom IKE messages go to, and from which port of ours."""
        return [(sa.path.remote, sa.path.local[1]) for sa in self._endpoint.standing]

    def handed(self, *, now: float) -> Iterator[Item]:
        """All that is needed to go on, in items of a few KB; nothing may happen here meanwhile."""
        codec = self._codec()
        standing = self._endpoint.standing
        yield {
            "schema": SCHEMA,
            "table": codec.emptied(self.table, now=now),
            "endpoint": codec.emptied(self._endpoint, now=now),
            "sessions": codec.emptied(self._sessions, now=now),
            "sites": codec.emptied(self._sites, now=now),
            "known_sites": sorted(self._sites.by_name),
            "refusals": codec.written(self.refusals, REFUSALS, now=now),
            "ticket": self._last_ticket,
        }
        for name, pool in self._sessions.pools.items():
            yield {"pool": name, "leases": _texts(pool.leases()), "last": _texts(pool.remembered())}
        for sa in standing:
            site = self._sites.called(sa.number)
            question = self._endpoint.question(sa.number)
            head = Head(sa.number, sa.exchange, site.name if site else "", sa.path, question)
            item: dict[str, object] = {
                "sa": codec.written(head, Head, now=now),
                "state": codec.emptied(sa, now=now),
            }
            if (client := self._clients.get(sa.number)) is not None:
                item["caller"] = codec.written(client, Caller, now=now)
            yield item

    # --- going on ----------------------------------------------------------------------------

    def resume(self, items: Iterable[Item], *, now: float) -> list[Effect]:
        """Go on with what another process handed over, on an unused gateway. Raises
        UnknownSchemaError before anything else is read, and MessageError."""
        try:
            return self._resume(items, now)
        except SENSELESS as error:
            raise MessageError(f"state that makes no sense: {error}") from error

    def _resume(self, items: Iterable[Item], now: float) -> list[Effect]:
        codec = self._codec()
        live: list[IkeSa] = []
        known: frozenset[str] = frozenset()
        for item in items:
            match item:
                case {"schema": schema}:
                    if schema != SCHEMA:
                        raise UnknownSchemaError(
                            f"the state handed over is of form {schema}, and this version reads "
                            f"form {SCHEMA}"
                        )
                    known = self._resume_all(codec, item, now)
                case {"pool": str(name)}:
                    self._resume_pool(codec, name, item, now)
                case {"sa": _, "state": _}:
                    live.append(self._resume_one(codec, item, now))
                case _:
                    raise MessageError("state of a kind that is not known here")
        self._sessions.resumed(self._clients)
        self._sites.resumed(known, {sa.number for sa in live}, now)
        made: list[Effect] = []
        for sa in live:
            made += self._suited(sa, now)
        return made

    def _resume_all(self, codec: Codec, item: Item, now: float) -> frozenset[str]:
        for name, part in (
            ("table", self.table),
            ("endpoint", self._endpoint),
            ("sessions", self._sessions),
            ("sites", self._sites),
        ):
            codec.fill(part, item[name], now=now)
        refusals = codec.read(item["refusals"], REFUSALS, now=now)
        self.refusals.extend(cast("deque[Attempt]", refusals))
        self._last_ticket = cast("int", codec.read(item["ticket"], int, now=now))
        return cast("frozenset[str]", codec.read(item["known_sites"], frozenset[str], now=now))

    def _resume_pool(self, codec: Codec, name: str, item: Item, now: float) -> None:
        if (pool := self._sessions.pools.get(name)) is not None:
            leases, last = (codec.read(item[key], _LEASES, now=now) for key in ("leases", "last"))
            pool.resume(
                cast("Iterable[tuple[str, str]]", leases), cast("Iterable[tuple[str, str]]", last)
            )

    def _resume_one(self, codec: Codec, item: Item, now: float) -> IkeSa:
        head = cast("Head", codec.read(item["sa"], Head, now=now))
        settings = self._settings_for(head.path)
        if head.site:
            settings = self._sites.settings.get(head.site, settings)
            settings = replace(settings, role=Role.INITIATOR, exchange="main", provisioned=False)
        sa = self._endpoint.resume(
            head.number, settings, head.path, head.question, exchange=head.exchange, now=now
        )
        codec.fill(sa, item["state"], now=now)
        self._endpoint.resumed(sa)
        if "caller" in item:
            caller = codec.read(item["caller"], Caller, now=now)
            self._clients[sa.number] = cast("Caller", caller)
        return sa

    def _suited(self, sa: IkeSa, now: float) -> list[Effect]:
        """It goes on under the settings of its group as they are now."""
        client = self._clients.get(sa.number)
        if client is None:
            return []
        settings = self._narrowed(sa.number, client.group)
        if settings is None:
            return self._close(sa.number, GONE, now)
        sa.phase1.settings = settings
        return []


def _texts(pairs: Iterable[tuple[object, str]]) -> list[list[str]]:
    return [[str(address), user] for address, user in pairs]
