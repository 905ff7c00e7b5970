"""The scene of `culvert demo` without root: the real coordinators and data planes, no kernel.

Everything above the sockets is what a machine runs: IKE, people, sessions, ESP. The network, the
PAT and the hosts are `culvert.lab.imitation`, in virtual time: a minute of waiting takes none.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory

from culvert.client.connection import Connection
from culvert.datapath.python_engine import PythonEngine
from culvert.effects import (
    Answer,
    AskEcho,
    AskHuman,
    ConfigureMachine,
    HumanAnswered,
    Inquire,
    Judge,
    JudgeCertificate,
    Judged,
    MachineConfigured,
    OpenStream,
    Resolve,
    Resolved,
    RestoreMachine,
    Sign,
    StreamOpened,
)
from culvert.errors import MisuseError
from culvert.eventlog.event import LogEvent
from culvert.gateway import people
from culvert.gateway.config import load
from culvert.gateway.ipsec import IpsecGateway
from culvert.lab import topology
from culvert.lab.chunks import Fetch, File, Server, echo_request
from culvert.lab.imitation import End, Network, Order, Timeline
from culvert.lab.pat import Neighbour, Xlate
from culvert.lab.scene import (
    CLIENTS,
    CONNECTION,
    GATEWAY,
    PINGS,
    Downloaded,
    Pinged,
    Progress,
    Row,
    Secrets,
    Told,
    gateway_file,
    profile_file,
)
from culvert.profile.toml import read
from culvert.rng import SystemRandom
from culvert.session.ending import endings
from culvert.session.view import row, summary
from culvert.store.database import FILE_NAME, open_database
from culvert.store.users import Users

MEBI = 1 << 20
FILE_OCTETS = 100 * MEBI
INTERFACE = "culvert0"


class Simulated:
    """The scene in this process."""

    place = (
        "Without root there are no namespaces and no TUN devices: the same scene is played over a "
        "network\nsimulated in this process, in virtual time. IKE, ESP, sessions and every "
        "packet's encryption are real."
    )

    def __init__(self) -> None:
        self._secrets = Secrets()
        self._rng = SystemRandom()
        self._folder = TemporaryDirectory(prefix="culvert-demo-")
        self._timeline = Timeline(datetime.now(UTC), time.monotonic())
        self._file = File(secrets.token_bytes(MEBI), FILE_OCTETS)
        self._cores: dict[str, Connection] = {}
        self._ends: dict[str, End] = {}
        self._set_up: set[str] = set()
        self._said: Queue[tuple[Judged, LogEvent]] = Queue()

    def build(self) -> None:
        self._network = Network(self._timeline, self._rng)

    def start(self) -> None:
        self._start_gateway()
        for client, address in CLIENTS.items():
            profile = read(profile_file(client, self._secrets), name=CONNECTION, path=client)
            core = Connection(profile, self._rng, began=self._began)
            self._cores[client] = core
            self._join(client, address, core)

    def _start_gateway(self) -> None:
        config = load(gateway_file(self._secrets), "gateway.toml")
        self._database: sqlite3.Connection = open_database(Path(self._folder.name) / FILE_NAME)
        self._judge = people.judge(config, Users(self._database), self._hear)
        self._table = people.session_table(config, self._database)
        keys = people.group_keys(config, self._rng)
        self._gateway = IpsecGateway(config, self._table, keys, self._rng, began=self._began)
        self._join(GATEWAY, topology.GATEWAY, self._gateway).inside = Server(self._file).answers

    @property
    def _began(self) -> tuple[datetime, float]:
        return self._timeline.at, self._timeline.now

    def _join(self, who: str, address: str, core: Connection | IpsecGateway) -> End:
        end = End(
            address,
            core,
            PythonEngine(self._rng),
            self._timeline,
            lambda order: self._answer(who, order),
            self._network.carry,
        )
        self._ends[who] = end
        self._network.join(end)
        return end

    def connect(self) -> Mapping[str, float]:
        began = self._timeline.now
        took: dict[str, float] = {}
        for client, core in self._cores.items():
            self._ends[client].perform(core.connect(now=began))

        def all_up() -> bool:
            for client, core in self._cores.items():
                if core.state == "up":
                    took.setdefault(client, self._timeline.now - began)
            return len(took) == len(self._cores)

        self._timeline.run_until(all_up)
        return {client: took[client] for client in CLIENTS}

    def ping(self, client: str) -> Pinged:
        end, here = self._ends[client], self._address(client)
        arrived: list[float] = []

        def take(packets: Sequence[bytes]) -> Sequence[bytes]:
            arrived.extend(self._timeline.now for _ in packets)
            return ()

        end.inside = take
        times: list[float] = []
        for sequence in range(PINGS):
            began = self._timeline.now
            end.send_inside([echo_request(here, topology.SERVER, 1, sequence)])
            self._timeline.run_until(lambda: len(arrived) > len(times))
            times.append((arrived[-1] - began) * 1000)
        return Pinged(PINGS, tuple(times))

    def download(self, progress: Progress) -> Mapping[str, Downloaded]:
        fetches = {
            client: Fetch(self._address(client), topology.SERVER, self._file, port)
            for port, client in enumerate(CLIENTS, start=40_000)
        }
        expected = self._file.sha256()
        began, took = time.monotonic(), dict[str, float]()
        for client, fetch in fetches.items():
            self._ends[client].inside = fetch.heard
            self._ends[client].send_inside([fetch.request()])

        def all_done() -> bool:
            for client, fetch in fetches.items():
                progress(client, fetch.octets)
                if fetch.done:
                    took.setdefault(client, time.monotonic() - began)
            return len(took) == len(fetches)

        self._timeline.run_until(all_done)
        return {
            client: Downloaded(fetch.octets, took[client], fetch.sha256, fetch.sha256 == expected)
            for client, fetch in fetches.items()
        }

    def xlate(self) -> Xlate:
        found = tuple(sorted(self._network.nat.table.values(), key=str))
        return Xlate(found, len(found))

    def arp(self) -> Sequence[Neighbour]:
        """Hardware addresses are locally administered ones, made from the IP addresses."""
        outside = Neighbour("outside", topology.INET_PAT, _hardware(topology.INET_PAT))
        return [outside, *(Neighbour("inside", one, _hardware(one)) for one in CLIENTS.values())]

    def ask(self, who: str, method: str, params: Row) -> Told:
        end, now = self._ends[who], self._timeline.now
        match method:
            case "sessions":
                end.look()
                rows = tuple(row(session, now=now) for session in self._table)
                return Told(rows, (), {"summary": summary(self._table.totals)})
            case "status":
                end.look()
                return Told((self._row(who),), (), {})
            case "story":
                found = end.log.rings.story(str(params["key"]))
                told = {"left_out": found.left_out, "gap_after": found.gap_after}
                return Told((), found.entries, told)
            case "logout":
                end.look()
                self._logout(params["number"])
                return Told((), (), {})
            case _:
                raise MisuseError(f"the simulated scene does not know {method}")

    def disconnect(self, client: str) -> None:
        core, sessions = self._cores[client], len(self._table)
        self._ends[client].perform(core.disconnect(now=self._timeline.now))
        self._timeline.run_until(lambda: len(self._table) < sessions)

    def left_over(self) -> Sequence[str]:
        sessions = [f"session {session.number}" for session in self._table]
        carried = [f"IPsec SAs of {who}" for who, end in self._ends.items() if end.sessions]
        return [*sessions, *carried, *(f"settings of {client}" for client in self._set_up)]

    def end(self) -> None:
        if self._ends:
            self._judge.close()
            self._database.close()
        self._folder.cleanup()

    # --- orders and rows -----------------------------------------------------------------------

    def _answer(self, who: str, order: Order) -> Answer | None:
        match order:
            case Judge():
                self._judge.judge(order)
                judged, event = self._said.get()
                self._ends[who].record(event)
                return judged
            case Sign() | JudgeCertificate():
                raise MisuseError("nobody in the simulated scene has a certificate")
            case AskHuman():
                return HumanAnswered(order.ticket, {"password": self._secrets.passwords[who]})
            case ConfigureMachine():
                self._set_up.add(who)
                return MachineConfigured(order.ticket, interface=INTERFACE)
            case Resolve():
                return Resolved(order.ticket, (topology.GATEWAY,))
            case AskEcho() | Inquire():
                return None  # nobody polls in the simulated scene
            case OpenStream():
                return StreamOpened(order.ticket, None, problem="the simulated scene has no TCP")
            case RestoreMachine():
                self._set_up.discard(who)
                return None

    def _hear(self, judged: Judged, event: LogEvent) -> None:
        """The judge's word, from one of its threads."""
        self._said.put((judged, event))

    def _logout(self, number: object) -> None:
        session = self._table.find(number) if isinstance(number, int) else None
        if session is None:
            raise MisuseError(f"there is no session {number}")
        (client,) = [
            core
            for core in self._cores.values()
            if core.snapshot["assigned_ip"] == session.assigned
        ]
        now = self._timeline.now
        self._ends[GATEWAY].perform(self._gateway.logout(session.number, now=now))
        self._timeline.run_until(lambda: client.state == "down")

    def _row(self, client: str) -> Row:
        """As the client's service tells it."""
        shown = {"name": CONNECTION, "problem": None, **self._cores[client].snapshot}
        if shown["state"] == "down":
            ended = [
                entry.field("reason")
                for entry in self._ends[client].log.rings.story(CONNECTION).entries
                if entry.code == "client.down"
            ]
            if ended and ended[-1] != "by-user":
                why = endings()[str(ended[-1])]
                shown["problem"] = {"id": why.id, "sentence": why.sentence, "action": why.action}
        return shown

    def _address(self, client: str) -> str:
        return str(self._cores[client].snapshot["assigned_ip"])


def _hardware(address: str) -> str:
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
