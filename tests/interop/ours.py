"""Our own gateway and our own client as processes in a lab, driven by their command line."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from culvert.secret import Secret
from culvert.vault.password import Argon2id
from interop.peers.credentials import GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure
from interop.peers.tunnel import Tunnel

Row = dict[str, Any]

POLL = 0.05
PROGRAM = (sys.executable, "-m", "culvert")
# An emulated processor (`make xfrm`) loads Python ten times as slowly.
PATIENCE = float(os.environ.get("CULVERT_TEST_PATIENCE", "20"))
BANNER = "Welcome to the lab"
DOMAIN = "corp.test"
RANGE = "40.1.1.1-40.1.1.200"

# What an unmodified vpnc can do beside what is strong enough without being asked for.
VPNC_LEGACY = ("aggressive-psk", "3des", "sha1", "md5", "modp1024", "modp1536")
VPNC_PHASE1 = tuple(
    f"{cipher}-{digest}-{group}"
    for group in ("modp2048", "modp1536", "modp1024")
    for cipher in ("aes256", "aes192", "aes128", "3des")
    for digest in ("sha1", "md5")
)
VPNC_PHASE2 = tuple(
    f"{cipher}-{digest}"
    for cipher in ("aes256", "aes192", "aes128", "3des")
    for digest in ("sha1", "md5")
)
STRONG_PHASE1 = ("aes256-sha2_256-modp2048", "aes128-sha2_256-modp2048")
STRONG_PHASE2 = ("aes256gcm16", "aes128gcm16", "aes256-sha2_256", "aes128-sha2_256")

_HASH = Argon2id().hash(Secret(PASSWORD))


def _with_weak_key(table: Mapping[str, object]) -> dict[str, object]:
    """With the switch for the lab's group key, which is short as those of old networks are."""
    given = table.get("legacy")
    if not isinstance(given, (list, tuple)):
        return dict(table)
    return {**table, "legacy": [*cast("Sequence[object]", given), "weak-group-key"]}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Row:
        found: Row = json.loads(self.out)
        return found


