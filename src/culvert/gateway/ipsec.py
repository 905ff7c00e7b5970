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
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Protocol, assert_never

from culvert.effects import (
    ActivateSa,
    Answer,
    CertificateJudged,
    Effect,
    Judge,
    Judged,
    MovePeer,
    PairWorn,
    PeerMoved,
    Record,
    RemoveSa,
    SendIke,
    SendRaw,
    Signed,
    Traffic,
)
from culvert.eventlog.event import LogEvent
from culvert.gateway import announcing, attributes
from culvert.gateway.caller import Attempt, Caller
from culvert.gateway.certificates import CallersCertificates
from culvert.gateway.config import GatewayConfig
from culvert.gateway.counted import REFUSALS, Counted
from culvert.gateway.dynamic import Dynamic
from culvert.gateway.other_gateways import OtherGateways
from culvert.gateway.sessions import CallersSessions
from culvert.gateway.settings import (
    endpoint_limits,
    general_settings,
    group_settings,
    identity_at,
    with_sites,
)
from culvert.gateway.sites import Sites
from culvert.gateway.taking_over import TakingOver
from culvert.ike import natt
from culvert.ike.carriage import after_move, data_path, streamed
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.outputs import (
    Activate,
    Announced,
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
    GroupKey,
    Install,
    Keyed,
    LoggedIn,
    Moved,
    Output,
    Over,
    Remove,
    Renew,
    Send,
    SendKeepalive,
    Verdict,
)
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.settings import Settings
from culvert.ike.wire import before_ike
from culvert.ike.wire import config as cfg
from culvert.ike.wire.config import INTERNAL_IP4_ADDRESS
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path
from culvert.orders.certificates import Shown
from culvert.policy.refused import Refused
from culvert.rng import Random
from culvert.session.ending import ending, endings, heard
from culvert.session.table import SessionTable

KEEPALIVE = b"\xff"  # RFC 3948 §2.3

_Asked = AskGroupKey | AskGroup | AskSignature | AskCertificate | CheckPerson | AskConfiguration

_OF_NO_CLIENT = (LogEvent, Send, Keyed, AskGroupKey, AskGroup, AskSignature, AskCertificate, Over)
"""What an IKE SA may say before it has a client here, or after."""

_EVERYTHING = (Selector(ip_network("0.0.0.0/0")), Selector(ip_network("::/0")))


class Keys(Protocol):
    """The vault's group keys, or the way to them (`culvert.vault.group_keys`)."""

    def skeyid(
        self, identity: Identity, hash_name: str, nonce_i: bytes, nonce_r: bytes
    ) -> GroupKey: ...


