"""Tunnels set up per second: aggressive mode, XAUTH, Mode Config and quick mode, for two suites.

    python tests/bench/bench_setup.py

Both ends are our own coordinators in one process; the wire is a queue in memory. The gateway's
share is the processor time inside its `receive`, `step` and `tick`. Users are checked by the fast
hash and, in the last rows, by argon2id; both in the vault's own threads. At the end: where the
gateway's time goes.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from io import StringIO
from itertools import islice
from math import inf
from queue import SimpleQueue
from time import perf_counter, thread_time

from culvert.client.connection import Connection
from culvert.driver.collector import collect_seldom
from culvert.effects import (
    AskHuman,
    ConfigureMachine,
    Effect,
    Judge,
    Judged,
    MachineConfigured,
    Resolve,
    Resolved,
    SendIke,
)
from culvert.gateway.config import GatewayConfig, load
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.people import is_open
from culvert.identity.chain import Chain
from culvert.identity.lockout import Lockout
from culvert.inet.address import Path
from culvert.profile.profile import Profile
from culvert.profile.proposal import WEAKNESSES
from culvert.rng import SystemRandom
from culvert.secret import Secret
from culvert.session.table import SessionTable
from culvert.vault.accounts import FixedAccounts
from culvert.vault.group_keys import GroupKeys
from culvert.vault.judge import PasswordJudge
from culvert.vault.password import SCHEMES

TUNNELS = 300  # per round: a second or two of the gateway's time in all
ROUNDS = 3
AT_ONCE = 16
"""Connections under way at the same time: enough that both hashing threads always have work."""
LINES = 16  # of the profile

GATEWAY = "192.0.2.1"
NATT_PORT = 4500
PASSWORD = Secret("the password of everybody here")
GROUP_KEY = "a group key of the benchmark"

GROUP_2 = "aes128-sha1-modp1024", "aes128-sha1"
GROUP_14 = "aes256-sha2_256-modp2048", "aes256-sha2_256"


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: suites of both phases, and the back end that checks passwords."""

    phase1: str
    phase2: str
    backend: str

    @property
    def name(self) -> str:
        return f"{self.phase1} + {self.phase2}, {BACKENDS[self.backend]}"


BACKENDS = {"fast-hash": "fast hash", "local": "argon2id"}
CASES = [Case(*suites, backend) for backend in BACKENDS for suites in (GROUP_2, GROUP_14)]


@dataclass(slots=True)
class Figures:
    """Seconds of one round: on the clock; of processor time inside the gateway; of processor time
    in all threads."""

    tunnels: int = 0
    wall: float = 0.0
    gateway: float = 0.0
    processor: float = 0.0


Parcel = tuple[Connection | None, bytes, Path]  # to a client, or to the gateway


