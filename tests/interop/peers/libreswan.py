"""libreswan's pluto: control plane only. Where the kernel has no ESP it answers no quick mode.

Debian's package cannot be installed beside strongSwan's: `tools/install-peers libreswan` unpacks
it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.peers.credentials import GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure
from interop.peers.pki import Pki

UNPACKED = Path("/opt/culvert-peers/libreswan/usr/libexec/ipsec")
BUILT_IN = "/usr/libexec/ipsec"  # where pluto looks for its tools
CONTROL = "pluto/pluto.ctl"  # in /run
ADDRESSES = {"client1": topology.CLIENT1, "client2": topology.CLIENT2, "pub": topology.PUB}
MODES = ("aggressive", "main")
POLL = 0.05
PATIENCE = 15.0

Settings = Mapping[str, str]
"""Lines of a connection, as ipsec.conf has them."""


@dataclass(frozen=True)
class Papers:
    """Whose certificate pluto has, and the authority it trusts if that is another one."""

    pki: Pki
    name: str
    authority: Pki | None = None

    def fill(self, store: str, folder: Path) -> None:
        trusted = (self.authority or self.pki).certificate("ca")
        words = ["-A", "-d", store, "-n", "ca", "-t", "CT,,", "-i", str(trusted)]
        run("certutil", *words)
        certificate = x509.load_pem_x509_certificate(self.pki.certificate(self.name).read_bytes())
        key = load_pem_private_key(self.pki.key(self.name).read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        locked = BestAvailableEncryption(PASSWORD.encode())
        file = folder / "own.p12"
        file.touch(mode=0o600)
        file.write_bytes(
            pkcs12.serialize_key_and_certificates(
                self.name.encode(), key, certificate, None, locked
            )
        )
        run("pk12util", "-i", str(file), "-d", store, "-W", PASSWORD, "-K", "")

    @property
    def settings(self) -> Settings:
        return {
            "authby": "rsasig",
            "leftcert": self.name,
            "leftsendcert": "always",
            "rightrsasigkey": "%cert",
            "rightca": "%same" if self.authority is None else "%any",
        }


def run(tool: str, *words: str) -> None:
    command = [namespace.tool(tool), *words]
    subprocess.run(command, check=True, capture_output=True)


@dataclass
class Pluto:
    """One pluto in namespace ``where`` with the connections of a text."""

    lab: Lab
    where: str
    papers: Papers | None = None
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
        self.fill_store()
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

    def fill_store(self) -> None:
        """A new one: nothing of another test of this lab."""
        for old in (self.folder / "nss").iterdir():
            old.unlink()
        store = f"sql:{self.folder}/nss"
        run("certutil", "-N", "-d", store, "--empty-password")
        if self.papers is not None:
            self.papers.fill(store, self.folder)

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
    """Both modes with one proposal of phase 1 and one way to prove; ``settings`` overrule."""

    lab: Lab
    suite: str = "aes128-sha1-modp2048"
    way: str = "xauth-psk"
    papers: Papers | None = None
    settings: Settings = field(default_factory=dict)
    where: str = "gw"
    pluto: Pluto = field(init=False)

    def __post_init__(self) -> None:
        self.pluto = Pluto(self.lab, self.where, self.papers)

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

    def takes(self, suite: str, way: str = "xauth-psk", **settings: str) -> None:
        """From now on this. Names of settings have _ in place of -."""
        self.suite, self.way = suite, way
        self.settings = {name.replace("_", "-"): value for name, value in settings.items()}
        self.pluto.write(self.connections())
        self.pluto.load(*MODES)

    def connections(self) -> str:
        return "".join(connection(mode, self.of(mode)) for mode in MODES)

    def of(self, mode: str) -> Settings:
        found = {
            **COMMON,
            "aggressive": "yes" if mode == "aggressive" else "no",
            "ike": ",".join(map(named, self.suite.split(","))),
            "rekey": "no",
            "left": topology.GATEWAY,
            "leftid": topology.GATEWAY,
            "leftsubnet": topology.PRIVATE,
            "leftmodecfgserver": "yes",
            "right": "%any",
            "rightmodecfgclient": "yes",
            "rightaddresspool": topology.POOL,
            "modecfgpull": "yes",
            "modecfgdns": topology.SERVER,
            "modecfgdomains": "corp.test",
            "cisco-unity": "yes",
        }
        if self.way.startswith("xauth-"):
            found |= {"leftxauthserver": "yes", "rightxauthclient": "yes", "xauthby": "file"}
        if self.way.endswith("rsa") and self.papers is not None:
            found |= {**self.papers.settings, "rightid": "%fromcert"}
        elif mode == "aggressive":
            # Named in aggressive mode only: in main mode a key belongs to any address.
            found["rightid"] = f"@[{GROUP}]"
        return {**found, **self.settings}


@dataclass
class LibreswanClient:
    """Somebody who dials with the group's key or a certificate, with XAUTH or without."""

    lab: Lab
    where: str = "client1"
    gateway: str = topology.GATEWAY
    papers: Papers | None = None
    pluto: Pluto = field(init=False)

    def __post_init__(self) -> None:
        self.pluto = Pluto(self.lab, self.where, self.papers)

    @property
    def user(self) -> str:
        return USERS[self.where]

    def __enter__(self) -> Self:
        self.pluto.start("", self.secrets(PASSWORD))
        return self

    def __exit__(self, *_: object) -> None:
        self.pluto.stop()

    def secrets(self, password: str) -> str:
        return f'%any : PSK "{GROUP_KEY}"\n@{self.user} : XAUTH "{password}"\n'

    def knows(self, password: str) -> None:
        """The user's, from now on."""
        (self.pluto.folder / "ipsec.secrets").write_text(self.secrets(password), "utf-8")
        self.pluto.whack("--rereadsecrets")

    def dial(self, suite: str, mode: str, way: str = "xauth-psk", **settings: str) -> None:
        """Begin; it does not wait for the end, which in a kernel without ESP never comes. Names
        of settings have _ in place of -."""
        more = {name.replace("_", "-"): value for name, value in settings.items()}
        self.pluto.write(connection(mode, {**self.of(suite, mode, way), **more}))
        self.pluto.load(mode)
        self.pluto.whack("--name", mode, "--asynchronous", "--initiate")

    def hang_up(self, mode: str) -> None:
        self.pluto.whack("--name", mode, "--delete")

    def of(self, suite: str, mode: str, way: str) -> Settings:
        found = {
            **COMMON,
            "aggressive": "yes" if mode == "aggressive" else "no",
            "ike": named(suite),
            "left": ADDRESSES[self.where],
            "leftmodecfgclient": "yes",
            "right": self.gateway,
            "rightmodecfgserver": "yes",
            "rightsubnet": "0.0.0.0/0",
            "modecfgpull": "yes",
        }
        if way.startswith("xauth-"):
            found |= {"leftxauthclient": "yes", "leftusername": self.user}
            found |= {"rightxauthserver": "yes", "remote-peer-type": "cisco"}
        if way.endswith("rsa") and self.papers is not None:
            found |= {**self.papers.settings, "leftid": "%fromcert"}
        elif mode == "aggressive":
            found["leftid"] = f"@[{GROUP}]"
        return found


COMMON: Settings = {
    "ikev2": "no",
    "authby": "secret",
    "auto": "ignore",
    "esp": "aes128-sha1",
    "pfs": "no",
}


def connection(name: str, settings: Settings) -> str:
    lines = "".join(f"  {key}={value}\n" for key, value in settings.items())
    return f"conn {name}\n{lines}"


def named(suite: str) -> str:
    """Its name for a suite of ours."""
    before, _, group = suite.rpartition("-")
    return f"{before};{group}"
