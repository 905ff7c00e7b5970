"""Connection: the client's coordinator. Joins a profile with IKE, a person and this machine.

    idle ── connect ──> resolving ──> connecting ──> login ──> configuring ──> up ──> down
        ^                   └──────────────┴────────────┴───────────┴──────────────────┘
        └── reconnecting <── lost ──────────────────────────────────┘

Sans-IO: every entry returns the effects to carry out; the driver brings the answers back.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import assert_never

from culvert.client.networks import Networks
from culvert.client.pairs import SESSION
from culvert.client.person import GROUP_KEY
from culvert.client.progress import Progress, status_row
from culvert.client.settings import needs_group_key
from culvert.effects import (
    Answer,
    AskHuman,
    CertificateJudged,
    EchoAnswered,
    Effect,
    HumanAnswered,
    Judged,
    MachineConfigured,
    MovePeer,
    NetworksWanted,
    PairWorn,
    PeerMoved,
    Replied,
    Resolved,
    SendIke,
    SendRaw,
    Signed,
    StreamOpened,
    Traffic,
    TunnelSettings,
)
from culvert.eventlog.event import LogEvent
from culvert.ike.carriage import UDP_PORT, data_path
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
    CertificateVerdict,
    CheckPerson,
    Configured,
    GroupKey,
    Install,
    Keyed,
    LoggedIn,
    Moved,
    Output,
    Over,
    PersonAnswer,
    Remove,
    Renew,
    Send,
    SendKeepalive,
    Signature,
)
from culvert.inet.address import Path
from culvert.orders.certificates import verdict
from culvert.secret import Secret

KEEPALIVE = b"\xff"  # RFC 3948 §2.3
DECIDING = 180.0
"""Seconds a gateway may take to decide a login: somebody may have to find a telephone first."""


class Connection(Networks):
    """``began``: wall time and monotonic second of one moment, from which wall times follow.

    ``bare_esp``: the data path carries ESP without UDP. ``certificate``: what this end shows of
    itself; ``authorities``: DER names of those whose certificates a gateway is asked for.
    """

    # --- entries -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        silence = self._so_far.silence
        quiet = silence.deadline if silence else inf
        ours = (self._absent.at, self._returning.at, self._patient_until, self._doubt.deadline)
        return min(self._endpoint.deadline, quiet, self._watch_deadline, *ours)

    def connect(self, *, now: float) -> list[Effect]:
        """Begin; what is missing is asked for."""
        if self.state not in ("idle", "down"):
            return []
        self.state = "resolving"
        self._leaving = ""
        self._so_far = Progress(began=now)
        self._hosts.again()
        made: list[Effect] = [
            self._event("client.connecting", profile=self.profile.name, host=self._hosts.current)
        ]
        if self._person.group_key is None and needs_group_key(self.profile):
            made.append(self._ask((GROUP_KEY,), "", repeated=False))
        else:
            made.append(self._resolve())
        return made

    def resume(
        self, standing: TunnelSettings | None, interface: str, reason: str, *, now: float
    ) -> list[Effect]:
        """Another core had set this machine up, and is gone for ``reason``: come back to that."""
        self._so_far = Progress(began=now)
        self._set_up, self._interface = standing, interface
        self._had = standing.address if standing is not None else ""
        return self._lost(reason, now, by_peer=False)

    def disconnect(self, *, now: float) -> list[Effect]:
        """End it by the user's wish."""
        if self.state in ("idle", "down"):
            return []
        return self._leave("by-user", now)

    def close(self) -> None:
        """Nothing is open in a core; in that of a record there is."""

    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]:
        made = self._carry(self._endpoint.receive(octets, path, now=now), now)
        return made + self._doubts(now)

    def tick(self, *, now: float) -> list[Effect]:
        made = self._carry(self._endpoint.tick(now=now), now)
        if self._absent.at <= now:
            made += self._ask_for_missing(now)
        if self._so_far.silence and (told := self._so_far.silence.tick(now=now)):
            made += [self._told(told), *self._nothing_back(now)]
        if self._returning.at <= now:
            made += self._try_again(now)
        if self._patient_until <= now:
            made += self._unanswered(now)
        made += self._watch_over(now)
        return made + self._doubts(now)

    def step(self, answer: Answer, *, now: float) -> list[Effect]:
        """An answer that nobody waits for any more is dropped."""
        match answer:
            case Resolved():
                return self._resolved(answer, now) if self._awaited(answer.ticket) else []
            case StreamOpened():
                return self._stream_opened(answer, now) if self._awaited(answer.ticket) else []
            case HumanAnswered():
                return self._answered(answer, now) if self._awaited(answer.ticket) else []
            case MachineConfigured():
                return self._machine_says(answer, now)
            case PeerMoved():
                return self._peer_moved(answer, now)
            case PairWorn():
                return self._worn(answer, now)
            case EchoAnswered() | Replied():
                return self._heard_through(answer, now)
            case Traffic():
                return self._traffic(answer, now)
            case NetworksWanted():
                return self._other_networks(answer, now)
            case Signed() | CertificateJudged():
                return self._proof(answer, now)
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
            attempt=self._returning.attempt,
            again_at=self._wall_time(self._returning.at),
        )

    # --- IKE says ----------------------------------------------------------------------------

    def _one(self, number: int, output: Output, now: float) -> list[Effect]:
        match output:
            case LogEvent():
                self._so_far.note(output)
                return [self._told(output)]
            case Send(octets=octets, path=path):
                self._so_far.note_sent(path)
                return [SendIke(octets, path.remote, path.local[1], marker=path.encapsulated)]
            case SendKeepalive(path=path):
                return [self._keepalive(path)]
            case Keyed():
                return [output]
            case AskGroupKey():
                return self._skeyid(number, output, now)
            case AskSignature() | AskCertificate():
                return self._about_certificates(number, output, now)
            case AskPerson():
                return self._who(number, output, now)
            case Renew():
                return self._renew(now)
            case Authenticated() | LoggedIn() | Configured() | Announced() | Moved() | Over():
                return self._became(output, now)
            case Install() | Activate() | Remove():
                return self._pair(output, now)
            case AskGroup() | CheckPerson() | AskConfiguration():
                return []  # an initiator never says these
            case _:
                assert_never(output)

    def _became(
        self, news: Authenticated | LoggedIn | Configured | Announced | Moved | Over, now: float
    ) -> list[Effect]:
        match news:
            case Authenticated():
                way = news.suite.authentication
                usual = inf if way.xauth else self._patience(now)
                self._patient_until = min(usual, self._sign_of_life(now))
                self._enter("login" if way.xauth else "configuring")
                self._so_far.method = way.name
                self._so_far.exchange_mode = news.exchange
                self._so_far.weak = news.weak
                return []
            case LoggedIn():
                self._patient_until = self._patience(now)
                self._enter("configuring")
                return []
            case Configured(attributes=attributes):
                answer = self._answer(attributes)
                self._hosts.pushed(answer.backup_servers)
                self._patient_until = self._patience(now)
                return self._configured(answer, now)
            case Announced():
                return self._announced(news)
            case Moved() if self._so_far.udp_port:
                return []  # the gateway's port for ESP is another one
            case Moved(path=path):
                to = data_path(path, encapsulated=self._encapsulated)
                return [MovePeer(SESSION, to.remote, to.local[1]), *self._follow(path)]
            case Over():
                return self._over(news, now)
            case _:
                assert_never(news)

    def _keepalive(self, path: Path) -> Effect:
        """Where ESP travels in UDP, that is what a NAT must remember."""
        if port := self._so_far.udp_port:
            return SendRaw(KEEPALIVE, (path.remote[0], port), UDP_PORT)
        return SendRaw(KEEPALIVE, path.remote, path.local[1])

    def _skeyid(self, number: int, asked: AskGroupKey, now: float) -> list[Effect]:
        held = self._person.group_key
        key = held.octets() if held else b""
        skeyid = self._derive(asked.hash_name, key, asked.nonce_i + asked.nonce_r)
        known = GroupKey(skeyid, self.profile.group)
        return self._carry(self._endpoint.step(number, known, now=now), now)

    def _about_certificates(
        self, number: int, asked: AskSignature | AskCertificate, now: float
    ) -> list[Effect]:
        if isinstance(asked, AskCertificate):
            return [self._certificates.judge(number, asked, self._so_far.address)]
        made = self._certificates.sign(number, asked)
        return self._tell(number, made, now) if isinstance(made, Signature) else [made]

    def _heard_through(self, answer: EchoAnswered | Replied, now: float) -> list[Effect]:
        """An answer that came through the tunnel."""
        if isinstance(answer, Replied):
            return self._replied(answer, now)
        return self._echoed(answer, now)

    def _proof(self, answer: Signed | CertificateJudged, now: float) -> list[Effect]:
        owner = self._certificates.owner(answer.ticket)
        if isinstance(answer, Signed):
            return self._tell(owner, self._certificates.signature(answer), now)
        return self._tell(owner, verdict(answer), now)

    def _tell(self, number: int, given: Signature | CertificateVerdict, now: float) -> list[Effect]:
        return self._carry(self._endpoint.step(number, given, now=now), now)

    # --- the person --------------------------------------------------------------------------

    def _who(self, number: int, asked: AskPerson, now: float) -> list[Effect]:
        """Answer from the profile what it knows, and when phase 1 is renewed what was told before;
        a known password serves once for each IKE SA."""
        self._asking = number
        self._patient_until = inf if number == self._sa else self._patient_until
        missing = self._person.missing(asked.wants, repeated=asked.repeated)
        if not missing:
            return self._tell_person(self._person.answer(), now)
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
            if self._asking == self._sa:
                self._leaving = "by-user"
            return self._tell_person(None, now)
        return self._tell_person(self._person.told(answer.values), now)

    def _tell_person(self, values: dict[str, Secret] | None, now: float) -> list[Effect]:
        said = PersonAnswer(values)
        if self._asking == self._sa:
            self._patient_until = now + DECIDING
        return self._carry(self._endpoint.step(self._asking, said, now=now), now)
