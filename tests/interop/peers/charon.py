"""strongSwan's daemon with user-space ESP (kernel-libipsec): what gateway and client share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from culvert.lab import namespace
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.peers.credentials import PeerFailure
from interop.peers.pki import Pki

CHARON = Path("/usr/lib/ipsec/charon")
PLUGINS = (
    "random nonce openssl gcrypt pem pkcs1 pkcs8 x509 pubkey revocation constraints hmac kdf gcm "
    "kernel-libipsec kernel-netlink socket-default vici xauth-generic eap-identity eap-mschapv2 "
    "unity updown counters"
)
# With 8 threads and kernel-libipsec it takes the control connection and never answers.
THREADS = 16
POLL = 0.02
START_PATIENCE = 10.0


@dataclass
class Charon:
    """One charon in namespace ``where``, configured by two texts."""

    lab: Lab
    where: str
    pki: Pki
    process: Spawned | None = field(default=None, init=False)
    fragment_size: int = field(default=0, init=False)  # of IKE messages; 0: as it does
    unity: bool = True  # Cisco's extension

    @property
    def label(self) -> str:
        return f"charon-{self.where}"

    @property
    def folder(self) -> Path:
        return self.lab.state / f"strongswan-{self.where}"

    @property
    def log(self) -> str:
        return self.process.said if self.process else ""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def start(
        self, settings: str, connections: str, certificates: dict[str, str], plugins: str = ""
    ) -> None:
        """Start it and load ``connections``; ``certificates``: file name → name in the PKI."""
        swanctl = self.folder / "swanctl"
        for part in ("x509", "x509ca", "private"):
            (swanctl / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(self.pki.certificate("ca"), swanctl / "x509ca" / "ca.pem")
        for there, name in certificates.items():
            shutil.copy(self.pki.certificate(name), swanctl / "x509" / f"{there}.pem")
            shutil.copy(self.pki.key(name), swanctl / "private" / f"{there}.key")
        configuration = self.folder / "strongswan.conf"
        if self.fragment_size:
            settings += f"  fragment_size = {self.fragment_size}\n"
        configuration.write_text(daemon_settings(settings, plugins, self.unity), "utf-8")
        (swanctl / "swanctl.conf").write_text(connections, "utf-8")
        for left in ("charon.pid", "charon.vici"):
            (self.lab.run_folder(self.label) / left).unlink(missing_ok=True)
        self.process = self.lab.spawn(
            self.where,
            [str(self.unconfined(CHARON))],
            private_run=True,
            label=self.label,
            env={"STRONGSWAN_CONF": str(configuration)},
        )
        self.wait_for_control()
        self.swanctl("--load-all", "--noprompt")

    def unconfined(self, program: Path) -> Path:
        """A copy: Debian's AppArmor profiles go by path and forbid our configuration's place."""
        copy = self.folder / "bin" / program.name
        if not program.exists():
            raise PeerFailure(f"{program} is missing: run tools/install-peers ipsec")
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(program, copy)
        return copy

    def wait_for_control(self) -> None:
        end = time.monotonic() + START_PATIENCE
        while self.control("--stats", patience=3.0).returncode:
            if not self.alive or time.monotonic() > end:
                raise PeerFailure(f"charon on {self.where} did not start. Its log:\n{self.log}")
            time.sleep(POLL)

    def control(self, *words: str, patience: float = 30.0) -> subprocess.CompletedProcess[str]:
        tool = self.unconfined(Path(namespace.tool("swanctl")))
        socket = self.lab.run_folder(self.label) / "charon.vici"
        command = [str(tool), *words, "--uri", f"unix://{socket}"]
        try:
            return subprocess.run(
                command,
                env={**os.environ, "SWANCTL_DIR": str(self.folder / "swanctl")},
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer in {patience} s")

    def swanctl(self, *words: str, patience: float = 30.0) -> str:
        """What swanctl prints; a failure raises with charon's log."""
        done = self.control(*words, patience=patience)
        if done.returncode:
            said = f"{done.stdout}{done.stderr}"
            raise PeerFailure(f"swanctl {' '.join(words)}: {said}\ncharon's log:\n{self.log}")
        return done.stdout

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """A crash."""
        if self.process is not None:
            self.process.stop(signal.SIGKILL)


def daemon_settings(settings: str, plugins: str, unity: bool) -> str:
    return f"""\
charon {{
  load = {PLUGINS} {plugins}
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  cisco_unity = {"yes" if unity else "no"}
  retransmit_tries = 3
  retransmit_timeout = 2
  threads = {THREADS}
  {settings}
  filelog {{
    stderr {{ default = 1
             time_format = %H:%M:%S }}
  }}
}}
"""