@dataclass
class Meeting:
    """One gateway and its clients, with everything between them."""

    case: Case
    profiler: cProfile.Profile | None = None
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        config = configuration(self.case)
        rng = SystemRandom()
        self.table = SessionTable(limit=config.live.session_limit)
        self.core = IpsecGateway(
            config,
            self.table,
            GroupKeys(config.group_keys, rng),
            rng,
            began=(datetime.now().astimezone(), 0.0),
        )
        self.words: SimpleQueue[Judged] = SimpleQueue()
        self.judge = judge(config, self.words)
        self.wire: deque[Parcel] = deque()
        self.clients: dict[str, Connection] = {}
        self.addresses: dict[int, str] = {}
        self.judging = 0
        self.now = 0.0

    def connect(self, count: int) -> Figures:
        """``count`` new clients come up, `AT_ONCE` at a time."""
        waiting = iter([self._client(number) for number in range(count)])
        processor, began = processor_seconds(), perf_counter()
        underway = list(islice(waiting, AT_ONCE))
        for client in underway:
            self._act(client, client.connect(now=self.now))
        while underway:
            self._run()
            finished = [client for client in underway if client.state == "up"]
            underway = [client for client in underway if client.state != "up"]
            for client in islice(waiting, len(finished)):
                underway.append(client)
                self._act(client, client.connect(now=self.now))
        self.figures.tunnels = count
        self.figures.wall = perf_counter() - began
        self.figures.processor = processor_seconds() - processor
        self.judge.close()
        return self.figures

    def _client(self, number: int) -> Connection:
        address = f"198.18.{number >> 8}.{number & 255}"
        made = Connection(
            profile(self.case, number),
            SystemRandom(),
            began=(datetime.now().astimezone(), 0.0),
        )
        self.clients[address] = made
        self.addresses[id(made)] = address
        return made

    def _run(self) -> None:
        """Until nothing is on the wire; then wait for the judge or, if nobody asked it, until the
        gateway's next timer. No real time passes for that."""
        while self.wire:
            client, octets, path = self.wire.popleft()
            if client is None:
                with self._gateway_works() as now:
                    effects = self.core.receive(octets, path, now=now)
                self._done(effects)
            else:
                self._act(client, client.receive(octets, path, now=self.now))
        if self.judging:
            word = self.words.get()
            self.judging -= 1
            with self._gateway_works() as now:
                effects = self.core.step(word, now=now)
        else:
            self.now = max(self.now, self.core.deadline)
            if self.now == inf:
                raise AssertionError("nothing moves any more")
            with self._gateway_works() as now:
                effects = self.core.tick(now=now)
        self._done(effects)

    @contextmanager
    def _gateway_works(self) -> Iterator[float]:
        if self.profiler is not None:
            self.profiler.enable()
        began = thread_time()
        yield self.now
        self.figures.gateway += thread_time() - began
        if self.profiler is not None:
            self.profiler.disable()

    def _done(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendIke(octets=octets, to=to, local_port=port, marker=marker):
                    path = Path(to, (GATEWAY, port), marker)
                    self.wire.append((self.clients[to[0]], octets, path))
                case Judge():
                    self.judging += 1
                    self.judge.judge(effect)
                case _:
                    pass  # the data path's and the log's: not what is measured here

    def _act(self, client: Connection, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendIke(octets=octets, local_port=port, marker=marker):
                    path = Path((GATEWAY, port), (self.addresses[id(client)], port), marker)
                    self.wire.append((None, octets, path))
                case Resolve():
                    answer = Resolved(effect.ticket, (GATEWAY,))
                    self._act(client, client.step(answer, now=self.now))
                case ConfigureMachine():
                    done = MachineConfigured(effect.ticket, "tun0")
                    self._act(client, client.step(done, now=self.now))
                case AskHuman():
                    raise AssertionError("a client with a saved password asked its person")
                case _:
                    pass


@cache
def configuration(case: Case) -> GatewayConfig:
    hashed = SCHEMES[case.backend]().hash(PASSWORD)
    people = "".join(
        f'[[user]]\nname = "{user(number)}"\npassword_hash = "{hashed}"\ngroups = ["staff"]\n'
        for number in range(TUNNELS)
    )
    return load(
        f"""\
[gateway]
lan = ["192.168.2.0/24"]
phase1 = ["{case.phase1}"]
phase2 = ["{case.phase2}"]
legacy = {sorted({*WEAKNESSES, "fast-hash"})}
session_limit = {TUNNELS}
[users]
backend = "{case.backend}"
[[pool]]
name = "clients"
addresses = ["10.64.0.0/16"]
[[group]]
name = "staff"
key = "{GROUP_KEY}"
split_include = ["192.168.2.0/24"]
{people}""",
        "gateway.toml",
    )


def user(number: int) -> str:
    return f"user{number}"


def profile(case: Case, number: int) -> Profile:
    return Profile(
        "office",
        host="vpn.example.com",
        group="staff",
        group_key=Secret(GROUP_KEY),
        user=user(number),
        password=PASSWORD,
        save_password=True,
        phase1=(case.phase1,),
        phase2=(case.phase2,),
        legacy=tuple(sorted(WEAKNESSES)),
    )


def judge(config: GatewayConfig, words: SimpleQueue[Judged]) -> PasswordJudge:
    """As the gateway has it, its words put where the loop of this bench takes them."""
    scheme = SCHEMES[config.restart.users_backend]()
    chain = Chain(
        FixedAccounts(config.restart.accounts),
        Lockout(config.live.lockout),
        decoy_hash=scheme.decoy,
        group_open=lambda group, at: is_open(config, group, at),
    )
    return PasswordJudge(chain, scheme, lambda word, _: words.put(word))


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(case: Case) -> Figures:
    """The round that is the median by the gateway's time."""
    rounds = [_round(case) for _ in range(ROUNDS)]
    return sorted(rounds, key=lambda each: each.gateway)[ROUNDS // 2]


def _round(case: Case) -> Figures:
    """As in a gateway's worker: what the round before left is not looked through in this one."""
    collect_seldom(lambda seconds, collect: None)
    return Meeting(case).connect(TUNNELS)


def profiled(case: Case) -> str:
    """The gateway's functions with the most time of their own."""
    profiler = cProfile.Profile()
    Meeting(case, profiler).connect(TUNNELS)
    said = StringIO()
    pstats.Stats(profiler, stream=said).strip_dirs().sort_stats("tottime").print_stats(LINES)
    return "\n".join(line for line in said.getvalue().splitlines() if line.strip())


def main() -> None:
    print(f"\ntunnels set up per second; {TUNNELS} tunnels a round, median of {ROUNDS} rounds")
    print(f"{'suites, password check':58}{'both ends':>10}{'gateway':>9}{'ms':>7}{'CPU ms':>8}")
    for case in CASES:
        found = measured(case)
        count = found.tunnels
        print(
            f"{case.name:58}{count / found.wall:10.0f}{count / found.gateway:9.0f}"
            f"{found.gateway / count * 1e3:7.2f}{found.processor / count * 1e3:8.2f}"
        )
    print(
        "both ends: in one process, on the clock. gateway, ms: by the processor time inside the\n"
        "gateway alone, one core. CPU ms: of all threads and both ends, per tunnel."
    )
    for case in CASES[:2]:
        print(f"\nwhere the gateway's time goes, {case.name}:")
        print(profiled(case))


def test_tunnels_set_up_per_second() -> None:
    """`make bench` runs this; a tunnel that does not come up fails it."""
    main()


if __name__ == "__main__":
    main()
