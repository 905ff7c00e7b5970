"""The sessions of a gateway's callers: who may have one, its row, its limits, its end.

IKE is `ipsec`'s business. Here stands what a row of the session table says and when a group's
policy ends it; `due` names what time has brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from ipaddress import IPv4Address
from math import inf

from culvert.effects import Effect, InstallSa, Record, SaHalf, SessionEnded, Traffic
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway.caller import Caller, weak
from culvert.gateway.config import GatewayConfig
from culvert.ike.carriage import NO_PORT, data_path, streamed
from culvert.ike.outputs import AskConfiguration, Install, SaKeys
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.inet.address import Address, Path, text
from culvert.policy.group import Group
from culvert.policy.refused import Refused
from culvert.policy.site import Site
from culvert.session.client_software import client_software
from culvert.session.session import Counters, Kind, Session, SpiPair, State
from culvert.session.silence import Silence
from culvert.session.table import SessionTable

IPV4_OCTETS = 4


class CallersSessions:
    """``at``: wall time of a moment."""

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        at: Callable[[float], datetime],
    ) -> None:
        sites = [site.group for site in config.restart.sites]
        self.groups: Mapping[str, Group] = {
            group.name: group for group in (*config.live.groups, *sites)
        }
        self.pools = table.pools(config.restart.pools)
        self._table = table
        self._at = at
        self._owners: dict[int, int] = {}  # session -> IKE SA
        self._callers: dict[int, Caller] = {}  # session -> who has it
        self._at_source: dict[Address, int] = {}  # address and port -> session
        self._with_address: dict[str, int] = {}  # leased address -> session
        self._checks: dict[int, float] = {}  # session -> next look at its time limits
        self._quiet: dict[int, float] = {}  # session -> when its silence is told

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, session: int) -> int:
        """The number of its IKE SA; 0 when there is no such session."""
        return self._owners.get(session, 0)

    def earlier(self, caller: Caller, wanted: Iterable[bytes]) -> int:
        """The IKE SA under which this caller is here already: the same person at the same address
        and port, or one of these addresses (4 octets each) is theirs. 0: there is none."""
        leased = [str(IPv4Address(octets)) for octets in wanted if len(octets) == IPV4_OCTETS]
        found = [self._at_source.get(caller.source, 0)]
        found += [self._with_address.get(address, 0) for address in leased]
        for session in filter(None, found):
            known = self._callers[session]
            if (known.user, known.group) == (caller.user, caller.group):
                return self._owners[session]
        return 0

    def moved(self, caller: Caller) -> Session | None:
        """The caller's packets come from another place now: its row."""
        session = self.find(caller)
        if session is not None:
            self._leaves(session)
            self._table.move(session.number, caller.source)
            self._at_source[caller.source] = session.number
        return session

    def _leaves(self, session: Session) -> None:
        if self._at_source.get(session.public) == session.number:
            del self._at_source[session.public]

    def find(self, caller: Caller) -> Session | None:
        """The caller's row."""
        return self._table.find(caller.session) if caller.session else None

    def resumed(self, callers: Mapping[int, Caller]) -> None:
        """Who has which session, by IKE SA, where both were taken over from another process."""
        self._callers = {
            session: callers[number]
            for session, number in self._owners.items()
            if number in callers
        }

    # --- time --------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return min(
            min(self._checks.values(), default=inf),
            min(self._quiet.values(), default=inf),
        )

    def over_limit(self, now: float) -> Iterator[tuple[int, str]]:
        """Sessions whose group wants them ended now, and for which reason."""
        for number in [number for number, at in self._checks.items() if at <= now]:
            del self._checks[number]
            session = self._table.find(number)
            if session is None:
                continue
            group, caller = self.groups[session.group], self._callers[number]
            if group.session_seconds and now >= session.since + group.session_seconds:
                yield number, "max-connect-time"
            elif group.idle_seconds and now >= caller.active_at + group.idle_seconds:
                yield number, "idle-timeout"
            else:
                self._arm_limits(session, caller, group, now)

    def gone_silent(self, now: float) -> Iterator[LogEvent]:
        """Tunnels that bring nothing: each is told when it is time."""
        for number in [number for number, at in self._quiet.items() if at <= now]:
            caller = self._callers[number]
            if caller.silence:
                caller.silence.beside = self._beside(number)
            told = caller.silence.tick(now=now) if caller.silence else None
            self._heed(number, caller)
            if told:
                yield caller.tagged(told)

    def _beside(self, number: int) -> str:
        """Whom a router that passes ESP through serves in place of this session: another one from
        the same address that plain ESP is heard of. Without ports it can tell one host only."""
        silent = self._table.find(number)
        if silent is None or silent.transport != "esp":
            return ""
        for other in self._table:
            same = other.number != number and other.public[0] == silent.public[0]
            if same and other.transport == "esp" and other.counters.packets_in:
                return f"session {other.number} ({other.user})"
        return ""

    def _arm_limits(self, session: Session, caller: Caller, group: Group, now: float) -> None:
        at = inf
        if group.session_seconds:
            at = session.since + group.session_seconds
        if group.idle_seconds:
            at = min(at, caller.active_at + group.idle_seconds)
        if at < inf:
            self._checks[session.number] = max(at, now)

    # --- who may have one --------------------------------------------------------------------

    def admit(
        self, number: int, caller: Caller, asked: AskConfiguration, now: float
    ) -> Refused | None:
        """A session and an address for the caller of IKE SA ``number``, or why there is none."""
        group = self.groups[caller.group]
        if not group.open_at(self._at(now)):
            return Refused("outside-hours")
        if refused := _way_refused(caller, group):
            return refused
        if group.firewall == "required" and asked.attributes and not meets(asked, group):
            return Refused("firewall-mismatch", f"the client has {asked.firewall or 'none'}")
        session = self._table.admit(
            Kind.IPSEC_USER,
            caller.user,
            at=self._at(now),
            now=now,
            group=group.name,
            public=caller.source,
            user_limit=group.max_logins,
        )
        if isinstance(session, Refused):
            return session
        leased = self.pools[group.pool].lease(caller.user)
        if isinstance(leased, Refused):
            self._table.end(session.number, leased.reason, now=now)
            return leased
        caller.lease = self.pools[group.pool], str(leased)
        caller.session = session.number
        self._owners[session.number] = number
        self._callers[session.number] = caller
        self._at_source[caller.source] = session.number
        self._with_address[str(leased)] = session.number
        self._table.assign(session.number, str(leased))
        self._describe_proof(session, caller)
        caller.active_at = now
        self._arm_limits(session, caller, group, now)
        return None

    @staticmethod
    def _describe_proof(session: Session, caller: Caller) -> None:
        if caller.proved is not None:
            session.ike_suite = caller.proved.suite.name
            session.method = caller.proved.suite.authentication.name
            session.exchange_mode = caller.proved.exchange
            session.weak = caller.proved.weak

    def admit_site(self, number: int, caller: Caller, site: Site, now: float) -> Refused | None:
        """A session for another gateway, which brings its own addresses."""
        session = self._table.admit(
            Kind.LAN_TO_LAN,
            site.name,
            at=self._at(now),
            now=now,
            group=site.name,
            public=caller.source,
        )
        if isinstance(session, Refused):
            return session
        caller.session = session.number
        self._owners[session.number] = number
        self._callers[session.number] = caller
        self._at_source[caller.source] = session.number
        self._table.assign(session.number, ", ".join(map(str, site.remote)))
        self._describe_proof(session, caller)
        caller.active_at = now
        return None

    def described(self, caller: Caller, asked: AskConfiguration) -> list[LogEvent]:
        """What a client says of itself; of a pushed configuration that comes later or never."""
        session, group = self.find(caller), self.groups[caller.group]
        if session is None:
            return []
        made: list[LogEvent] = []
        if asked.application:
            session.client_type, session.client_version = client_software(asked.application)
        if asked.host:
            session.host_name = asked.host
            made.append(LogEvent("config.host-name", {"name": asked.host}))
        if asked.firewall is not None:
            made.append(LogEvent("config.firewall-claimed", {"firewall": str(asked.firewall)}))
        if group.firewall != "none" and not meets(asked, group):
            has = str(asked.firewall or "none")
            wanted = str(group.firewall_wanted)
            made.append(LogEvent("config.firewall-missing", {"wanted": wanted, "firewall": has}))
        return made

    def refusal(self, refused: Refused, caller: Caller) -> LogEvent:
        """What the log says of it."""
        group = self.groups[caller.group]
        match refused.reason:
            case "no-address":
                event = LogEvent("session.no-address", {"pool": group.pool})
            case "duplicate-limit":
                fields: dict[str, Field] = {"user": caller.user, "limit": group.max_logins}
                event = LogEvent("session.duplicate-limit", fields)
            case "session-limit":
                event = LogEvent("session.limit", {"limit": refused.detail})
            case other:
                event = LogEvent("config.refused", {"reason": other})
        return caller.tagged(event)

    def pass_on(self, old: Caller, new: Caller, number: int) -> None:
        """The session of ``old`` is that of ``new``, whose IKE SA is ``number``, from now on."""
        new.session, new.lease, new.pairs = old.session, old.lease, old.pairs
        new.heard_packets, new.active_at = old.heard_packets, old.active_at
        new.silence = old.silence
        new.udp_port, new.udp_peer = old.udp_port, old.udp_peer
        self._owners[new.session] = number
        self._callers[new.session] = new
        session = self.moved(new)
        if session is not None and new.proved is not None:
            session.ike_suite = new.proved.suite.name

    # --- its pairs ---------------------------------------------------------------------------

    def install(self, caller: Caller, pair: Install) -> InstallSa:
        """The row lists the pair; the order for the data path."""
        group = self.groups[caller.group]
        path = esp_path(pair, caller)
        caller.pairs[pair.number] = SpiPair(
            pair.inbound.spi,
            pair.outbound.spi,
            str(pair.local),
            str(pair.remote),
            pair.suite.name,
        )
        session = self.find(caller)
        if session is not None:
            session.encryption = pair.suite.cipher.label
            session.authentication = pair.suite.authentication_label
            session.spis = tuple(caller.pairs.values())
            session.weak = tuple(dict.fromkeys((*session.weak, *weak(pair.suite.legacy))))
            session.transport = way_of(pair, caller)
            session.tunnel_port = 0 if session.transport == "esp" else path.local[1]
        return InstallSa(
            session=caller.session,
            pair=pair.number,
            cipher=pair.suite.cipher.cipher,
            integrity=pair.suite.integrity.name if pair.suite.integrity else "",
            inbound=_half(pair.inbound),
            outbound=_half(pair.outbound),
            local=_carried(pair.local, group),
            remote=(str(pair.remote.network),),
            peer=path.remote,
            local_port=path.local[1],
            udp_encapsulated=path.local[1] != NO_PORT,
            replaces=pair.replaces,
            transport=pair.transport,
            soft_octets=pair.soft_octets,
            hard_octets=pair.hard_octets,
            compression=pair.suite.compression.token if pair.suite.compression else "",
            cpi_in=pair.cpi_in,
            cpi_out=pair.cpi_out,
        )

    def activate(self, caller: Caller, pair: int, sa: IkeSa | None, now: float) -> list[LogEvent]:
        """The first pair that carries makes the session one that is up."""
        session = self.find(caller)
        if session is None or session.state is State.UP:
            return []
        session.state = State.UP
        if sa is not None:
            caller.silence = Silence(
                untraversed=sa.nat.found and not (sa.encapsulated or caller.udp_port),
                encapsulated=sa.encapsulated or bool(caller.udp_port),
                now=now,
            )
            self._heed(session.number, caller)
        fields: dict[str, Field] = {
            "user": session.user,
            "group": session.group,
            "assigned": session.assigned,
            "public": text(caller.source),
            "transport": session.transport,
            "suite": caller.pairs[pair].suite,
        }
        return [caller.tagged(LogEvent("session.started", fields))]

    def remove(self, caller: Caller, pair: int) -> None:
        caller.pairs.pop(pair, None)
        if (session := self.find(caller)) is not None:
            session.spis = tuple(caller.pairs.values())

    # --- what it carries ---------------------------------------------------------------------

    def count(self, traffic: Traffic, now: float) -> None:
        caller = self._callers.get(traffic.session)
        if caller is None:
            return
        counted = Counters(
            traffic.octets_in,
            traffic.octets_out,
            traffic.packets_in,
            traffic.packets_out,
            traffic.dropped_in,
            traffic.dropped_out,
        )
        self._table.count(traffic.session, counted)
        caller.active_at = now
        session = self._table.find(traffic.session)
        if session is not None and caller.silence is not None:
            caller.silence.counted(session.counters, now=now)
            self._heed(traffic.session, caller)

    def _heed(self, number: int, caller: Caller) -> None:
        """What the row shows, and when to look again."""
        session = self._table.find(number)
        if caller.silence is None or session is None:
            return
        session.problem = caller.silence.problem
        if caller.silence.deadline < inf:
            self._quiet[number] = caller.silence.deadline
        else:
            self._quiet.pop(number, None)

    # --- its end -----------------------------------------------------------------------------

    def end(self, caller: Caller, reason: str, *, by_peer: bool, now: float) -> list[Effect]:
        number = caller.session
        if (session := self.find(caller)) is not None:
            self._leaves(session)
        closed = self._table.end(number, reason, now=now, by_peer=by_peer)
        for known in (self._owners, self._callers, self._checks, self._quiet):
            known.pop(number, None)
        if caller.lease is not None:
            pool, address = caller.lease
            pool.release(address)
            self._with_address.pop(address, None)
        made: list[Effect] = [SessionEnded(number, reason, by_peer)]
        if closed is not None:
            fields: dict[str, Field] = {
                "session": number,
                "user": closed.user,
                "group": closed.group,
                "reason": reason,
                "by_peer": by_peer,
                "seconds": round(closed.seconds, 1),
                "octets_in": closed.counters.octets_in,
                "octets_out": closed.counters.octets_out,
            }
            made.append(Record(LogEvent("session.ended", fields)))
        return made


