"""Two namespaces joined by a cable (prefix ``cvf``): a gateway's machine and a client's.

Each has a resolv.conf and a state directory of its own, and daemons that run there end with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GATEWAY, CLIENT, INSIDE = "172.31.9.1", "172.31.9.2", "192.168.2.1"
OWN_DNS = "nameserver 198.51.100.53\n"
PASSWORD = "correct horse battery"
GROUP_KEY = "a group key of more than twenty characters"

CONFIG = f"""
[gateway]
legacy = ["aggressive-psk"]
lan = ["192.168.2.0/24"]

[[pool]]
name = "clients"
addresses = ["10.77.0.0/24"]

[[group]]
name = "sales"
key = "{GROUP_KEY}"
pool = "clients"
split_include = ["192.168.2.0/24"]
dns = ["192.168.2.53"]
"""

PROFILE = f"""
host = "{GATEWAY}"
group = "sales"
group_key = "{GROUP_KEY}"
legacy = ["aggressive-psk"]
"""


@dataclass
class Machine:
    """One namespace with its state directory."""

    name: str
    state: Path
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def culvert(self, *words: str, given: str = "", seconds: float = 15) -> Done:
        """Run the command line here; ``given`` is its standard input."""
        done = subprocess.run(
            self.line(*words),
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=self.environment(),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run a daemon here; it ends with the test."""
        daemon = subprocess.Popen(
            self.line(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment(),
        )
        self.daemons.append(daemon)
        return daemon

    def run(self, *words: str) -> str:
        """Any other program, here."""
        done = subprocess.run(
            ("ip", "netns", "exec", self.name, *words), capture_output=True, text=True, check=False
        )
        return done.stdout

    @property
    def resolv_conf(self) -> Path:
        """What programs in this namespace see as /etc/resolv.conf."""
        return Path("/etc/netns") / self.name / "resolv.conf"

    def traces(self) -> Mapping[str, str]:
        """Everything a connection may have changed here."""
        return {
            "routes": self.run("ip", "route"),
            "addresses": self.run("ip", "-o", "addr", "show", "scope", "global"),
            "devices": "\n".join(
                line.split(":")[1] for line in self.run("ip", "-o", "link").splitlines()
            ),
            "DNS": self.resolv_conf.read_text(),
            "forwarding": self.run("cat", "/proc/sys/net/ipv4/ip_forward"),
        }

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.communicate()
        for pid in self.run("ip", "netns", "pids", self.name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def line(self, *words: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name, sys.executable, "-m", "culvert", *words)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "CULVERT_STATE_DIR": str(self.state), "TERM": "dumb"}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Place:
    """Both machines, a running gateway, and a profile for the client."""

    gateway: Machine
    client: Machine
    config: Path
    profile: Path

    def start_gateway(self) -> subprocess.Popen[bytes]:
        """A gateway that answers its administrators."""
        daemon = self.gateway.start("gateway", "run", "-c", str(self.config))
        assert daemon.stderr is not None
        said: list[bytes] = []
        for line in daemon.stderr:
            said.append(line)
            if b"gateway.started" in line:
                return daemon
        raise AssertionError("the gateway did not start:\n" + b"".join(said).decode())

    def up(self, *words: str, password: str = PASSWORD) -> Done:
        line = ("up", str(self.profile), "--user", "ann", "--password-fd", "0", "--no-input")
        return self.client.culvert(*line, *words, given=f"{password}\n")

    def ping(self) -> bool:
        return " 0% packet loss" in self.client.run("ping", "-c", "2", "-i", "0.2", INSIDE)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A fresh place; nothing of it is left afterwards."""
    names = [f"cvf{os.getpid()}{side}" for side in "gc"]
    machines = [Machine(name, folder / name) for name in names]
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            resolv_conf = Path("/etc/netns") / name / "resolv.conf"
            resolv_conf.parent.mkdir(parents=True)
            resolv_conf.write_text(OWN_DNS)
        _ip(
            "link",
            "add",
            "eth0",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            names[1],
        )
        for name, address in zip(names, (GATEWAY, CLIENT), strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", names[0], "addr", "add", f"{INSIDE}/24", "dev", "lo")
        yield _furnished(folder, *machines)
    finally:
        for machine in machines:
            machine.end()
            subprocess.run(("ip", "netns", "del", machine.name), check=False, capture_output=True)
            shutil.rmtree(machine.resolv_conf.parent, ignore_errors=True)


def _furnished(folder: Path, gateway: Machine, client: Machine) -> Place:
    config, profile = folder / "gateway.toml", folder / "office.toml"
    for path, text in ((config, CONFIG), (profile, PROFILE)):
        path.write_text(text)
        path.chmod(0o600)
    added = gateway.culvert(
        *("gateway", "user", "add", "ann", "--group", "sales", "--password-fd", "0"),
        given=f"{PASSWORD}\n",
    )
    assert added.status == 0, added.err
    return Place(gateway, client, config, profile)


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)
