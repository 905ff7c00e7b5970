"""Throughput, CPU and latency of tunnels beside their peers, all measured in one run (root).

    PYTHONPATH=src:tests python tests/bench/throughput.py [--pairs 5] [--seconds 2] [--only WORDS]

A lab of its own is built and removed. Each round measures every variant once, in the same order,
so each of ours stands beside its peers of the same minute (A B A B …); a bar counts as met on the
lower quartile of the rounds' ratios. Payload is verified by hash through every tunnel. One TCP
stream, cubic, the receiver's rate; CPU is user and system time of the daemon, from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import alone, costs, fairness, idle, scaling
from bench.processes import family, spent
from bench.report import Bar, Figures, Known, Result, bars, fairness_bars, idle_bar, write
from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import VPNC_LEGACY, OurClient, OurGateway
from interop.peers import pki as authority
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.vpnc import Vpnc

PREFIX = "bench"
CLIENT = "client1"  # behind the PAT
FILE = "1M.bin"
QUIET = 0.90  # of the processors idle before a measurement
QUIET_PATIENCE = 10.0
BUSY_TRIES = 20
COSTS = "culvert gcm", "culvert cbc"
"""What is profiled, once, after the rounds."""
PROFILED = 4.0  # seconds
SOME = 50
"""Pings through the idle tunnel of a variant, for the table; the bar is of `bench.idle`."""
SMALL = "18"  # octets of payload: 64 with the headers of IPv4, UDP and Ethernet

SUITES = {"gcm": "aes128gcm16", "cbc": "aes128-sha1", "3des": "3des-sha1"}


@dataclass(frozen=True)
class Standing:
    """A tunnel that stands: the processes of its two ends."""

    gateway: tuple[int, ...]
    client: tuple[int, ...]
    target: str = topology.SERVER


@dataclass(frozen=True)
class Variant:
    name: str
    stand: Callable[[Lab, Pki], Iterator[Standing]]
    small: bool = False


# --- variants ----------------------------------------------------------------------------------


def plain(lab: Lab, pki: Pki) -> Iterator[Standing]:
    """The same hops without a tunnel: the internet routes the private network for a moment."""
    inet = lab.ns("inet")
    namespace.call(
        ["ip", "-n", inet, "route", "add", topology.PRIVATE, "via", topology.GATEWAY, "metric", "1"]
    )
    try:
        yield Standing((), ())
    finally:
        namespace.call(["ip", "-n", inet, "route", "del", topology.PRIVATE, "metric", "1"])


def ours(engine: str, suite: str) -> Callable[[Lab, Pki], Iterator[Standing]]:
    def stand(lab: Lab, pki: Pki) -> Iterator[Standing]:
        with ExitStack() as stack:
            stack.enter_context(environment("CULVERT_ENGINE", engine))
            gateway = stack.enter_context(OurGateway(lab, phase2=(suite,), legacy=VPNC_LEGACY))
            profile = {"phase2": [suite], "legacy": list(VPNC_LEGACY)}
            client = stack.enter_context(OurClient(lab, CLIENT, profile=profile))
            client.up()
            if client.row["engine"] != engine:
                raise SystemExit(f"asked for engine {engine}, got {client.row['engine']}")
            yield Standing(family(gateway.running.pid), family(client.running.pid))
            client.down()

    return stand


def strongswan(suite: str) -> Callable[[Lab, Pki], Iterator[Standing]]:
    def stand(lab: Lab, pki: Pki) -> Iterator[Standing]:
        with (
            StrongswanGateway(lab, pki, esp=suite) as gateway,
            StrongswanClient(lab, pki, where=CLIENT, esp=suite) as client,
        ):
            assert gateway.charon.process is not None
            assert client.charon.process is not None
            yield Standing(family(gateway.charon.process.pid), family(client.charon.process.pid))

    return stand


def vpnc_to_strongswan(suite: str) -> Callable[[Lab, Pki], Iterator[Standing]]:
    def stand(lab: Lab, pki: Pki) -> Iterator[Standing]:
        with StrongswanGateway(lab, pki, esp=suite) as gateway, Vpnc(lab, CLIENT) as client:
            assert gateway.charon.process is not None
            assert client.process is not None
            yield Standing(family(gateway.charon.process.pid), family(client.process.pid))

    return stand


def vpnc_to_ours(suite: str) -> Callable[[Lab, Pki], Iterator[Standing]]:
    def stand(lab: Lab, pki: Pki) -> Iterator[Standing]:
        with (
            environment("CULVERT_ENGINE", "kernel"),
            OurGateway(lab, phase2=(suite,), legacy=VPNC_LEGACY) as gateway,
            Vpnc(lab, CLIENT) as client,
        ):
            assert client.process is not None
            yield Standing(family(gateway.running.pid), family(client.process.pid))

    return stand


VARIANTS = (
    Variant("plain path", plain),
    Variant("culvert gcm", ours("kernel", SUITES["gcm"]), small=True),
    Variant("strongswan gcm", strongswan(SUITES["gcm"]), small=True),
    Variant("culvert cbc", ours("kernel", SUITES["cbc"])),
    Variant("strongswan cbc", strongswan(SUITES["cbc"])),
    Variant("vpnc to strongswan cbc", vpnc_to_strongswan(SUITES["cbc"])),
    Variant("vpnc to culvert cbc", vpnc_to_ours(SUITES["cbc"])),
    Variant("culvert 3des", ours("kernel", SUITES["3des"])),
    Variant("strongswan 3des", strongswan(SUITES["3des"])),
    Variant("culvert python gcm", ours("python", SUITES["gcm"])),
    Variant("culvert python cbc", ours("python", SUITES["cbc"])),
)

IDLE = {
    "benchi1": ours("kernel", SUITES["gcm"]),
    "benchi2": strongswan(SUITES["gcm"]),
}
"""The two whose idle tunnels are compared, by the prefix of their labs."""

BARS = (
    Bar("AES-128-GCM, one stream", "culvert gcm", "strongswan gcm", 5.0),
    Bar("AES-128-GCM, share of the plain path", "culvert gcm", "plain path", 0.25),
    Bar("AES-128-CBC, one stream", "culvert cbc", "strongswan cbc", 5.0),
    Bar("AES-128-CBC, beside vpnc", "culvert cbc", "vpnc to strongswan cbc", 5.0),
    Bar("3DES, one stream", "culvert 3des", "strongswan 3des", 1.3),
    Bar("pure Python, AES-128-GCM", "culvert python gcm", "strongswan gcm", 1.2),
    Bar("pure Python, AES-128-CBC", "culvert python cbc", "strongswan cbc", 1.2),
    Bar("unmodified vpnc", "vpnc to culvert cbc", "vpnc to strongswan cbc", 1.3, busy=0.85),
)

QUIET_PATH = 14.638, 17.897  # Gbit/s up, down
KNOWN = (
    Known("strongswan gcm", 0.576, 0.824, *QUIET_PATH),
    Known("strongswan cbc", 0.421, 0.618, *QUIET_PATH),
    Known("strongswan 3des", 0.103, 0.118, *QUIET_PATH),
    Known("vpnc to strongswan cbc", 0.426, 0.591, *QUIET_PATH),
)
"""Peers' rates on a quiet machine of this class, beside the plain path of the same run."""


