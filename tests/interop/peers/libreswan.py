"""libreswan's pluto: control plane only. Where the kernel has no ESP it answers no quick mode.

Debian's package cannot be installed beside strongSwan's: `tools/install-peers libreswan` unpacks
it.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.peers.credentials import GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure

UNPACKED = Path("/opt/culvert-peers/libreswan/usr/libexec/ipsec")
BUILT_IN = "/usr/libexec/ipsec"  # where pluto looks for its tools
CONTROL = "pluto/pluto.ctl"  # in /run
ADDRESSES = {"client1": topology.CLIENT1, "client2": topology.CLIENT2, "pub": topology.PUB}
MODES = ("aggressive", "main")
POLL = 0.05
PATIENCE = 15.0


@dataclass
class Pluto:
    """One pluto in namespace ``where`` with the connections of a text."""

    lab: Lab
    where: str
    process: Spawned | None = field(default=None, init=False)

    @property
    def label(self) -> str:
        return f"pluto-{self.where}"

    @property
    def folder(self) -> Path:
        return self.lab.state / f"libreswan-{self.where}"

    @property
    def log(self) -> str:
        return self.process.said if self.process else ""

    def start(self, connections: str, secrets: str, people: str = "") -> None:
        if not (UNPACKED / "pluto").exists():
            raise PeerFailure("libreswan is missing: run tools/install-peers libreswan")
        for part in ("nss", "ipsec.d"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.lab.run_folder(self.label) / "pluto").mkdir(exist_ok=True)
        (self.folder / "ipsec.secrets").write_text(secrets, "utf-8")
        (self.folder / "ipsec.d" / "passwd").write_text(people, "utf-8")
        self.write(connections)
        store = [namespace.tool("certutil"), "-N", "-d", f"sql:{self.folder}/nss"]
        subprocess.run([*store, "--empty-password"], check=True, capture_output=True)
        daemon = [f"{BUILT_IN}/pluto", "--nofork", "--stderrlog", "--config", self.configuration]
        daemon += ["--secretsfile", self.folder / "ipsec.secrets"]
        daemon += ["--nssdir", self.folder / "nss", "--ipsecdir", self.folder / "ipsec.d"]
        mounted = f'mount --bind "{UNPACKED}" {BUILT_IN} && exec "$@"'
        shell = ["/bin/sh", "-c", mounted, "sh", *map(str, daemon)]
        self.process = self.lab.spawn(self.where, shell, private_run=True, label=self.label)
        end = time.monotonic() + PATIENCE
        while self.tool("whack", "--status").returncode:
            if not self.process.alive or time.monotonic() > end:
                raise PeerFailure(f"pluto on {self.where} did not start. Its log:\n{self.log}")
            time.sleep(POLL)
        self.whack("--listen")

    def write(self, connections: str) -> None:
        head = "config setup\n  protostack=xfrm\n  uniqueids=no\n  ikev1-policy=accept\n"
        self.configuration.write_text(head + connections, "utf-8")

    @property
    def configuration(self) -> Path:
        return self.folder / "ipsec.conf"

    def load(self, *names: str) -> None:
        """Connections, anew if they are there."""
        place = self.lab.run_folder(self.label) / CONTROL
        words = ["--config", str(self.configuration), "--ctlsocket", str(place)]
        for name in names:
            done = self.tool("addconn", *words, name)
            if done.returncode:
                said = done.stdout + done.stderr
                raise PeerFailure(f"addconn {name}: {said}\nIts log:\n{self.log}")

    def whack(self, *words: str) -> str:
        done = self.tool("whack", *words)
        if done.returncode:
            said = done.stdout + done.stderr
            raise PeerFailure(f"whack {' '.join(words)}: {said}\nIts log:\n{self.log}")
        return done.stdout

    def tool(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        place = self.lab.run_folder(self.label) / CONTROL
        control = ["--ctlsocket", str(place)] if name == "whack" else []
        return self.lab.run(
            self.where, [str(UNPACKED / name), *control, *words], timeout=PATIENCE, check=False
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()


@dataclass
class LibreswanGateway:
    """Group key with XAUTH, in both modes, with one proposal of phase 1."""

    lab: Lab
    suite: str = "aes128-sha1-modp2048"
    where: str = "gw"
    pluto: Pluto = field(init=False)

    def __post_init__(self) -> None:
        self.pluto = Pluto(self.lab, self.where)

    def __enter__(self) -> Self:
        crypt = [namespace.tool("openssl"), "passwd", "-6", "-stdin"]
        hashed = subprocess.run(
            crypt, input=PASSWORD, capture_output=True, text=True, check=True
        ).stdout.strip()
        people = "".join(f"{user}:{hashed}\n" for user in sorted(set(USERS.values())))
        self.pluto.start(self.connections(), f'%any : PSK "{GROUP_KEY}"\n', people)
        self.pluto.load(*MODES)
        return self

    def __exit__(self, *_: object) -> None:
        self.pluto.stop()

    def takes(self, suite: str) -> None:
        """From now on this."""
        self.suite = suite
        self.pluto.write(self.connections())
        self.pluto.load(*MODES)

    def connections(self) -> str:
        return "".join(self.connection(mode) for mode in MODES)

    def connection(self, mode: str) -> str:
        # Named in aggressive mode only: in main mode a key belongs to any address.
        group = f"\n  rightid=@[{GROUP}]" if mode == "aggressive" else ""
        return f"""\
