"""vpnc as the client: IKEv1 aggressive mode, user-space ESP."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.peers.credentials import GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure
from interop.peers.tunnel import Tunnel

POLL = 0.02
STARTED = "VPNC started"
PER_PACKET = "ESP packet with seq"


@dataclass
class Vpnc:
    """One vpnc in namespace ``where``. Settings are those of its configuration file."""

    lab: Lab
    where: str = "client1"
    gateway: str = topology.GATEWAY
    group: str = GROUP
    group_key: str = GROUP_KEY
    user: str = ""
    password: str = PASSWORD
    auth: str = "psk"  # or hybrid
    dh: str = "dh2"
    pfs: str = "nopfs"
    natt: str = "natt"  # none, force-natt, cisco-udp
    dpd_idle: int = 10
    mtu: int = 0  # it decides
    authority: Path | None = None  # for hybrid
    extra: tuple[str, ...] = ()
    patience: float = 15.0
    process: Spawned | None = field(default=None, init=False)
    skipped: int = field(default=0, init=False)
    """What an earlier run has written into the same log."""

    @property
    def label(self) -> str:
        return f"vpnc-{self.where}"

    @property
    def tunnel(self) -> Tunnel:
        return Tunnel(self.lab, self.where, "tun0")

    @property
    def log(self) -> str:
        """Without the line that it writes for every packet."""
        said = self.process.said[self.skipped :] if self.process else ""
        lines = said.splitlines(keepends=True)
        return "".join(line for line in lines if line.strip() and PER_PACKET not in line)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Dial; returns when the tunnel has an address, a route and, last, its keys."""
        place = self.configuration()
        (self.lab.run_folder(self.label) / "vpnc").mkdir(exist_ok=True)
        # Into a file it would write its lines only at its end.
        command = [namespace.tool("stdbuf"), "-oL", namespace.tool("vpnc"), str(place)]
        earlier = self.lab.state / f"{self.label}.log"
        self.skipped = len(earlier.read_text("utf-8", "replace")) if earlier.exists() else 0
        self.process = self.lab.spawn(self.where, command, private_run=True, label=self.label)
        end = time.monotonic() + self.patience
        while not (STARTED in self.log and self.tunnel.address and self.tunnel.routes):
            if not self.alive or time.monotonic() > end:
                ended = "is late" if self.alive else f"ended with {self.process.status}"
                self.down()
                raise PeerFailure(f"vpnc on {self.where} {ended}. Its log:\n{self.log}")
            time.sleep(POLL)

    def configuration(self) -> Path:
        lines = [
            f"IPSec gateway {self.gateway}",
            f"IPSec ID {self.group}",
            f"IPSec secret {self.group_key}",
            f"IKE Authmode {self.auth}",
            f"Xauth username {self.user or USERS[self.where]}",
            f"Xauth password {self.password}",
            f"IKE DH Group {self.dh}",
            f"Perfect Forward Secrecy {self.pfs}",
            f"NAT Traversal Mode {self.natt}",
            "Enable weak encryption",
            "Enable weak authentication",
            "Enable Single DES",
            "Interface name tun0",
            f"Interface MTU {self.mtu}",
            f"DPD idle timeout (our side) {self.dpd_idle}",
            "Debug 1",
            "No Detach",
            *([f"CA-File {self.authority}"] if self.authority else []),
            *self.extra,
        ]
        place = self.lab.state / f"{self.label}.conf"
        place.touch(mode=0o600)
        place.write_text("\n".join(lines) + "\n", "utf-8")
        return place

    def down(self) -> None:
        """Hang up in good order."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """A crash."""
        if self.process is not None:
            self.process.stop(signal.SIGKILL)
