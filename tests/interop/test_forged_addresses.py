"""A flood of calls from forged addresses, and real clients meanwhile: who gets what, and how much
goes out to people who never asked (docs/reference/unproved-callers.md)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from culvert.ike.strangers import BURST, OCTETS_PER_SECOND
from culvert.ike.wire.identity import KEY_ID, Identity
from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop import forging
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP, USERS
from simulation.target import first_message

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

SUITE = "aes256-sha2_256-modp2048"
OTHER = {"user": USERS["client2"]}
FORGED = f"{forging.SOURCES}.0.0.0/8"
HEADERS = 28  # octets of IP and UDP
MOST_MEMORY = 96 << 10  # KiB that the worker may grow by in a flood
PINGS_A_SECOND = 50

RULES = f"""\
table ip forged {{
  chain heard {{ type filter hook prerouting priority -300; ip saddr {FORGED} counter; }}
  chain said {{ type filter hook output priority 0; ip daddr {FORGED} counter; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Counted:
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Flood:
    """What came of one."""

    seconds: float
    sent: int
    heard: Counted
    said: Counted
    cpu: float  # of the worker, share of one processor
    grown: int  # KiB
    pings: tuple[int, int]  # sent, answered
    connected: float  # seconds that a new client took
    lasted: bool  # whether the flood still went on then
    status: dict[str, Any]

    @property
    def figures(self) -> dict[str, Any]:
        return {
            "datagrams a second": round(self.heard.packets / self.seconds),
            "octets in": self.heard.octets,
            "octets out": self.said.octets,
            "amplification": round(self.said.octets / self.heard.octets, 4),
            "worker's processor": f"{self.cpu:.0%}",
            "worker grew by MiB": round(self.grown / 1024, 1),
            "pings lost": self.pings[0] - self.pings[1],
            "pings": self.pings[0],
            "a client connected in": round(self.connected, 1),
            "while it went on": self.lasted,
            "refused": self.status["refused_datagrams"],
            "unproved": self.status["unproved"],
        }


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    lab.run("gw", [namespace.tool("nft"), "-f", "-"], given=RULES)
    lab.run("inet", [namespace.tool("ip"), "route", "add", "blackhole", FORGED])
    with OurGateway(lab, phase1=(SUITE,)) as running:
        yield running


def counted(lab: Lab, chain: str) -> Counted:
    listed = lab.run("gw", [namespace.tool("nft"), "list", "chain", "ip", "forged", chain]).stdout
    found = re.search(r"packets (\d+) bytes (\d+)", listed)
    assert found is not None
    return Counted(int(found[1]), int(found[2]))


def worker(gateway: OurGateway) -> Path:
    """Its process: the child of the monitor that runs the worker's module."""
    children = Path(f"/proc/{gateway.running.pid}/task/{gateway.running.pid}/children")
    for pid in children.read_text().split():
        if b"gateway.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return Path(f"/proc/{pid}")
    raise AssertionError("the gateway has no worker")


def processor(process: Path) -> float:
    """Seconds it has computed."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory(process: Path, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", (process / "status").read_text())
    assert found is not None
    return int(found[1])


@contextmanager
def pinging(lab: Lab, where: str, seconds: float) -> Iterator[list[int]]:
    """Pings through the tunnel all the time; at the end: how many, and how many were answered."""
    count = round(seconds * PINGS_A_SECOND)
    command = [namespace.tool("ping"), "-n", "-q", "-i", str(1 / PINGS_A_SECOND), "-W", "2"]
    running = subprocess.Popen(
        lab.command(where, [*command, "-c", str(count), topology.SERVER]),
        stdout=subprocess.PIPE,
        text=True,
    )
    found: list[int] = []
    try:
        yield found
        told = running.communicate(timeout=seconds + 30)[0]
        numbers = re.search(r"(\d+) packets transmitted, (\d+) received", told)
        assert numbers is not None, told
        found += [int(numbers[1]), int(numbers[2])]
    finally:
        running.kill()
        running.wait()


def flooded(
    lab: Lab, gateway: OurGateway, *, a_second: int, seconds: float, times: int, port: int
) -> Flood:
    """One client is connected and pings; another one connects while the flood goes on."""
    call = first_message(suites=(SUITE,), identity=Identity(KEY_ID, GROUP.encode()))
    marker = forging.MARKER if port == 4500 else b""
    words = [topology.GATEWAY, port, a_second, seconds, times, (marker + call).hex()]
    process = worker(gateway)
    with (
        OurClient(lab, "client1") as inside,
        OurClient(lab, "pub", profile=OTHER) as outside,
        inside.connected(),
    ):
        before = counted(lab, "heard"), counted(lab, "said"), processor(process)
        grown = memory(process, "VmRSS")
        began = time.monotonic()
        with pinging(lab, "client1", seconds) as pings:
            program = [sys.executable, forging.__file__, *map(str, words)]
            pouring = lab.spawn("inet", program, label=f"flood-{port}-{a_second}-{times}")
            time.sleep(seconds / 3)
            called = time.monotonic()
            outside.up()
            connected = time.monotonic() - called
            lasted = pouring.alive
            assert pouring.wait(timeout=seconds + 30)
        took = time.monotonic() - began
        outside.down()
        after = counted(lab, "heard"), counted(lab, "said"), processor(process)
        status = gateway.culvert("gateway", "status", "--json").document
    heard, said = (
        Counted(now.packets - then.packets, now.octets - then.octets)
        for then, now in zip(before[:2], after[:2], strict=True)
    )
    return Flood(
        seconds,
        json.loads(pouring.said.splitlines()[-1])["sent"],
        heard,
        said,
        (after[2] - before[2]) / took,
        memory(process, "VmHWM") - grown,
        (pings[0], pings[1]),
        connected,
        lasted,
        status,
    )


def most_octets(flood: Flood) -> int:
    """What its budget allows until the gateway is looked at again."""
    return BURST + OCTETS_PER_SECOND * round(flood.seconds + 30) + flood.said.packets * HEADERS


def assert_bounded(flood: Flood, gateway: OurGateway) -> None:
    assert flood.heard.packets > 1000
    assert flood.lasted, f"the client took {flood.connected:.1f} s, longer than the flood"
    assert flood.said.octets <= most_octets(flood)
    assert flood.grown <= MOST_MEMORY
    assert flood.pings[0] == flood.pings[1], flood.figures
    assert flood.status["refused_datagrams"]["crowd"] > 0
    told = gateway.events("ike.strangers-crowd")
    assert 1 <= len(told) <= 1 + flood.seconds / 60


@pytest.mark.parametrize("port", [500, 4500])
def test_a_flood_of_forged_calls_costs_its_budget_and_keeps_nobody_out(
    lab: Lab, gateway: OurGateway, port: int
) -> None:
    flood = flooded(lab, gateway, a_second=2000, seconds=9.0, times=1, port=port)
    assert_bounded(flood, gateway)
    assert flood.said.octets < flood.heard.octets / 3


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("port", [500, 4500])
@pytest.mark.parametrize(("a_second", "times"), [(20_000, 1), (0, 1), (0, 2)])
def test_as_many_as_this_machine_gives(
    lab: Lab, gateway: OurGateway, a_second: int, times: int, port: int
) -> None:
    """0: without a pause. The figures are those of docs/reference/unproved-callers.md."""
    flood = flooded(lab, gateway, a_second=a_second, seconds=30.0, times=times, port=port)
    print(json.dumps({"port": port, "times": times, **flood.figures}, indent=1))
    assert flood.said.octets <= most_octets(flood)
    assert flood.grown <= MOST_MEMORY
