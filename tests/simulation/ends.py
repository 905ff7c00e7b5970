"""Both ends of a simulated connection: the real coordinators and data planes, nothing around them.

An end carries out its core's effects as the driver does: datagrams go to the network, SAs into a
`PythonEngine`, orders that take time are answered after a delay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from culvert.client.connection import Connection
from culvert.datapath.plane import BARE, Counters
from culvert.datapath.python_engine import PythonEngine
from culvert.driver.carried import Carried
from culvert.driver.pump import DROPS
from culvert.effects import (
    ActivateSa,
    Answer,
    AskEcho,
    AskHuman,
    ConfigureMachine,
    EchoAnswered,
    Effect,
    HumanAnswered,
    Inquire,
    InstallSa,
    Judge,
    JudgeCertificate,
    Judged,
    MachineConfigured,
    MovePeer,
    OpenStream,
    PairWorn,
    PeerMoved,
    Record,
    RemoveSa,
    Replied,
    Resolve,
    Resolved,
    RestoreMachine,
    SendIke,
    SendRaw,
    SessionEnded,
    Sign,
    StreamOpened,
    Traffic,
)
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import GatewayConfig
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.people import group_keys
from culvert.ike.carriage import UDP_PORT
from culvert.ike.outputs import Keyed
from culvert.inet import ipv4
from culvert.inet.address import Address, Path
from culvert.lab.chunks import ECHO, ECHO_REPLY, ECHO_REQUEST, ICMP, echo, echo_request
from culvert.profile.profile import Profile
from culvert.rng import Random
from culvert.secret import Secret
from culvert.session.table import SessionTable
from simulation import udp
from simulation.certificates import JUDGING, SIGNING, Vault
from simulation.journal import Told
from simulation.network import Link, Network
from simulation.people import DELAY, SimulatedJudge
from simulation.timeline import Alarm, Timeline

IKE_PORT, NATT_PORT = 500, 4500
NON_ESP_MARKER = bytes(4)
KEEPALIVE = b"\xff"

WANTS: tuple[str, ...] = ("user", "password")

RESOLVING = 0.03  # seconds until a name server answers
REFUSING = 5.0  # seconds until a TCP stream that nobody answers is given up
CONFIGURING = 0.05  # seconds until routes and name servers are set
ANY_PORT = 40_000  # of who does not care which
COUNTING = 1.0  # seconds between two looks at the counters while packets flow


Order = (
    Judge
    | Sign
    | JudgeCertificate
    | AskHuman
    | ConfigureMachine
    | RestoreMachine
    | Resolve
    | OpenStream
    | AskEcho
    | Inquire
)


class Judging(Protocol):
    """Who decides about people."""

    def judge(self, order: Judge, *, now: float) -> tuple[Judged, LogEvent]: ...


class Core(Protocol):
    """What both coordinators have."""

    @property
    def deadline(self) -> float: ...
    def receive(self, octets: bytes, path: Path, *, now: float) -> list[Effect]: ...
    def step(self, answer: Answer, *, now: float) -> list[Effect]: ...
    def tick(self, *, now: float) -> list[Effect]: ...


class End:
    """A host with a core and a plane.

    ``events`` is everything it ever told, ``sent`` every datagram (when, octets, to).
    """

    def __init__(self, name: str, network: Network, core: Core, rng: Random) -> None:
        self.name = name
        self.events: list[LogEvent] = []
        self.inside: list[bytes] = []
        self.keys: list[Keyed | InstallSa] = []
        self.sent: list[tuple[float, bytes, Address]] = []
        self.plane = PythonEngine(rng)
        self.link: Link | None = None
        self.suspended = False
        self.mute = False
        self.vault: Vault | None = None
        self._rng = rng
        self.network = network
        self._timeline: Timeline = network.timeline
        self._counted: dict[int, Counters] = {}
        self.carried = Carried()
        self._counting = False
        self.run_core(core)

    def run_core(self, core: Core) -> None:
        """The core from now on; the one before is forgotten as by a power cut."""
        self._core = core
        self._alarm = Alarm(self._timeline, core, self._wake)

    @property
    def now(self) -> float:
        return self._timeline.now

    # --- what comes in -----------------------------------------------------------------------

    def datagram(self, octets: bytes, source: Address, to: Address) -> None:
        if self.suspended:
            return  # a sleeping machine's network card hears nothing
        if to[1] == IKE_PORT:
            if octets != KEEPALIVE:
                self.do(self._core.receive(octets, Path(to, source), now=self.now))
        elif to[1] in (NATT_PORT, UDP_PORT, BARE):
            self._of_the_tunnel(octets, source, to)

    def _of_the_tunnel(self, octets: bytes, source: Address, to: Address) -> None:
        found = self.plane.from_network([(octets, source)], self.now, to[1])
        self.inside += found.inside
        self._count_soon()
        for packet in found.inside:
            self.came_inside(packet)
        for session, peer, port in found.moved:
            self.do(self._core.step(PeerMoved(session, peer, port), now=self.now))
        for message, peer in found.ike:
            path = Path(to, peer, encapsulated=True)
            self.do(self._core.receive(message, path, now=self.now))

    def came_inside(self, packet: bytes) -> None:
        """A packet came out of the tunnel."""

    def wear(self, news: PairWorn) -> None:
        """The engine has nearly used up the keys of a pair."""
        self.do(self._core.step(news, now=self.now))

    def carry(self, packet: bytes) -> None:
        """A packet that this machine routes into its tunnel."""
        found = self.plane.from_tunnel([packet], self.now)
        for worn in found.worn:
            self.wear(PairWorn(*worn))
        for burst in found.bursts:
            for octets in burst.datagrams:
                self._send(octets, burst.peer, burst.local_port)
        self._count_soon()

    def suspend(self) -> None:
        """The lid closes: nothing is heard and no timer rings."""
        self.suspended = True

    def resume(self) -> None:
        """The lid opens; what was due meanwhile is due now."""
        self.suspended = False
        self._wake()

    def unplug(self) -> None:
        """Nothing comes in or goes out any more; the end itself does not notice."""
        self._joined.up = False

    def plug(self) -> None:
        self._joined.up = True

    def codes(self) -> list[str]:
        """The codes of everything told."""
        return [event.code for event in self.events]

    def told(self, code: str) -> list[LogEvent]:
        return [event for event in self.events if event.code == code]

    def tell(self, event: LogEvent) -> None:
        self.events.append(event)
        self.network.journal.append(Told(self.now, self.name, event))

    # --- effects -----------------------------------------------------------------------------

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._execute(effect)
        self._alarm.arm()

    def _execute(self, effect: Effect) -> None:
        if isinstance(effect, InstallSa | ActivateSa | RemoveSa | MovePeer):
            self.carried.note(effect)
        match effect:
            case SendIke(octets=octets, to=to, local_port=port, marker=marker):
                self._send(NON_ESP_MARKER + octets if marker else octets, to, port)
            case SendRaw(octets=octets, to=to, local_port=port):
                self._send(octets, to, port)
            case InstallSa():
                self.keys.append(effect)
                self.plane.install(effect)
                self._counted.setdefault(effect.session, Counters())
            case ActivateSa(session=session, pair=pair):
                self.plane.activate(session, pair)
            case RemoveSa(session=session, pair=pair):
                self.plane.remove(session, pair)
            case MovePeer(session=session, peer=peer, local_port=port):
                self.plane.move(session, peer, port)
            case Record(event=event):
                self.tell(event)
            case Keyed():
                self.keys.append(effect)
            case SessionEnded(session=session):
                self._counted.pop(session, None)
                self.carried.forget(session)
                self.plane.forget(session)
            case _:
                self.order(effect)

    def order(self, order: Order) -> None:
        """Something that takes time."""
        match order:
            case Sign() if self.vault is not None:
                self.answer_later(self.vault.sign(order), SIGNING)
                return
            case JudgeCertificate() if self.vault is not None:
                judged, events = self.vault.judge(order)
                for event in events:
                    self.tell(event)
                self.answer_later(judged, JUDGING)
                return
            case _:
                pass
        raise AssertionError(f"{self.name} may not ask {type(order).__name__}")

    def answer_later(self, answer: Answer, wait: float) -> None:
        """``answer`` reaches the core that asked, unless that is gone by then."""
        core = self._core

        def bring() -> None:
            if core is self._core:
                self.do(core.step(answer, now=self.now))

        self._timeline.after(wait, bring)

    def _send(self, octets: bytes, to: Address, port: int) -> None:
        if self.mute:
            return
        self.sent.append((self.now, octets, to))
        self.network.send(self._joined, octets, port, to)

    @property
    def _joined(self) -> Link:
        if self.link is None:
            raise AssertionError(f"{self.name} is joined to no network")
        return self.link

    def _wake(self) -> None:
        if not self.suspended:
            if self.now >= self._core.deadline:
                self.do(self._core.tick(now=self.now))
            self._alarm.arm()

    # --- counters ----------------------------------------------------------------------------

    def _count_soon(self) -> None:
        if not self._counting:
            self._counting = True
            self._timeline.after(COUNTING, self._count)

    def _count(self) -> None:
        self._counting = False
        for session, before in list(self._counted.items()):
            counted = self.plane.traffic(session)
            if counted != before:
                self._counted[session] = counted
                self._note_drops(session, before, counted)
                traffic = Traffic(
                    session,
                    counted.octets_in,
                    counted.octets_out,
                    counted.packets_in,
                    counted.packets_out,
                    sum(counted.dropped_in.values()),
                    sum(counted.dropped_out.values()),
                )
                self.do(self._core.step(traffic, now=self.now))

    def _note_drops(self, session: int, before: Counters, counted: Counters) -> None:
        """As the pump does."""
        for reason, code in DROPS.items():
            more = counted.dropped_in.get(reason, 0) - before.dropped_in.get(reason, 0)
            if more:
                self.tell(LogEvent(code, {"count": more, "session": session}))


class ClientEnd(End):
    """A client with its profile and somebody who knows ``user`` and ``password``.

    ``person`` None: nobody sits there; a question of the gateway is never answered.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        profile: Profile,
        rng: Random,
        *,
        person: tuple[str, str] | None,
        gateway: str,
        began: datetime,
        bare_esp: bool,
        vault: Vault | None = None,
    ) -> None:
        self.profile = profile
        self._bare_esp = bare_esp
        self.person = person
        self.machine: ConfigureMachine | None = None
        self.asked: list[AskHuman] = []
        self.echoes: list[AskEcho] = []
        self.inquiries: list[Inquire] = []
        self.knows: Callable[[AskHuman], dict[str, Secret]] = lambda _: {}
        """What the person has beside name and password, or instead of them."""
        self.unresolved = ""
        """Why the gateway's name is not found."""
        self.streams_to: GatewayEnd | None = None
        """Whom TCP streams lead to; None: nobody answers them."""
        self.where = ""
        self.remembered = ""
        """The network that it is in, and what got through there by an earlier connection."""
        self.unconfigured = ""
        """Why this machine cannot be set up."""
        self._gateway = gateway
        self._began = began
        self._papers = vault
        self.core = self._fresh_core(rng)
        super().__init__(name, network, self.core, rng)
        self.vault = vault

    def _fresh_core(self, rng: Random) -> Connection:
        return Connection(
            self.profile,
            rng,
            began=(self._began, 0.0),
            bare_esp=self._bare_esp,
            certificate=self._papers.paper if self._papers else None,
            authorities=self._papers.authorities if self._papers else (),
        )

    def connect(self) -> None:
        self.do(self.core.connect(now=self.now))

    def disconnect(self) -> None:
        self.do(self.core.disconnect(now=self.now))

    @property
    def up(self) -> bool:
        return self.core.state == "up"

    @property
    def down(self) -> bool:
        return self.core.state == "down"

    @property
    def address(self) -> str:
        """The inner address."""
        return str(self.core.snapshot["assigned_ip"])

    @property
    def reason(self) -> str:
        """Why the last attempt ended; empty while none has."""
        ends = self.told("client.down")
        return str(ends[-1].fields["reason"]) if ends else ""

    def reboot(self) -> None:
        """Power cut and start: no memory of anything."""
        self.machine = None
        self.plane = PythonEngine(self._rng)
        self.core = self._fresh_core(self._rng)
        self.run_core(self.core)

    def came_inside(self, packet: bytes) -> None:
        header = ipv4.parse(packet)
        payload = packet[header.header_octets :]
        if header.protocol == ICMP and payload[0] == ECHO_REPLY:
            sequence = ECHO.unpack_from(payload)[4]
            host = ".".join(map(str, header.source))
            self.do(self.core.step(EchoAnswered(sequence, host), now=self.now))
        self._replied(packet)

    def order(self, order: Order) -> None:
        match order:
            case AskEcho():
                self.echoes.append(order)
                self.carry(echo_request(order.source, order.target, 1, order.sequence))
            case Inquire():
                self._inquire(order)
            case Resolve() if self.unresolved:
                self.answer_later(Resolved(order.ticket, (), self.unresolved), RESOLVING)
            case Resolve():
                literal = order.host.replace(".", "").isdecimal()
                address = order.host if literal else self._gateway
                found = Resolved(order.ticket, (address,))
                found = replace(found, network=self.where, way=self.remembered)
                self.answer_later(found, RESOLVING)
            case OpenStream():
                self._stream(order)
            case AskHuman() if self.person is not None:
                self.asked.append(order)
                known = dict(zip(WANTS, map(Secret, self.person), strict=True)) | self.knows(order)
                wanted = {want: known[want] for want in order.wants if want in known}
                answered = wanted if len(wanted) == len(order.wants) else None  # gives up
                self.answer_later(HumanAnswered(order.ticket, answered), RESOLVING)
            case AskHuman():
                pass  # nobody is there
            case ConfigureMachine():
                self.machine = None if self.unconfigured else order
                done = MachineConfigured(order.ticket, "tun0", self.unconfigured)
                self.answer_later(done, CONFIGURING)
            case RestoreMachine():
                self.machine = None
            case _:
                super().order(order)

    def _inquire(self, order: Inquire) -> None:
        """Like every packet of this machine: into the tunnel."""
        host, port = order.source
        asked = replace(order, source=(host, port or ANY_PORT + order.number))
        self.inquiries.append(asked)
        self.carry(udp.build(asked.source, asked.to, asked.octets))

    def _replied(self, packet: bytes) -> None:
        found = udp.parse(packet)
        if found is None or not self.inquiries:
            return
        source, to, data = found
        asked = self.inquiries[-1]
        if (asked.to, asked.source) == (source, to):
            self.do(self.core.step(Replied(asked.number, data), now=self.now))

    def _stream(self, order: OpenStream) -> None:
        if self.streams_to is None:
            self.answer_later(StreamOpened(order.ticket, None, "no answer"), REFUSING)
            return
        stream = self.network.stream(self, self.streams_to, (self._gateway, NATT_PORT))
        self.answer_later(StreamOpened(order.ticket, stream), RESOLVING)