conn {mode}
  ikev2=no
  aggressive={"yes" if mode == "aggressive" else "no"}
  authby=secret
  auto=ignore
  ike={named(self.suite)}
  esp=aes128-sha1
  pfs=no
  rekey=no
  left={topology.GATEWAY}
  leftid={topology.GATEWAY}
  leftsubnet={topology.PRIVATE}
  leftxauthserver=yes
  leftmodecfgserver=yes
  right=%any{group}
  rightxauthclient=yes
  rightmodecfgclient=yes
  modecfgpull=yes
  rightaddresspool={topology.POOL}
  modecfgdns={topology.SERVER}
  modecfgdomains=corp.test
  xauthby=file
  cisco-unity=yes
"""


@dataclass
class LibreswanClient:
    """Somebody who dials with the group's key and XAUTH."""

    lab: Lab
    where: str = "client1"
    gateway: str = topology.GATEWAY
    pluto: Pluto = field(init=False)

    def __post_init__(self) -> None:
        self.pluto = Pluto(self.lab, self.where)

    @property
    def user(self) -> str:
        return USERS[self.where]

    def __enter__(self) -> Self:
        secrets = f'%any : PSK "{GROUP_KEY}"\n@{self.user} : XAUTH "{PASSWORD}"\n'
        self.pluto.start("", secrets)
        return self

    def __exit__(self, *_: object) -> None:
        self.pluto.stop()

    def dial(self, suite: str, mode: str) -> None:
        """Begin; it does not wait for the end, which in a kernel without ESP never comes."""
        self.pluto.write(self.connection(suite, mode))
        self.pluto.load(mode)
        self.pluto.whack("--name", mode, "--asynchronous", "--initiate")

    def hang_up(self, mode: str) -> None:
        self.pluto.whack("--name", mode, "--delete")

    def connection(self, suite: str, mode: str) -> str:
        group = f"\n  leftid=@[{GROUP}]" if mode == "aggressive" else ""
        return f"""\
conn {mode}
  ikev2=no
  aggressive={"yes" if mode == "aggressive" else "no"}
  authby=secret
  auto=ignore
  ike={named(suite)}
  esp=aes128-sha1
  pfs=no
  left={ADDRESSES[self.where]}{group}
  leftxauthclient=yes
  leftmodecfgclient=yes
  leftusername={self.user}
  right={self.gateway}
  rightxauthserver=yes
  rightmodecfgserver=yes
  rightsubnet=0.0.0.0/0
  modecfgpull=yes
  remote-peer-type=cisco
"""


def named(suite: str) -> str:
    """Its name for a suite of ours."""
    before, _, group = suite.rpartition("-")
    return f"{before};{group}"
