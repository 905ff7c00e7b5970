"""Connection: the client's coordinator. Joins a profile with IKE, a person and this machine.

    idle ── connect ──> resolving ──> connecting ──> login ──> configuring ──> up ──> down
                            └──────────────┴────────────┴───────────┴──────────────────┘

Sans-IO: every entry returns the effects to carry out; the driver brings the answers back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import inf
from typing import assert_never

from culvert import __version__
from culvert.client.configuration import Given, given, wanted_routes
from culvert.client.pairs import SESSION, install, tunnel_settings, wanted_selectors
from culvert.client.person import GROUP_KEY, Person
from culvert.client.progress import Progress, status_row
from culvert.client.settings import IKE_PORT, NATT_PORT, needs_group_key, settings_of
from culvert.crypto.hash import hmac
from culvert.datapath.mtu import Carriage
from culvert.effects import (
    ActivateSa,
    Answer,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    Effect,
    HumanAnswered,
    Judged,
    MachineConfigured,
    MovePeer,
    PeerMoved,
    Record,
    RemoveSa,
    Resolve,
    Resolved,
    RestoreMachine,
    SendIke,
    SendRaw,
    SessionEnded,
    Signed,
    Traffic,
)
from culvert.eventlog.event import Field, LogEvent
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
    CertificateVerdict,
    CheckPerson,
    Configured,
    GroupKey,
    Install,
    LoggedIn,
    Moved,
    Output,
    Over,
    PersonAnswer,
    Remove,
    Send,
    SendKeepalive,
    Signature,
)
from culvert.ike.peer import IkeSa
from culvert.ike.selector import Selector
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path
from culvert.orders.certificates import CertificateOrders, Shown, verdict
from culvert.profile.profile import Profile
from culvert.rng import Random
from culvert.secret import Secret
from culvert.session.ending import closing_words, ending, endings, heard
from culvert.session.session import Counters
from culvert.session.silence import Silence

KEEPALIVE = b"\xff"  # RFC 3948 §2.3
STREAM = 20
"""Packets between two looks that make a stream: in one that flows this way only, nothing of ours
would tell a NAT that forgot us, or the gateway behind it, where we are."""

RENEWAL_WAIT = 2.0
"""Seconds after which a client without any pair asks for new ones. A gateway that ends everything
deletes the pairs first, and its next message says so."""


class Connection:
    """``began``: wall time and monotonic second of one moment, from which wall times follow.

    ``bare_esp``: the data path carries ESP without UDP. ``certificate``: what this end shows of
    itself; ``authorities``: DER names of those whose certificates a gateway is asked for.
    """

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        *,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
    ) -> None:
        self.profile = profile
        self.state = "idle"
        self._wall, self._began = began
        self._endpoint = Endpoint(
            settings_of(
                profile,
                f"culvert {__version__}",
                bare_esp=bare_esp,
                certificate=certificate,
                authorities=authorities,
            ),
            rng,
            natt_port=NATT_PORT,
        )
        self._certificates = CertificateOrders(certificate)
        self._sa = 0
        self._person = Person(profile)
        self._ticket = 0
        self._waits_for = ""  # what the open ticket is about
        self._so_far = Progress()
        self._leaving = ""
        self._renew_at = inf  # when to ask again for pairs that the gateway took away

    # --- entries -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        silence = self._so_far.silence
        quiet = silence.deadline if silence else inf
        return min(self._endpoint.deadline, self._renew_at, quiet)

    def connect(self, *, now: float) -> list[Effect]:
        """Begin; what is missing is asked for."""
        if self.state not in ("idle", "down"):
            return []
        self.state = "resolving"
        self._leaving = ""
        self._so_far = Progress(began=now)
        made: list[Effect] = [
            self._event("client.connecting", profile=self.profile.name, host=self.profile.host)
        ]
        if self._person.group_key is None and needs_group_key(self.profile):
            made.append(self._ask((GROUP_KEY,), "", repeated=False))
        else:
            made.append(self._resolve())
        return made

    def disconnect(self, *, now: float) -> list[Effect]:
        """End it by the user's wish."""
        if self.state in ("idle", "down"):
            return []
        return self._leave("by-user", now)

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]:
        return self._carry(self._endpoint.receive(octets, path, now=now), now)

    def tick(self, *, now: float) -> list[Effect]:
        made = self._carry(self._endpoint.tick(now=now), now)
        if self._renew_at <= now:
            self._renew_at = inf
            made += self._ask_for_pairs(now)
        if self._so_far.silence and (told := self._so_far.silence.tick(now=now)):
            made.append(self._told(told))
        return made

    def step(self, answer: Answer, *, now: float) -> list[Effect]:
        """An answer that nobody waits for any more is dropped."""
        match answer:
            case Resolved():
                return self._resolved(answer, now) if self._awaited(answer.ticket) else []
            case HumanAnswered():
                return self._answered(answer, now) if self._awaited(answer.ticket) else []
            case MachineConfigured():
                return self._machine(answer, now) if self._awaited(answer.ticket) else []
            case PeerMoved():
                return self._peer_moved(answer, now)
            case Traffic():
                return self._traffic(answer, now)
            case Signed():
                signature = self._certificates.signature(answer)
                return self._tell(self._certificates.owner(answer.ticket), signature, now)
            case CertificateJudged():
                return self._tell(self._certificates.owner(answer.ticket), verdict(answer), now)
            case Judged():
                return []  # a client judges no person
            case _:
                assert_never(answer)

    @property
    def snapshot(self) -> Mapping[str, object]:
        """The row of `culvert status` (docs/reference/json.md)."""
        return status_row(
            self._so_far,
            self._endpoint.get(self._sa),
            user=self._person.user,
            group=self.profile.group,
            step=self.state,
        )

    # --- before IKE --------------------------------------------------------------------------

    def _resolve(self) -> Effect:
        self._waits_for = "address"
        self._ticket += 1
        return Resolve(self._ticket, self.profile.host)

    def _resolved(self, found: Resolved, now: float) -> list[Effect]:
        usable = [address for address in found.addresses if _is_ipv4(address)]
        if not usable:
            problem = found.problem or "the name has no IPv4 address"
            told = self._event("client.resolve-failed", host=self.profile.host, problem=problem)
            return [told, *self._down("resolve-failed", now)]
        self._so_far.address = usable[0]
        self.state = "connecting"
        made: list[Effect] = [
            self._event("client.resolved", host=self.profile.host, address=usable[0])
        ]
        path = Path(("0.0.0.0", IKE_PORT), (usable[0], IKE_PORT))  # noqa: S104  # not known yet
        self._sa, outputs = self._endpoint.call(path, now=now)
        return made + self._carry(outputs, now)

    # --- IKE says ----------------------------------------------------------------------------

    def _carry(self, numbered: Iterable[Numbered], now: float) -> list[Effect]:
        made: list[Effect] = []
        for number, output in numbered:
            made += self._one(number, output, now)
        return made

    def _one(self, number: int, output: Output, now: float) -> list[Effect]:
        match output:
            case LogEvent():
                return [self._told(output)]
            case Send(octets=octets, path=path):
                return [SendIke(octets, path.remote, path.local[1], marker=path.encapsulated)]
            case SendKeepalive(path=path):
                return [SendRaw(KEEPALIVE, path.remote, path.local[1])]
            case AskGroupKey():
                return self._skeyid(number, output, now)
            case AskSignature() | AskCertificate():
                return self._about_certificates(number, output, now)
            case AskPerson():
                return self._who(output, now)
            case Authenticated() | LoggedIn() | Configured() | Moved() | Over():
                return self._became(output, now)
            case Install() | Activate() | Remove():
                return self._pair(output, now)
            case AskGroup() | CheckPerson() | AskConfiguration():
                return []  # an initiator never says these
            case _:
                assert_never(output)

    def _became(
        self, news: Authenticated | LoggedIn | Configured | Moved | Over, now: float
    ) -> list[Effect]:
        match news:
            case Authenticated():
                way = news.suite.authentication
                self.state = "login" if way.xauth else "configuring"
                self._so_far.method = way.name
                self._so_far.weak = tuple(sorted(news.suite.legacy))
                return []
            case LoggedIn():
                self.state = "configuring"
                return []
            case Configured(attributes=attributes):
                return self._configured(given(attributes), now)
            case Moved(path=path):
                to = data_path(path, encapsulated=self._encapsulated)
                return [MovePeer(SESSION, to.remote, to.local[1])]
            case Over():
                return self._over(news, now)
            case _:
                assert_never(news)

    def _skeyid(self, number: int, asked: AskGroupKey, now: float) -> list[Effect]:
        held = self._person.group_key
        key = held.octets() if held else b""
        skeyid = hmac(asked.hash_name, key, asked.nonce_i + asked.nonce_r)
        known = GroupKey(skeyid, self.profile.group)
        return self._carry(self._endpoint.step(number, known, now=now), now)

    def _about_certificates(
        self, number: int, asked: AskSignature | AskCertificate, now: float
    ) -> list[Effect]:
        if isinstance(asked, AskCertificate):
            return [self._certificates.judge(number, asked, self._so_far.address)]
        made = self._certificates.sign(number, asked)
        return self._tell(number, made, now) if isinstance(made, Signature) else [made]

    def _tell(self, number: int, given: Signature | CertificateVerdict, now: float) -> list[Effect]:
        return self._carry(self._endpoint.step(number, given, now=now), now)

    # --- the person --------------------------------------------------------------------------

    def _who(self, asked: AskPerson, now: float) -> list[Effect]:
        """Answer from the profile what it knows; a saved password serves once."""
        missing = self._person.missing(asked.wants, repeated=asked.repeated)
        if not missing:
            return self._tell_person(self._person.known, now)
        return [
            self._event("client.asking", wants=", ".join(missing)),
            self._ask(missing, asked.message, repeated=asked.repeated),
        ]

    def _ask(self, wants: tuple[str, ...], message: str, *, repeated: bool) -> Effect:
        self._waits_for = "group-key" if wants == (GROUP_KEY,) else "person"
        self._ticket += 1
        return AskHuman(self._ticket, wants, message, repeated)

    def _answered(self, answer: HumanAnswered, now: float) -> list[Effect]:
        about, self._waits_for = self._waits_for, ""
        if about == "group-key":
            if answer.values is None:
                return self._down("by-user", now)
            self._person.group_key = answer.values.get(GROUP_KEY, Secret(""))
            return [self._resolve()]
        if answer.values is None:
            self._leaving = "by-user"
            return self._tell_person(None, now)
        return self._tell_person(self._person.told(answer.values), now)

    def _tell_person(self, values: dict[str, Secret] | None, now: float) -> list[Effect]:
        said = PersonAnswer(values)
        return self._carry(self._endpoint.step(self._sa, said, now=now), now)

    # --- configuration and pairs -------------------------------------------------------------

    def _configured(self, answer: Given, now: float) -> list[Effect]:
        if not answer.address:
            return self._leave("no-address", now)
        self._so_far.given = answer
        self._so_far.routes = wanted_routes(answer.include, self.profile.remote_networks)
        return self._ask_for_pairs(now)

    def _ask_for_pairs(self, now: float) -> list[Effect]:
        local = Selector(ip_network(self._so_far.given.address))
        made: list[Effect] = []
        for remote in wanted_selectors(self.profile, self._so_far, unity=self._unity):
            made += self._quick(local, remote, now)
        return made

    @property
    def _unity(self) -> bool:
        sa = self._endpoint.get(self._sa)
        return sa is not None and "unity" in sa.features

    def _quick(self, local: Selector, remote: Selector, now: float) -> list[Effect]:
        def start(sa: IkeSa) -> list[Output]:
            return sa.start_quick(local, remote, now=now)

        return self._carry(self._endpoint.act(self._sa, start), now)

    def _pair(self, pair: Install | Activate | Remove, now: float) -> list[Effect]:
        match pair:
            case Install():
                return self._install(pair, now)
            case Activate(number=number):
                return [ActivateSa(SESSION, number), *self._configure()]
            case Remove(number=number):
                self._so_far.pairs -= 1
                if self.state == "up" and not self._so_far.pairs:
                    self._renew_at = now + RENEWAL_WAIT
                return [RemoveSa(SESSION, number)]
            case _:
                assert_never(pair)

    def _install(self, pair: Install, now: float) -> list[Effect]:
        so_far = self._so_far
        if so_far.silence is None:
            so_far.silence = self._watch(now)
        so_far.pairs += 1
        self._renew_at = inf
        so_far.esp = pair.suite
        so_far.weak = tuple(sorted({*so_far.weak, *pair.suite.legacy}))
        return [install(pair, so_far.routes)]

    def _configure(self) -> list[Effect]:
        """Once, with the first pair that carries."""
        so_far = self._so_far
        if so_far.configuring or so_far.esp is None:
            return []
        so_far.configuring = True
        self._waits_for = "machine"
        self._ticket += 1
        settings = tunnel_settings(self.profile, so_far, so_far.esp, self._carriage)
        return [ConfigureMachine(self._ticket, settings)]

    def _machine(self, done: MachineConfigured, now: float) -> list[Effect]:
        self._waits_for = ""
        if done.problem:
            told = self._event("client.machine-failed", problem=done.problem)
            return [told, *self._leave("machine-failed", now)]
        so_far = self._so_far
        so_far.interface = done.interface
        so_far.up_at = self._wall + timedelta(seconds=now - self._began)
        self.state = "up"
        return [
            self._event(
                "client.machine-configured",
                interface=done.interface,
                address=so_far.given.address,
                routes=so_far.routes,
                dns=so_far.given.dns,
            ),
            self._event(
                "client.up",
                profile=self.profile.name,
                address=so_far.given.address,
                seconds=round(now - so_far.began, 3),
            ),
        ]

    # --- the data path says ------------------------------------------------------------------

    def _peer_moved(self, moved: PeerMoved, now: float) -> list[Effect]:
        def follow(sa: IkeSa) -> list[Output]:
            return sa.moved(after_move(sa.path, moved.peer, moved.local_port))

        return self._carry(self._endpoint.act(self._sa, follow), now)

    def _traffic(self, traffic: Traffic, now: float) -> list[Effect]:
        so_far = self._so_far
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

    @property
    def _encapsulated(self) -> bool:
        sa = self._endpoint.get(self._sa)
        return sa is not None and sa.encapsulated

    @property
    def _carriage(self) -> Carriage:
        return Carriage.UDP if self._encapsulated else Carriage.BARE

    def _watch(self, now: float) -> Silence:
        sa = self._endpoint.get(self._sa)
        nat = sa is not None and sa.nat.found
        return Silence(
            untraversed=nat and not self._encapsulated, encapsulated=self._encapsulated, now=now
        )

    # --- ends --------------------------------------------------------------------------------

    def _leave(self, reason: str, now: float) -> list[Effect]:
        self._leaving = reason
        row = ending(reason)
        words = Reason(row.delete_code, row.delete_text or row.sentence, row.id)
        if self._endpoint.get(self._sa) is None:
            return self._down(reason, now)

        def close(sa: IkeSa) -> list[Output]:
            return sa.close(reason, words, now=now)

        return self._carry(self._endpoint.act(self._sa, close), now)

    def _over(self, over: Over, now: float) -> list[Effect]:
        reason = self._leaving or over.reason
        by_peer = over.by_peer and not self._leaving
        if reason == "peer-deleted":
            told = endings().get(over.told)
            reason = told.id if told and told.tell_peer else heard(over.code, from_client=False).id
        return self._down(reason, now, by_peer=by_peer)

    def _down(self, reason: str, now: float, *, by_peer: bool = False) -> list[Effect]:
        """Everything of this connection is undone; told exactly once."""
        was_configured = self._so_far.configuring
        self.state = "down"
        self._waits_for = ""
        self._renew_at = inf
        self._so_far.up_at = None
        self._so_far.pairs = 0
        self._so_far.silence = None
        made: list[Effect] = [SessionEnded(SESSION, reason, by_peer)]
        if was_configured:
            self._so_far.configuring = False
            made.append(RestoreMachine(self.profile.name))
        row = ending(reason)
        peer = self._so_far.address if by_peer else ""
        words = closing_words(row.delete_text or row.sentence, peer=peer)
        made.append(
            self._event(
                "client.down",
                profile=self.profile.name,
                reason=reason,
                by_peer=by_peer,
                words=words,
            )
        )
        return made

    # --- small things ------------------------------------------------------------------------

    def _awaited(self, ticket: int) -> bool:
        return ticket == self._ticket and bool(self._waits_for)

    def _told(self, event: LogEvent) -> Effect:
        return Record(event.with_fields(connection=self.profile.name))

    def _event(self, code: str, **fields: Field) -> Effect:
        return self._told(LogEvent(code, fields))


def _nothing(_: IkeSa) -> list[Output]:
    return []


def _is_ipv4(address: str) -> bool:
    return ip_address(address).version == 4