class GatewayEnd(End):
    """A gateway with its people. `restart` begins again from the configuration alone."""

    makes: type[IpsecGateway] = IpsecGateway

    def __init__(
        self,
        name: str,
        network: Network,
        config: GatewayConfig,
        rng: Random,
        *,
        began: datetime,
        bare_esp: bool,
        vault: Vault | None = None,
    ) -> None:
        self.config = config
        self.pingable: set[str] = set()
        """Hosts of its LAN that answer pings."""
        self._papers = vault
        self._began = began
        self._bare_esp = bare_esp
        self.undecided = False
        """Whoever knows the users never answers."""
        self.judge: Judging = SimulatedJudge(config, (began, 0.0))
        self._fresh_core(rng)
        super().__init__(name, network, self.core, rng)
        self.vault = vault

    def _fresh_core(self, rng: Random) -> None:
        self.table = SessionTable(limit=self.config.live.session_limit)
        keys = group_keys(self.config, rng)
        self.core = self.makes(
            self.config,
            self.table,
            keys,
            rng,
            began=(self._began, 0.0),
            bare_esp=self._bare_esp,
            certificate=self._papers.paper if self._papers else None,
            authorities=self._papers.authorities if self._papers else (),
        )

    def succeed(self, config: GatewayConfig | None = None) -> None:
        """Another process takes over; all that passes between the two is text."""
        now = self.now
        told, keys, used = (
            json.loads(json.dumps(list(items)))
            for items in (
                self.core.handed(now=now),
                self.carried.keys(now=now),
                self.carried.progress(self.plane, now=now),
            )
        )
        self.config = config or self.config
        self._fresh_core(self._rng)
        self.plane, self.carried = PythonEngine(self._rng), Carried()
        ended = self.core.resume(told, now=now)
        for order in self.carried.orders(keys, now=now):
            self._execute(order)
        for active in self.carried.go_on(used, self.plane, now=now):
            self._execute(active)
        self.run_core(self.core)
        self.do(ended)

    def came_inside(self, packet: bytes) -> None:
        header = ipv4.parse(packet)
        payload = packet[header.header_octets :]
        host = ".".join(map(str, header.destination))
        if header.protocol == ICMP and payload[0] == ECHO_REQUEST and host in self.pingable:
            reply = echo(ECHO_REPLY, payload[ECHO.size :], *ECHO.unpack_from(payload)[3:])
            self.carry(ipv4.build(ICMP, header.destination, header.source, reply))

    def reboot(self) -> None:
        """Power cut and start: no memory of anything."""
        self._fresh_core(self._rng)
        self.plane = PythonEngine(self._rng)
        self.run_core(self.core)

    def order(self, order: Order) -> None:
        if not isinstance(order, Judge):
            super().order(order)
            return
        if self.undecided:
            return
        word, event = self.judge.judge(order, now=self.now)
        self.tell(event)
        self.answer_later(word, DELAY)
