"""A client's tunnel as its kernel shows it, and the proof that it carries data."""

from __future__ import annotations

import json
from dataclasses import dataclass

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.peers.credentials import PeerFailure


@dataclass(frozen=True)
class Tunnel:
    lab: Lab
    where: str
    interface: str

    @property
    def address(self) -> str:
        """The assigned address, or "" while there is none."""
        command = ["ip", "-n", self.lab.ns(self.where), "-j", "-4", "addr"]
        rows = json.loads(namespace.call(command) or "[]")
        return next(
            (
                info["local"]
                for row in rows
                if row.get("ifname") == self.interface
                for info in row["addr_info"]
            ),
            "",
        )

    @property
    def routes(self) -> list[str]:
        """Where the kernel sends what belongs into the tunnel."""
        command = ["ip", "-n", self.lab.ns(self.where), "-j", "-4", "route"]
        rows = json.loads(namespace.call(command) or "[]")
        return [row["dst"] for row in rows if row.get("dev") == self.interface]


def prove_data(lab: Lab, where: str, file: str = "1M.bin") -> None:
    """Ping the private server and download ``file``; every octet must be the server's."""
    if not lab.ping(where, topology.SERVER, count=2, wait=2.0):
        raise PeerFailure(f"{where}: no answer from the private server {topology.SERVER}")
    fetched = lab.fetch(where, file)
    if not fetched.identical:
        raise PeerFailure(f"{where}: {file} arrived different ({fetched.octets} octets)")


def carries_nothing(lab: Lab, where: str) -> bool:
    return not lab.ping(where, topology.SERVER, wait=1.0)