# --- measuring ---------------------------------------------------------------------------------


def measured(lab: Lab, pki: Pki, variant: Variant, seconds: float, patience: float) -> Figures:
    idle = wait_for_quiet(patience)
    with contextmanager(variant.stand)(lab, pki) as on:
        if not lab.fetch(CLIENT, FILE).identical:
            raise SystemExit(f"{variant.name}: the payload arrived different")
        up, up_cpu = stream(lab, on, seconds)
        down, down_cpu = stream(lab, on, seconds, "-R")
        ping = pinged(lab, on.target, SOME)
        busy = lab.spawn(CLIENT, iperf(on.target, seconds + 2), label="load")
        time.sleep(0.5)
        loaded = pinged(lab, on.target)
        busy.wait(timeout=seconds + 10)
        packets = small_packets(lab, on, seconds) if variant.small else 0.0
    return Figures(up, down, up_cpu, down_cpu, ping, loaded, packets, idle)


def profiled(lab: Lab, pki: Pki, variant: Variant, folder: Path) -> list[tuple[str, str, float]]:
    """Where the time of a stream goes; empty without perf."""
    file = folder / "perf.data"
    with contextmanager(variant.stand)(lab, pki) as on:
        busy = lab.spawn(CLIENT, iperf(on.target, PROFILED + 2), label="load")
        time.sleep(1.0)
        recording = costs.recorded(file, PROFILED)
        busy.wait(timeout=PROFILED + 20)
        if recording is None or recording.wait(30):
            return []
        return costs.shares(file, on.gateway, on.client)


def iperf(target: str, seconds: float, *more: str) -> list[str]:
    tool = namespace.tool("iperf3")
    return [tool, "-c", target, "-t", str(seconds), "-J", *(more or ("-C", "cubic"))]


def stream(lab: Lab, on: Standing, seconds: float, *more: str) -> tuple[float, tuple[float, float]]:
    """Gbit/s at the receiver, and seconds of CPU per 10^9 octets at gateway and client."""
    before = spent(on.gateway), spent(on.client)
    told = run_iperf(lab, iperf(on.target, seconds, "-C", "cubic", *more), seconds)
    received = told["end"]["sum_received"]
    billions = received["bytes"] / 1e9
    cost = (spent(on.gateway) - before[0]) / billions, (spent(on.client) - before[1]) / billions
    return received["bits_per_second"] / 1e9, cost


