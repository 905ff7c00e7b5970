"""ike-scan, the probe: what does a gateway tell a stranger?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab

PATIENCE = 30.0


@dataclass(frozen=True)
class Scan:
    """One probe and its answer."""

    output: str

    @property
    def handshake(self) -> bool:
        """The gateway went along with the exchange."""
        return "Handshake returned" in self.output

    @property
    def notify(self) -> str:
        """The refusal's name, or "" ."""
        found = re.search(r"Notify message \d+ \(([^)]*)\)", self.output)
        return found[1] if found else ""

    @property
    def silent(self) -> bool:
        return not self.handshake and not self.notify

    @property
    def vendor_ids(self) -> tuple[str, ...]:
        return tuple(re.findall(r"VID=([0-9a-f]+)", self.output))


def ike_scan(lab: Lab, *words: str, where: str = "pub", target: str = topology.GATEWAY) -> Scan:
    """Probe ``target`` once from ``where``; ``words`` are its switches."""
    command = [namespace.tool("ike-scan"), "--multiline", *words, target]
    return Scan(lab.run(where, command, timeout=PATIENCE).stdout)
