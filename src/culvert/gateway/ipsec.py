"""IpsecGateway: joins IKE with people, addresses and sessions. Sans-IO; the driver runs it.

IKE says              the gateway does
who calls?            asks the vault's group keys (a decoy for unknown groups)
check this person     orders `Judge`, takes `Judged` back
what may it have?     admits a session, leases an address, answers Mode Config
pair ready            orders the data path, lists the session as up
over                  ends the session, releases the address, says why
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from math import inf
from typing import assert_never

from culvert.effects import (
    ActivateSa,
    Answer,
    CertificateJudged,
    Effect,
    InstallSa,
    Judge,
    Judged,
    MovePeer,
    PeerMoved,
    Record,
    RemoveSa,
    SaHalf,
    SendIke,
    SendRaw,
    SessionEnded,
    Signed,
    Traffic,
)
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway import attributes
from culvert.gateway.certificates import CallersCertificates
from culvert.gateway.config import GatewayConfig
from culvert.gateway.settings import (
    endpoint_limits,
    general_settings,
    group_settings,
    identity_at,
)
from culvert.ike.carriage import after_move, data_path
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.outputs import (
    Activate,
    AskCertificate,
    AskConfiguration,
    AskGroup,
    AskGroupKey,
    AskPerson,
    AskSignature,
    Authenticated,
    CheckPerson,
    Configuration,
    Configured,
    Install,
    LoggedIn,
    Moved,
    Output,
    Over,
    Remove,
    SaKeys,
    Send,
    SendKeepalive,
    Verdict,
)
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.settings import Settings
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Address, Path, text
from culvert.orders.certificates import Shown
from culvert.policy.group import Group
from culvert.policy.pool import Pool
from culvert.policy.refused import Refused
from culvert.rng import Random
from culvert.session.client_software import client_software
from culvert.session.ending import ending, endings, heard
from culvert.session.session import Counters, Kind, Session, SpiPair, State
from culvert.session.silence import Silence
from culvert.session.table import SessionTable
from culvert.vault.group_keys import GroupKeys

KEEPALIVE = b"\xff"  # RFC 3948 §2.3

_Asked = AskGroupKey | AskGroup | AskSignature | AskCertificate | CheckPerson | AskConfiguration

_OF_NO_CLIENT = (LogEvent, Send, AskGroupKey, AskGroup, AskSignature, AskCertificate, Over)
"""What an IKE SA may say before it has a client here, or after."""

_EVERYTHING = (Selector(ip_network("0.0.0.0/0")), Selector(ip_network("::/0")))

REFUSALS = 100
"""Refused attempts kept for the operator; older ones are in the event log."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection that did not come about, and the exact cause, for the operator's eyes."""

    at: datetime
    peer: str
    group: str
    user: str
    reason: str
    cause: str


@dataclass(slots=True)
class _Client:
    """What the gateway keeps about one IKE SA."""

    source: Address
    group: str = ""
    user: str = ""
    suite: IkeSuite | None = None
    initial_contact: bool = False
    policy: str = ""
    """A policy cause against this person, told only once the login was right."""
    cause: str = ""
    session: int = 0
    lease: tuple[Pool, str] | None = None
    pairs: dict[int, SpiPair] = field(default_factory=dict[int, SpiPair])
    heard_packets: int = 0
    active_at: float = 0.0
    silence: Silence | None = None