def toml(values: Mapping[str, object]) -> str:
    """Lines of a TOML table; JSON's texts, numbers, truths and lists are TOML's too."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def until(what: str, true: Callable[[], bool], *, seconds: float) -> float:
    """Wait for it; how long it took. Raises PeerFailure when it does not come."""
    began = time.monotonic()
    while not true():
        if time.monotonic() > began + seconds:
            raise PeerFailure(f"not within {seconds} s: {what}")
        time.sleep(POLL)
    return time.monotonic() - began


@dataclass
class Program:
    """One daemon of ours in namespace ``where``: state, socket and log of its own."""

    lab: Lab
    where: str
    process: Spawned | None = field(default=None, init=False)

    kind = ""

    @property
    def state(self) -> Path:
        return self.lab.state / f"{self.kind}-{self.where}"

    @property
    def socket(self) -> Path:
        return self.state / f"{self.kind}.sock"

    @property
    def said(self) -> str:
        """Its log, across restarts."""
        log = self.lab.state / f"{self.label}.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.where}"

    @property
    def running(self) -> Spawned:
        if self.process is None:
            raise PeerFailure(f"{self.kind} on {self.where} was not started")
        return self.process

    def spawn(self, *words: str) -> Spawned:
        """Start the daemon without waiting for it."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        where = ("--state-dir", str(self.state), "--socket", str(self.socket))
        self.process = self.lab.spawn(self.where, [*PROGRAM, *words, *where], label=self.label)
        return self.process

    def culvert(self, *words: str, given: str = "", seconds: float = 60.0) -> Done:
        """Run the command line where the daemon is; ``given`` is its standard input."""
        done = self.lab.run(
            self.where,
            [*PROGRAM, *words],
            timeout=seconds,
            check=False,
            given=given,
            env={"CULVERT_STATE_DIR": str(self.state), "CULVERT_SOCKET": str(self.socket)},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def events(self, code: str = "") -> list[Row]:
        """What it has written into its event log, across restarts; of one code or all."""
        file = self.state / "events.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        rows: list[Row] = [json.loads(line) for line in lines]
        return [row for row in rows if not code or row["code"] == code]

    def heard(self, code: str) -> list[Row]:
        """What the running daemon remembers of one code, single messages included."""
        area = ("gateway", "log") if self.kind == "gateway" else ("log",)
        told = self.culvert(*area, "-n", "100000", "--json")
        rows: list[Row] = [json.loads(line) for line in told.out.splitlines()]
        return [row for row in rows if row["code"] == code]

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """A crash."""
        self.running.stop(signal.SIGKILL)

    def repair(self) -> None:
        """`culvert repair`, which must not fail."""
        done = self.culvert("repair")
        if done.status:
            raise PeerFailure(f"repair on {self.where}: {done.status}\n{done.out}{done.err}")


@dataclass
class OurGateway(Program):
    """`culvert gateway run`. ``general`` and ``group`` are keys of those tables of its file."""

    where: str = "gw"
    general: Mapping[str, object] = field(default_factory=dict)
    group: Mapping[str, object] = field(default_factory=dict)
    pool: str = RANGE
    phase1: tuple[str, ...] = (*STRONG_PHASE1, *VPNC_PHASE1)
    phase2: tuple[str, ...] = (*STRONG_PHASE2, *VPNC_PHASE2)
    legacy: tuple[str, ...] = VPNC_LEGACY
    users: tuple[str, ...] = tuple(sorted(set(USERS.values())))
    options: tuple[str, ...] = ()

    kind = "gateway"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def config(self) -> Path:
        return self.lab.state / "gateway.toml"

    def start(self) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text(self.text(), "utf-8")
        before = self.said.count("gateway.started")
        running = self.spawn("gateway", "run", "-c", str(self.config), *self.options)
        until(
            f"the gateway starts:\n{self.said}",
            lambda: self.said.count("gateway.started") > before or not running.alive,
            seconds=PATIENCE,
        )
        if not running.alive:
            raise PeerFailure(f"the gateway ended:\n{self.said}")

    def text(self) -> str:
        """Its configuration."""
        general = _with_weak_key(
            {
                "lan": [topology.PRIVATE],
                "phase1": self.phase1,
                "phase2": self.phase2,
                "legacy": self.legacy,
                **self.general,
            }
        )
        group = {
            "name": GROUP,
            "key": GROUP_KEY,
            "pool": "clients",
            "dns": [topology.SERVER],
            "default_domain": DOMAIN,
            "banner": BANNER,
            "split_include": [topology.PRIVATE],
            **_with_weak_key(self.group),
        }
        people = "".join(
            "[[user]]\n" + toml({"name": name, "password_hash": _HASH, "groups": [GROUP]})
            for name in self.users
        )
        pool = toml({"name": "clients", "addresses": [self.pool]})
        return f"[gateway]\n{toml(general)}[[pool]]\n{pool}[[group]]\n{toml(group)}{people}"

    @property
    def listing(self) -> Row:
        """`culvert gateway sessions --json`."""
        told = self.culvert("gateway", "sessions", "--json")
        if told.status:
            raise PeerFailure(f"gateway sessions: {told.status} {told.out} {told.err}")
        return told.document

    @property
    def sessions(self) -> list[Row]:
        found: list[Row] = self.listing["sessions"]
        return found

    def session_of(self, user: str) -> Row:
        (found,) = [row for row in self.sessions if row["user"] == user]
        return found

    def wait_until_empty(self, *, seconds: float = 10.0) -> float:
        return until("no session is left", lambda: not self.sessions, seconds=seconds)

    @property
    def refusals(self) -> list[Row]:
        found: list[Row] = self.listing["refusals"]
        return found


@dataclass
class OurClient(Program):
    """`culvert service run` and its command line. ``profile`` are keys of its TOML profile;
    ``service``: options of the service, as ``options`` are those of `culvert up`."""

    where: str = "client1"
    profile: Mapping[str, object] = field(default_factory=dict)
    password: str = PASSWORD
    options: tuple[str, ...] = ()
    service: tuple[str, ...] = ()

    kind = "service"
    name = "office"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def user(self) -> str:
        return str(self.profile.get("user", USERS.get(self.where, self.where)))

    @property
    def file(self) -> Path:
        return self.lab.state / f"{self.where}" / f"{self.name}.toml"

    def start(self) -> None:
        """The service; nothing is connected yet."""
        before = self.said.count("service.started")
        self.spawn("service", "run", *self.service)
        until(
            f"the service starts:\n{self.said}",
            lambda: self.said.count("service.started") > before and self.socket.exists(),
            seconds=PATIENCE,
        )

    def write_profile(self) -> Path:
        values = {
            "host": topology.GATEWAY,
            "group": GROUP,
            "group_key": GROUP_KEY,
            "user": USERS.get(self.where, self.where),
            "legacy": ["aggressive-psk"],
            "dns_test_name": "",  # tests count packets; those of names ask for one of their own
            **self.profile,
        }
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self.file.touch(mode=0o600)
        self.file.write_text(toml(values), "utf-8")
        return self.file

    @property
    def words(self) -> tuple[str, ...]:
        """What `culvert` is given to connect."""
        return ("up", str(self.write_profile()), "--password-stdin", *self.options)

    def up(self) -> None:
        """Connect; raises with everything known when that does not work."""
        done = self.try_up()
        if done.status:
            raise PeerFailure(f"up on {self.where}: {done.status}\n{done.err}\n{self.said}")

    def try_up(self) -> Done:
        return self.culvert(*self.words, given=f"{self.password}\n")

    def down(self) -> None:
        done = self.culvert("down", "--all")
        if done.status:
            raise PeerFailure(f"down on {self.where}: {done.status} {done.err}")

    @contextmanager
    def connected(self, **profile: object) -> Iterator[Row]:
        """Up and, at the end, down; with ``profile`` laid over its profile."""
        kept, self.profile = self.profile, {**self.profile, **profile}
        try:
            self.up()
            yield self.row
            self.down()
        finally:
            self.profile = kept

    @property
    def rows(self) -> list[Row]:
        """`culvert status --json`."""
        found: list[Row] = self.culvert("status", "--json").document["connections"]
        return found

    @property
    def row(self) -> Row:
        (found,) = self.rows
        return found

    def why(self) -> Row:
        """`culvert why --json`."""
        return self.culvert("why", "--json").document

    @property
    def tunnel(self) -> Tunnel:
        return Tunnel(self.lab, self.where, "culvert0")


class Fresh(OurClient):
    """A client whose earlier events, of other tests of the same lab, do not count."""

    before = 0

    def __enter__(self) -> Self:
        self.before = len(super().events())
        return super().__enter__()

    def events(self, code: str = "") -> list[Row]:
        every = super().events()[self.before :]
        return [row for row in every if not code or row["code"] == code]


def traces(lab: Lab, where: str) -> Mapping[str, str]:
    """Everything of a machine that a connection may have changed."""
    ran = {
        "routes": ("ip", "-4", "route", "show", "table", "all"),
        "addresses": ("ip", "-br", "-4", "addr", "show", "up"),
        "devices": ("ip", "-br", "link"),
        "rules": ("ip", "-4", "rule"),
        "forwarding": ("cat", "/proc/sys/net/ipv4/ip_forward"),
        "DNS": ("cat", "/etc/resolv.conf"),
    }
    return {name: lab.run(where, command).stdout for name, command in ran.items()}