def small_packets(lab: Lab, on: Standing, seconds: float) -> float:
    """Packets of 64 octets a second that reach the far end when offered without pause."""
    words = ("-u", "-b", "0", "-l", SMALL)
    told = run_iperf(lab, iperf(on.target, seconds, *words), seconds)
    found = told["end"]["sum"]
    return (found["packets"] - found["lost_packets"]) / found["seconds"]


def run_iperf(lab: Lab, command: Sequence[str], seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {"error": "iperf3 was not run"}
    for _ in range(BUSY_TRIES):
        done = lab.run(CLIENT, command, timeout=seconds + 30, check=False)
        told = json.loads(done.stdout)
        if "busy" not in told.get("error", ""):
            break
        time.sleep(0.5)  # it has not noticed yet that the one before has gone
    if "error" in told:
        raise SystemExit(f"iperf3: {told['error']}")
    return told


def pinged(lab: Lab, target: str, count: int = fairness.PINGS) -> float:
    """Median of the round trips in milliseconds."""
    found = fairness.pinged(lab, CLIENT, target, count=count)
    if found.lost > count // 2:
        raise SystemExit(f"{target} hardly answers: {found}")
    return found.median


def wait_for_quiet(patience: float) -> float:
    """How idle the machine is, once it is or will not become so."""
    end = time.monotonic() + patience
    while True:
        idle = _idle()
        if idle >= QUIET or time.monotonic() > end:
            return idle


def _idle() -> float:
    def look() -> tuple[int, int]:
        fields = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return fields[3] + fields[4], sum(fields)

    before = look()
    time.sleep(0.5)
    after = look()
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


# --- the run -----------------------------------------------------------------------------------


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--seconds", type=float, default=2.0)
    words.add_argument("--patience", type=float, default=QUIET_PATIENCE, help="for a quiet machine")
    words.add_argument("--only", default="", help="variants whose name holds one of these words")
    words.add_argument("--to", type=Path, default=Path(__file__).parents[2] / "docs")
    given = words.parse_args()
    chosen = [one for one in VARIANTS if _wanted(one.name, given.only)]
    rounds: dict[str, list[Figures]] = {one.name: [] for one in chosen}
    with tempfile.TemporaryDirectory() as folder, Lab(PREFIX) as lab:
        pki = authority.make(Path(folder))
        serving = lab.spawn(
            "server", [namespace.tool("iperf3"), "-s", "--forceflush"], label="iperf3"
        )
        serving.wait_for("listening")
        for number in range(given.pairs):
            for one in chosen:
                found = measured(lab, pki, one, given.seconds, given.patience)
                rounds[one.name].append(found)
                print(f"{number + 1}/{given.pairs} {one.name:26} {found}", flush=True)
        spent_on = [
            (one.name, profiled(lab, pki, one, Path(folder))) for one in chosen if one.name in COSTS
        ]
    shared, shares = scaling.results()
    results = [*bars(BARS, rounds), idling(), alone.growth(), alone.setups(), *fair(), *shared]
    length = {"pairs": given.pairs, "seconds": given.seconds}
    write(given.to, rounds, results, KNOWN, spent_on, shares, **length)
    for name, values in rounds.items():
        up, down = (median(getattr(one, way) for one in values) for way in ("up", "down"))
        print(f"{name:26} up {up:.2f} down {down:.2f} Gbit/s")
    return 0 if all(one.met for one in results) else 1


def idling() -> Result:
    """The round trip through our idle tunnel beside strongSwan's, each in a lab of its own."""
    with ExitStack() as stack:
        pki = authority.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        ends = [
            (lab, stack.enter_context(contextmanager(stand)(lab, pki)).target)
            for lab, stand in (
                (stack.enter_context(Lab(prefix)), stand) for prefix, stand in IDLE.items()
            )
        ]
        mine, theirs = (partial(fairness.echoes, lab, CLIENT, target) for lab, target in ends)
        pairs = list(idle.rounds(mine, theirs))
    for one, other in pairs:
        print(f"idle tunnel: ours {one:.3f} ms, strongSwan's {other:.3f} ms", flush=True)
    return idle_bar("strongswan gcm", pairs)


def fair() -> list[Result]:
    """What a session notices of another one's floods, on a lab of its own."""
    with Lab(fairness.PREFIX) as lab:
        found = list(fairness.measured(lab, "kernel", count=fairness.MANY))
    for one in found:
        print(one, flush=True)
    return fairness_bars(found)


def _wanted(name: str, only: str) -> bool:
    return not only or any(word in name for word in only.split(","))


if __name__ == "__main__":
    sys.exit(main())