def _half(keys: SaKeys) -> SaHalf:
    return SaHalf(keys.spi, keys.cipher_key, keys.salt, keys.integrity_key)


def meets(asked: AskConfiguration, group: Group) -> bool:
    """Whether the client's firewall, as it says, is what the group wants."""
    return asked.firewall is not None and asked.firewall.meets(group.firewall_wanted)


def _carried(asked: Selector, group: Group) -> tuple[str, ...]:
    """Unity clients ask for everything and mean the split list; only that is let through."""
    if asked.network.prefixlen == 0 and group.split_include:
        return tuple([str(network) for network in group.split_include])
    return (str(asked.network),)


def esp_path(pair: Install, caller: Caller) -> Path:
    """Where ESP goes: beside IKE, in UDP of its own (first to the same port at the client), or
    without any port."""
    if not caller.udp_port:
        return data_path(pair.path, encapsulated=pair.udp_encapsulated)
    there = caller.udp_peer or (pair.path.remote[0], caller.udp_port)
    return Path((pair.path.local[0], caller.udp_port), there)


def way_of(pair: Install, caller: Caller) -> str:
    """A row of the transports in tables/session_tables.toml."""
    if caller.udp_port:
        return "udp"
    if streamed(pair.path):
        return "tcp"
    return "nat-t" if pair.udp_encapsulated else "esp"


def _way_refused(caller: Caller, group: Group) -> Refused | None:
    """A caller who proved himself in a way that the gateway has and his group does not allow."""
    way = caller.proved.suite.authentication.name if caller.proved is not None else ""
    if not group.authentication or way in group.authentication:
        return None
    allowed = " or ".join(group.authentication)
    cause = f"the group does not allow authentication {way}, but {allowed}"
    return Refused("proposal-refused", cause)