class IpsecGateway:
    """``began``: wall time and monotonic second of one moment, from which all wall times follow.

    ``bare_esp``: the data path carries ESP without UDP. ``certificate``: what the gateway shows of
    itself; ``authorities``: DER names of those whose certificates callers are asked for.
    """

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        keys: GroupKeys,
        rng: Random,
        *,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
    ) -> None:
        self.table = table
        self.refusals: deque[Attempt] = deque(maxlen=REFUSALS)
        self._config = config
        self._keys = keys
        self._wall, self._began = began
        self._settings = general_settings(
            config, bare_esp=bare_esp, certified=certificate is not None, authorities=authorities
        )
        self._group_settings = {
            group.name: group_settings(self._settings, group) for group in config.live.groups
        }
        self._groups: Mapping[str, Group] = {group.name: group for group in config.live.groups}
        self._pools = {plan.name: Pool(plan) for plan in config.restart.pools}
        self._endpoint = Endpoint(
            self._settings,
            rng,
            limits=endpoint_limits(config),
            natt_port=config.restart.natt_port,
            settings_for=self._settings_for,
        )
        self._certificates = CallersCertificates(
            certificate, self._groups, config.live.certificate_group, self._narrowed
        )
        self._clients: dict[int, _Client] = {}
        self._by_session: dict[int, int] = {}
        self._tickets: dict[int, int] = {}
        self._last_ticket = 0
        self._checks: dict[int, float] = {}  # session -> next look at its time limits
        self._quiet: dict[int, float] = {}  # session -> when its silence is told

    # --- entries -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return min(
            self._endpoint.deadline,
            min(self._checks.values(), default=inf),
            min(self._quiet.values(), default=inf),
        )

    @property
    def refused_datagrams(self) -> Mapping[str, int]:
        """Counted by kind, exactly."""
        return dict(self._endpoint.refused)

    @property
    def half_open(self) -> int:
        return self._endpoint.half_open

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]:
        return self._carry(self._endpoint.receive(octets, path, now=now), now)

    def step(self, answer: Answer, *, now: float) -> list[Effect]:
        match answer:
            case Judged():
                return self._judged(answer, now)
            case Signed():
                return self._signed(answer, now)
            case CertificateJudged():
                return self._certificate_judged(answer, now)
            case PeerMoved():
                return self._moved(answer, now)
            case Traffic():
                self._traffic(answer, now)
                return []
            case _:
                return []

    def tick(self, *, now: float) -> list[Effect]:
        made = self._carry(self._endpoint.tick(now=now), now)
        for session in [s for s, at in self._checks.items() if at <= now]:
            made += self._check_limits(session, now)
        for session in [s for s, at in self._quiet.items() if at <= now]:
            made += self._tell_silence(session, now)
        return made

    def logout(self, number: int, *, now: float) -> list[Effect]:
        """End session ``number`` by the administrator's word."""
        return self._end(number, "by-administrator", now)

    def shutdown(self, *, now: float) -> list[Effect]:
        """Say goodbye to everybody."""
        made: list[Effect] = []
        for number in list(self._clients):
            made += self._close(number, "peer-shutdown", now)
        return made

    # --- IKE says ----------------------------------------------------------------------------

    def _carry(self, numbered: Iterable[Numbered], now: float) -> list[Effect]:
        """What was said after the end of an IKE SA by an act of ours in the middle (a login that
        policy refuses, and the request behind it in the same datagram) has no client any more."""
        made: list[Effect] = []
        for number, output in numbered:
            if number in self._clients or isinstance(output, _OF_NO_CLIENT):
                made += self._one(number, output, now)
        return made

    def _one(self, number: int, output: Output, now: float) -> list[Effect]:
        match output:
            case LogEvent():
                return [Record(self._tagged(number, output))]
            case Send(octets=octets, path=path):
                return [SendIke(octets, path.remote, path.local[1], marker=path.encapsulated)]
            case SendKeepalive(path=path):
                return [SendRaw(KEEPALIVE, path.remote, path.local[1])]
            case (
                AskGroupKey()
                | AskGroup()
                | AskSignature()
                | AskCertificate()
                | CheckPerson()
                | AskConfiguration()
            ):
                return self._asked(number, output, now)
            case Authenticated() | LoggedIn() | Moved() | Over():
                return self._became(number, output, now)
            case Install() | Activate() | Remove():
                return self._pair(number, output, now)
            case AskPerson() | Configured():
                return []  # a responder never says these
            case _:
                assert_never(output)

    def _asked(self, number: int, asked: _Asked, now: float) -> list[Effect]:
        match asked:
            case AskGroupKey():
                return self._group_key(number, asked, now)
            case AskGroup() | AskSignature() | AskCertificate():
                return self._about_certificates(number, asked, now)
            case CheckPerson():
                return self._check(number, asked)
            case AskConfiguration():
                return self._configure(number, asked, now)
            case _:
                assert_never(asked)

    def _became(
        self, number: int, news: Authenticated | LoggedIn | Moved | Over, now: float
    ) -> list[Effect]:
        match news:
            case Authenticated():
                client = self._client(number)
                client.suite = news.suite
                client.initial_contact = news.initial_contact
                if not news.suite.authentication.xauth:
                    return self._logged_in(number, news.name or client.group, now)
                return []
            case LoggedIn(user=user):
                return self._logged_in(number, user, now)
            case Moved(path=path):
                return self._followed(number, path)
            case Over():
                return self._over(number, news, now)
            case _:
                assert_never(news)

    def _pair(self, number: int, pair: Install | Activate | Remove, now: float) -> list[Effect]:
        match pair:
            case Install():
                return self._install(number, pair)
            case Activate(number=which):
                return self._activate(number, which, now)
            case Remove(number=which):
                return self._remove(number, which)
            case _:
                assert_never(pair)

    def _group_key(self, number: int, asked: AskGroupKey, now: float) -> list[Effect]:
        key = self._keys.skeyid(asked.identity, asked.hash_name, asked.nonce_i, asked.nonce_r)
        sa = self._endpoint.get(number)
        if sa is None:
            return []
        self._clients[number] = _Client(sa.path.remote, key.group or str(asked.identity))
        known = replace(key, settings=self._narrowed(number, key.group))
        return self._carry(self._endpoint.step(number, known, now=now), now)

    def _narrowed(self, number: int, group: str) -> Settings | None:
        """The settings of a group, for this caller."""
        settings, sa = self._group_settings.get(group), self._endpoint.get(number)
        if settings is None or sa is None:
            return None
        return replace(
            settings,
            # A group has no name of its own for us: we stay who was called.
            identity=sa.settings.identity,
            # Plain ESP is built for IPv4.
            force_encapsulation=settings.force_encapsulation or ":" in sa.path.remote[0],
        )

    def _about_certificates(
        self, number: int, asked: AskGroup | AskSignature | AskCertificate, now: float
    ) -> list[Effect]:
        sa = self._endpoint.get(number)
        if sa is None:
            return []
        client = self._clients.setdefault(number, _Client(sa.path.remote))
        match asked:
            case AskGroup():
                known = self._certificates.group(number, asked)
                client.group = known.group or str(asked.identity)
                return self._carry(self._endpoint.step(number, known, now=now), now)
            case AskCertificate():
                return [self._certificates.judge(number, asked, sa.path)]
            case AskSignature():
                orders, events, instead = self._certificates.sign(number, asked, sa.path, now=now)
                made = [*orders, *[Record(self._tagged(number, event)) for event in events]]
                if instead is not None:
                    made += self._carry(self._endpoint.step(number, instead, now=now), now)
                return made
            case _:
                assert_never(asked)

    def _signed(self, answer: Signed, now: float) -> list[Effect]:
        number, signature = self._certificates.signed(answer)
        return self._carry(self._endpoint.step(number, signature, now=now), now)

    def _certificate_judged(self, word: CertificateJudged, now: float) -> list[Effect]:
        number, verdict = self._certificates.judged(word)
        if number not in self._clients:
            return []
        client = self._client(number)
        client.group, client.user = verdict.group, verdict.name
        return self._carry(self._endpoint.step(number, verdict, now=now), now)

    def _check(self, number: int, asked: CheckPerson) -> list[Effect]:
        self._last_ticket += 1
        self._tickets[self._last_ticket] = number
        client = self._client(number)
        client.user = asked.user
        source = client.source[0]
        return [Judge(self._last_ticket, client.group, asked.user, asked.password, source)]

    def _judged(self, word: Judged, now: float) -> list[Effect]:
        number = self._tickets.pop(word.ticket, 0)
        if number not in self._clients:
            return []
        client = self._client(number)
        client.cause = word.cause or word.reason
        accepted = word.accepted
        if not accepted and word.reason != "auth-rejected" and not word.prompt:
            # The login itself was right: say so first, and the policy's word after it.
            client.policy = word.reason
            accepted = True
        verdict = Verdict(accepted, word.user or client.user, word.prompt, client.cause)
        return self._carry(self._endpoint.step(number, verdict, now=now), now)

    def _logged_in(self, number: int, user: str, now: float) -> list[Effect]:
        client = self._client(number)
        client.user = user
        made: list[Effect] = []
        if client.initial_contact and self.table.count_of_user(user):
            made += self._replace_older(number, client, now)
        if client.policy:
            made += self._close(number, client.policy, now)
        return made

    def _replace_older(self, number: int, client: _Client, now: float) -> list[Effect]:
        """INITIAL-CONTACT: the same user at the same address and port has lost what it had before.

        The same user elsewhere may be another device of theirs, and stays; behind one NAT only the
        port tells two devices apart. One whose NAT forgot it is found out by DPD.
        """
        made: list[Effect] = []
        for other, known in list(self._clients.items()):
            same = known.user == client.user and known.source == client.source
            if other != number and known.session and same:
                made += self._close(other, "replaced", now)
        return made

    # --- what it may have --------------------------------------------------------------------

    def _configure(self, number: int, asked: AskConfiguration, now: float) -> list[Effect]:
        client, group = self._client(number), self._groups[self._client(number).group]
        made: list[Effect] = []
        if not client.session:
            refused = self._admit(number, client, group, asked, now)
            if isinstance(refused, Refused):
                client.cause = refused.detail or refused.reason
                made.append(Record(self._tagged(number, _refusal_event(refused, client, group))))
                return made + self._close(number, refused.reason, now)
        address = client.lease[1] if client.lease else ""
        sa = self._endpoint.get(number)
        given = attributes.answer(
            asked.wanted,
            group,
            address,
            self._config.live.application_version,
            natt=sa is not None and sa.encapsulated,
        )
        answer = Configuration(given, Selector(ip_network(address)), _EVERYTHING)
        return made + self._carry(self._endpoint.step(number, answer, now=now), now)

    def _admit(
        self, number: int, client: _Client, group: Group, asked: AskConfiguration, now: float
    ) -> Refused | None:
        if not group.open_at(self._at(now)):
            return Refused("outside-hours")
        session = self.table.admit(
            Kind.IPSEC_USER,
            client.user,
            at=self._at(now),
            now=now,
            group=group.name,
            public=client.source,
            user_limit=group.max_logins,
        )
        if isinstance(session, Refused):
            return session
        leased = self._pools[group.pool].lease(client.user)
        if isinstance(leased, Refused):
            self.table.end(session.number, leased.reason, now=now)
            return leased
        client.lease = self._pools[group.pool], str(leased)
        client.session = session.number
        self._by_session[session.number] = number
        self.table.assign(session.number, str(leased))
        session.client_type, session.client_version = client_software(asked.application)
        if client.suite is not None:
            session.ike_suite = client.suite.name
            session.method = client.suite.authentication.name
            session.weak = _weak(client.suite.legacy)
        client.active_at = now
        self._arm_limits(session, group, now)
        return None

    # --- pairs -------------------------------------------------------------------------------

    def _install(self, number: int, pair: Install) -> list[Effect]:
        client = self._client(number)
        group = self._groups[client.group]
        client.pairs[pair.number] = SpiPair(
            pair.inbound.spi,
            pair.outbound.spi,
            str(pair.local),
            str(pair.remote),
            pair.suite.name,
        )
        session = self.table.find(client.session)
        if session is not None:
            session.encryption = pair.suite.cipher.label
            session.authentication = pair.suite.authentication_label
            session.spis = tuple(client.pairs.values())
            session.weak = tuple(dict.fromkeys((*session.weak, *_weak(pair.suite.legacy))))
            session.transport = "nat-t" if pair.udp_encapsulated else "esp"
            session.tunnel_port = pair.path.local[1] if pair.udp_encapsulated else 0
        path = data_path(pair.path, encapsulated=pair.udp_encapsulated)
        return [
            InstallSa(
                session=client.session,
                pair=pair.number,
                cipher=pair.suite.cipher.cipher,
                integrity=pair.suite.integrity.name if pair.suite.integrity else "",
                inbound=_half(pair.inbound),
                outbound=_half(pair.outbound),
                local=_carried(pair.local, group),
                remote=(str(pair.remote.network),),
                peer=path.remote,
                local_port=path.local[1],
                udp_encapsulated=pair.udp_encapsulated,
                replaces=pair.replaces,
            )
        ]

    def _activate(self, number: int, pair: int, now: float) -> list[Effect]:
        client = self._client(number)
        made: list[Effect] = [ActivateSa(client.session, pair)]
        session = self.table.find(client.session)
        if session is not None and session.state is not State.UP:
            session.state = State.UP
            self._watch(number, client, session, now)
            fields: dict[str, Field] = {
                "user": session.user,
                "group": session.group,
                "assigned": session.assigned,
                "public": text(client.source),
                "transport": session.transport,
                "suite": client.pairs[pair].suite,
            }
            made.append(Record(self._tagged(number, LogEvent("session.started", fields))))
        return made

    def _remove(self, number: int, pair: int) -> list[Effect]:
        client = self._client(number)
        client.pairs.pop(pair, None)
        session = self.table.find(client.session)
        if session is not None:
            session.spis = tuple(client.pairs.values())
        return [RemoveSa(client.session, pair)]

    def _followed(self, number: int, path: Path) -> list[Effect]:
        client = self._client(number)
        client.source = path.remote
        session = self.table.find(client.session)
        if session is None:
            return []
        session.public = path.remote
        to = data_path(path, encapsulated=session.transport != "esp")
        return [MovePeer(client.session, to.remote, to.local[1])]

    # --- ends --------------------------------------------------------------------------------

    def _end(self, session: int, reason: str, now: float) -> list[Effect]:
        number = self._by_session.get(session)
        return [] if number is None else self._close(number, reason, now)

    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        words = self._words(reason)
        return self._carry(
            self._endpoint.act(number, lambda sa: sa.close(reason, words, now=now)), now
        )

    def _words(self, reason: str) -> Reason | None:
        row = ending(reason)
        if not self._config.live.alert_when_disconnecting or not row.tell_peer:
            return None
        return Reason(row.delete_code, row.delete_text or row.sentence, row.id)

    def _over(self, number: int, over: Over, now: float) -> list[Effect]:
        self._certificates.forget(number)
        client = self._clients.pop(number, None)
        if client is None:
            return []
        reason = over.reason
        if reason == "peer-deleted":
            told = endings().get(over.told)
            reason = told.id if told else heard(over.code, from_client=True).id
            reason = "by-user" if reason == "peer-deleted" else reason
        if not client.session and reason == "replaced":
            return []  # a first message that came twice; its connection lives on beside this
        if not client.session:
            cause = client.cause or over.detail or reason
            self.refusals.append(
                Attempt(
                    self._at(now), text(client.source), client.group, client.user, reason, cause
                )
            )
            return []
        return self._end_session(client, reason, over, now)

    def _end_session(self, client: _Client, reason: str, over: Over, now: float) -> list[Effect]:
        closed = self.table.end(client.session, reason, now=now, by_peer=over.by_peer)
        self._by_session.pop(client.session, None)
        self._checks.pop(client.session, None)
        self._quiet.pop(client.session, None)
        if client.lease is not None:
            pool, address = client.lease
            pool.release(address)
        made: list[Effect] = [SessionEnded(client.session, reason, over.by_peer)]
        if closed is not None:
            fields: dict[str, Field] = {
                "session": client.session,
                "user": closed.user,
                "group": closed.group,
                "reason": reason,
                "by_peer": over.by_peer,
                "seconds": round(closed.seconds, 1),
                "octets_in": closed.counters.octets_in,
                "octets_out": closed.counters.octets_out,
            }
            made.append(Record(LogEvent("session.ended", fields)))
        return made

    # --- the data path says ------------------------------------------------------------------

    def _moved(self, moved: PeerMoved, now: float) -> list[Effect]:
        number = self._by_session.get(moved.session)
        if number is None:
            return []

        def follow(sa: IkeSa) -> list[Output]:
            return sa.moved(after_move(sa.path, moved.peer, moved.local_port))

        return self._carry(self._endpoint.act(number, follow), now)

    def _traffic(self, traffic: Traffic, now: float) -> None:
        number = self._by_session.get(traffic.session)
        if number is None:
            return
        self.table.count(
            traffic.session,
            Counters(
                traffic.octets_in,
                traffic.octets_out,
                traffic.packets_in,
                traffic.packets_out,
                traffic.dropped_in,
                traffic.dropped_out,
            ),
        )
        client = self._client(number)
        client.active_at = now
        self._listen(traffic.session, client, now)
        sa = self._endpoint.get(number)
        if sa is not None and traffic.packets_in > client.heard_packets:
            client.heard_packets = traffic.packets_in
            sa.heard(now=now)

    # --- a tunnel that brings nothing ---------------------------------------------------------

    def _watch(self, number: int, client: _Client, session: Session, now: float) -> None:
        sa = self._endpoint.get(number)
        if sa is not None:
            client.silence = Silence(
                untraversed=sa.nat.found and not sa.encapsulated,
                encapsulated=sa.encapsulated,
                now=now,
            )
            self._heed(session.number, client)

    def _listen(self, number: int, client: _Client, now: float) -> None:
        session = self.table.find(number)
        if session is not None and client.silence is not None:
            client.silence.counted(session.counters, now=now)
            self._heed(number, client)

    def _heed(self, number: int, client: _Client) -> None:
        """What the row shows, and when to look again."""
        session = self.table.find(number)
        if client.silence is None or session is None:
            return
        session.problem = client.silence.problem
        if client.silence.deadline < inf:
            self._quiet[number] = client.silence.deadline
        else:
            self._quiet.pop(number, None)

    def _tell_silence(self, number: int, now: float) -> list[Effect]:
        owner = self._by_session[number]
        client = self._client(owner)
        told = client.silence.tick(now=now) if client.silence else None
        self._heed(number, client)
        return [Record(self._tagged(owner, told))] if told else []

    # --- time limits of a group --------------------------------------------------------------

    def _arm_limits(self, session: Session, group: Group, now: float) -> None:
        number = self._by_session[session.number]
        at = inf
        if group.session_seconds:
            at = session.since + group.session_seconds
        if group.idle_seconds:
            at = min(at, self._client(number).active_at + group.idle_seconds)
        if at < inf:
            self._checks[session.number] = max(at, now)

    def _check_limits(self, number: int, now: float) -> list[Effect]:
        del self._checks[number]
        session = self.table.find(number)
        if session is None:
            return []
        group = self._groups[session.group]
        if group.session_seconds and now >= session.since + group.session_seconds:
            return self._end(number, "max-connect-time", now)
        active_at = self._client(self._by_session[number]).active_at
        if group.idle_seconds and now >= active_at + group.idle_seconds:
            return self._end(number, "idle-timeout", now)
        self._arm_limits(session, group, now)
        return []

    # --- small things ------------------------------------------------------------------------

    def _settings_for(self, path: Path) -> Settings:
        return replace(self._settings, identity=identity_at(path, self._config))

    def _client(self, number: int) -> _Client:
        return self._clients[number]

    def _at(self, now: float) -> datetime:
        return self._wall + timedelta(seconds=now - self._began)

    def _tagged(self, number: int, event: LogEvent) -> LogEvent:
        client = self._clients.get(number)
        if client is None:
            return event
        known: dict[str, Field] = {"group": client.group}
        if client.session:
            known["session"] = client.session
        if client.user:
            known["user"] = client.user
        return event.with_fields(**known)


def _refusal_event(refused: Refused, client: _Client, group: Group) -> LogEvent:
    match refused.reason:
        case "no-address":
            return LogEvent("session.no-address", {"pool": group.pool})
        case "duplicate-limit":
            fields: dict[str, Field] = {"user": client.user, "limit": group.max_logins}
            return LogEvent("session.duplicate-limit", fields)
        case "session-limit":
            return LogEvent("session.limit", {"limit": refused.detail})
        case other:
            return LogEvent("config.refused", {"reason": other})


def _half(keys: SaKeys) -> SaHalf:
    return SaHalf(keys.spi, keys.cipher_key, keys.salt, keys.integrity_key)


def _carried(asked: Selector, group: Group) -> tuple[str, ...]:
    """Unity clients ask for everything and mean the split list; only that is let through."""
    if asked.network.prefixlen == 0 and group.split_include:
        return tuple([str(network) for network in group.split_include])
    return (str(asked.network),)


def _weak(legacy: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(legacy))