class IpsecGateway(OtherGateways, TakingOver, Counted):
    """``began``: wall time and monotonic second of one moment, from which all wall times follow.

    ``bare_esp``: the data path carries ESP without UDP. ``certificate``: what the gateway shows of
    itself; ``authorities``: DER names of those whose certificates callers are asked for.
    """

    def __init__(
        self,
        config: GatewayConfig,
        table: SessionTable,
        keys: Keys,
        rng: Random,
        *,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
    ) -> None:
        self.table = table
        self.refusals: deque[Attempt] = deque(maxlen=REFUSALS)
        self._early: dict[int, Attempt] = {}
        self._config = config
        self._keys = keys
        changing = [site for site in config.restart.sites if site.dynamic]
        self._dynamic = Dynamic(changing, keys, rng)
        self._wall, self._began = began
        self._settings = general_settings(
            config, bare_esp=bare_esp, certified=certificate is not None, authorities=authorities
        )
        self._sites = Sites(config, self._settings, began=began[1])
        self._group_settings = {
            group.name: group_settings(self._settings, group) for group in config.live.groups
        } | dict(self._sites.settings)
        self._sessions = CallersSessions(config, table, self._at)
        self._endpoint = Endpoint(
            with_sites(self._settings) if self._sites.by_name else self._settings,
            rng,
            limits=endpoint_limits(config),
            natt_port=config.restart.natt_port,
            settings_for=self._settings_for,
        )
        self._certificates = CallersCertificates(
            certificate,
            {g.name: g for g in config.live.groups},
            config.live.certificate_group,
            self._narrowed,
        )
        self._clients: dict[int, Caller] = {}
        self._tickets: dict[int, int] = {}
        self._last_ticket = 0
        self._stopped = False

    # --- entries -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        return min(self._endpoint.deadline, self._sessions.deadline, self._sites.deadline)

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]:
        if self._stopped:
            return []
        if self._dynamic.sites and before_ike.is_one(octets):
            return self._heard_before_ike(octets, path, now)
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
            case PairWorn():
                return self._worn(answer, now)
            case Traffic():
                self._traffic(answer, now)
                return []
            case _:
                return []

    def tick(self, *, now: float) -> list[Effect]:
        made = self._carry(self._endpoint.tick(now=now), now)
        for session, reason in self._sessions.over_limit(now):
            made += self._end(session, reason, now)
        for site, path, settings in self._sites.due(now):
            made += self._call(site, path, settings, now)
        for number, site in self._sites.bare(now):
            made += self._ask_for_pairs(number, site, now)
        return made + [Record(event) for event in self._sessions.gone_silent(now)]

    def logout(self, number: int, reason: str = "by-administrator", *, now: float) -> list[Effect]:
        """End session ``number`` from outside."""
        return self._end(number, reason, now)

    def shutdown(self, reason: str = "peer-shutdown", *, now: float) -> list[Effect]:
        """Say goodbye to everybody; whoever calls from now on shall find us gone already.

        ``reason``: peer-shutdown, or peer-reboot if the machine comes back at once.
        """
        self._stopped = True
        self._sites.stop()
        made: list[Effect] = []
        for number in list(self._clients):
            made += self._close(number, reason, now)
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
                self._foreseen(number, output, now)
                return [Record(self._tagged(number, output))]
            case Send(octets=octets, path=path):
                return [SendIke(octets, path.remote, path.local[1], marker=path.encapsulated)]
            case SendKeepalive(path=path):
                return [SendRaw(KEEPALIVE, path.remote, path.local[1])]
            case Keyed():
                return [output]
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
            case Renew():
                return self._renew_site(number, now)
            case Announced():
                told = announcing.received(output, self._endpoint.get(number))
                return [Record(self._tagged(number, told))]
            case AskPerson() | Configured():
                return []  # a responder never says these, and a site is no person
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
                self._not_foreseen(number)
                client = self._client(number)
                client.proved = news
                client.initial_contact = news.initial_contact
                if (site := self._sites.by_name.get(client.group)) is not None:
                    return self._site_here(number, client, site, now)
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

    def _group_key(self, number: int, asked: AskGroupKey, now: float) -> list[Effect]:
        sa = self._endpoint.get(number)
        if sa is None:
            return []
        whose = self._sites.identity(sa, asked.identity)
        key = self._keys.skeyid(whose, asked.hash_name, asked.nonce_i, asked.nonce_r)
        self._clients[number] = Caller(sa.path.remote, key.group or str(asked.identity))
        known = replace(key, settings=self._narrowed(number, key.group))
        return self._carry(self._endpoint.step(number, known, now=now), now)

    def _narrowed(self, number: int, group: str) -> Settings | None:
        """The settings of a group, for this caller."""
        settings, sa = self._group_settings.get(group), self._endpoint.get(number)
        if settings is None or sa is None:
            return None
        return replace(
            settings,
            role=sa.settings.role,
            # A group has no name of its own for us: we stay who was called.
            identity=sa.settings.identity,
            natt=() if sa.settings.streamed else settings.natt,
            streamed=sa.settings.streamed,
            # Plain ESP is built for IPv4.
            force_encapsulation=settings.force_encapsulation or ":" in sa.path.remote[0],
        )

    def _about_certificates(
        self, number: int, asked: AskGroup | AskSignature | AskCertificate, now: float
    ) -> list[Effect]:
        sa = self._endpoint.get(number)
        if sa is None:
            return []
        client = self._clients.setdefault(number, Caller(sa.path.remote))
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
        return [
            Judge(
                self._last_ticket,
                client.group,
                asked.user,
                asked.password,
                source,
                asked.answers,
                asked.asked,
                asked.response,
                owner=number,
            )
        ]

    def _judged(self, word: Judged, now: float) -> list[Effect]:
        number = self._tickets.pop(word.ticket, 0)
        if number not in self._clients:
            return []
        client = self._client(number)
        client.cause = word.cause or word.reason
        accepted = word.accepted
        if not accepted and word.reason != "auth-rejected" and word.ask is None:
            # The login itself was right: say so first, and the policy's word after it.
            client.policy = word.reason
            accepted = True
        verdict = Verdict(accepted, word.user or client.user, client.cause, word.ask)
        return self._carry(self._endpoint.step(number, verdict, now=now), now)

    def _logged_in(self, number: int, user: str, now: float) -> list[Effect]:
        client = self._client(number)
        client.user = user
        made: list[Effect] = []
        if client.initial_contact:
            self.table.renounce(user, client.source)
            if self.table.count_of_user(user):
                made += self._replace_older(number, client, now)
        if client.policy:
            made += self._close(number, client.policy, now)
        return made

    def _replace_older(self, number: int, client: Caller, now: float) -> list[Effect]:
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
        client = self._client(number)
        made: list[Effect] = []
        if not client.session:
            made += self._renewed(number, client, asked, now)
        if not client.session:
            refused = self._sessions.admit(number, client, asked, now)
            if isinstance(refused, Refused):
                client.cause = refused.detail or refused.reason
                made.append(Record(self._sessions.refusal(refused, client)))
                return made + self._close(number, refused.reason, now)
        if told := self._sessions.described(client, asked):
            made += [Record(self._tagged(number, event)) for event in told]
        given = attributes.answer(
            asked.wanted,
            self._sessions.groups[client.group],
            client.address,
            self._config.live.application_version,
            natt_port=self._udp_port(number, client, asked),
        )
        answer = Configuration(given, (Selector(ip_network(client.address)),), _EVERYTHING)
        return made + self._carry(self._endpoint.step(number, answer, now=now), now)

    def _udp_port(self, number: int, client: Caller, asked: AskConfiguration) -> int:
        """What a client is told of ESP in UDP: 4500 where NAT traversal carries it; without that a
        client that asks gets the port of Cisco's own way, and uses it."""
        sa = self._endpoint.get(number)
        if sa is None or sa.encapsulated:
            return 0 if sa is None else natt.NATT_PORT
        group = self._sessions.groups[client.group]
        wanted = cfg.UNITY_NATT_PORT in asked.wanted and not group.push
        if wanted and not sa.traverses and group.over_udp:
            client.udp_port = self._config.restart.udp_port
        return client.udp_port

    def _renewed(
        self, number: int, client: Caller, asked: AskConfiguration, now: float
    ) -> list[Effect]:
        """A new IKE SA of somebody who is here already takes over session, address and pairs of
        the old one: phase 1 was renewed. The old one ends by the peer's word, or by DPD; that of
        somebody who begins anew, by another way perhaps, ends before limits are looked at."""
        wanted = [a.value for a in asked.attributes if a.kind == INTERNAL_IP4_ADDRESS]
        old = self._sessions.earlier(client, wanted)
        if not old:
            return []
        if client.initial_contact:
            return self._close(old, "replaced", now)
        made = self._carry(self._endpoint.succeed(old, number, now=now), now)
        self._sessions.pass_on(self._clients.pop(old), client, number)
        return made

    # --- pairs -------------------------------------------------------------------------------

    def _pair(self, number: int, pair: Install | Activate | Remove, now: float) -> list[Effect]:
        client = self._client(number)
        match pair:
            case Install():
                return [self._sessions.install(client, pair)]
            case Activate(number=which):
                sa = self._endpoint.get(number)
                told = self._sessions.activate(client, which, sa, now)
                return [ActivateSa(client.session, which), *map(Record, told)]
            case Remove(number=which):
                self._sessions.remove(client, which)
                self._sites.lost_pairs(number, client.pairs, now)
                return [RemoveSa(client.session, which)]
            case _:
                assert_never(pair)

    def _followed(self, number: int, path: Path) -> list[Effect]:
        client = self._client(number)
        client.source = path.remote
        self._sites.moved(number, path.remote[0])
        session = self._sessions.moved(client)
        if session is None or client.udp_port:
            return []
        to = data_path(path, encapsulated=session.transport != "esp")
        return [MovePeer(client.session, to.remote, to.local[1])]

    # --- ends --------------------------------------------------------------------------------

    def _end(self, session: int, reason: str, now: float) -> list[Effect]:
        number = self._sessions.owner(session)
        return self._close(number, reason, now) if number else []

    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        words = self._words(reason)
        return self._carry(
            self._endpoint.act(number, lambda sa: sa.close(reason, words, now=now)), now
        )

    def _words(self, reason: str) -> Reason | None:
        row = ending(reason)
        if not row.tell_peer:
            return None
        return Reason(row.delete_code, row.delete_text or row.sentence, row.id)

    def _over(self, number: int, over: Over, now: float) -> list[Effect]:
        self._certificates.forget(number)
        self._sites.over(number, now)
        client = self._clients.pop(number, None)
        if client is None:
            return []
        reason = over.reason
        if reason == "peer-deleted":
            told = endings().get(over.told)
            reason = told.id if told else heard(over.code, from_client=True).id
            reason = "by-user" if reason == "peer-deleted" else reason
        if client.session:
            return self._sessions.end(client, reason, by_peer=over.by_peer, now=now)
        self._refused(number, client, over, reason, now)
        return []

    # --- the data path says ------------------------------------------------------------------

    def _moved(self, moved: PeerMoved, now: float) -> list[Effect]:
        def follow(sa: IkeSa) -> list[Output]:
            return sa.moved(after_move(sa.path, moved.peer, moved.local_port))

        number = self._sessions.owner(moved.session)
        if not number:
            return []
        made = self._carry(self._endpoint.act(number, follow), now)
        client = self._client(number)
        if moved.local_port == client.udp_port:
            client.udp_peer = moved.peer
            made.append(MovePeer(moved.session, moved.peer, moved.local_port))
        return made

    def _worn(self, worn: PairWorn, now: float) -> list[Effect]:
        number = self._sessions.owner(worn.session)
        renewed = self._endpoint.act(
            number, lambda sa: sa.worn(worn.pair, spent=worn.spent, now=now)
        )
        return self._carry(renewed, now) if number else []

    def _traffic(self, traffic: Traffic, now: float) -> None:
        self._sessions.count(traffic, now)
        sa = self._endpoint.get(self._sessions.owner(traffic.session))
        if sa is None:
            return
        client = self._client(self._sessions.owner(traffic.session))
        if traffic.packets_in > client.heard_packets:
            client.heard_packets = traffic.packets_in
            sa.heard(now=now)

    # --- small things ------------------------------------------------------------------------

    def _settings_for(self, path: Path) -> Settings:
        site = self._sites.at(path.remote[0])
        settings = self._sites.settings[site.name] if site else self._settings
        known = replace(settings, identity=identity_at(path, self._config))
        return replace(known, natt=(), streamed=True) if streamed(path) else known

    def _client(self, number: int) -> Caller:
        return self._clients[number]

    def _at(self, now: float) -> datetime:
        return self._wall + timedelta(seconds=now - self._began)

    def _tagged(self, number: int, event: LogEvent) -> LogEvent:
        client = self._clients.get(number)
        return event if client is None else client.tagged(event)
