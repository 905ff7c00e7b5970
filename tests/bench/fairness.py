"""One session floods; what does another one's ping notice? All on a lab of the caller's.

    PYTHONPATH=src:tests python -m bench.fairness [python|kernel]

`culvert.inet.lane` says why it should be little.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway

PREFIX = "fair"
SUITE = "aes128gcm16"
FLOODING, QUIET = "client1", "client2"
PINGS, EVERY = 200, 0.01
MANY = 500
"""Pings where the 95th percentile counts: that of 200 is the tenth worst, a burst or two."""
WARM = 1.0  # seconds until a flood is at its height

UDP = ("-u", "-b", "0", "-l", "1300")
SMALL = ("-u", "-b", "0", "-l", "64")
FLOODS = {
    "UDP up": UDP,
    "UDP down": (*UDP, "-R"),
    "small packets up": SMALL,
    "small packets down": (*SMALL, "-R"),
    "TCP up": ("-P", "4"),
    "TCP down": ("-P", "4", "-R"),
    "TCP both ways": ("-P", "2", "--bidir"),
}

STARTING = 40.0
"""Seconds for a flood to begin: it may wait behind what is left of the one before."""


@dataclass(frozen=True)
class Pinged:
    """Milliseconds; how many had no answer."""

    median: float
    p95: float
    lost: int
    sent: int

    def __str__(self) -> str:
        return f"median {self.median:.2f}, p95 {self.p95:.2f} ms, {self.lost} of {self.sent} lost"


@dataclass(frozen=True)
class Flooded:
    name: str
    before: Pinged
    during: Pinged

    @property
    def extra(self) -> float:
        return self.during.median - self.before.median

    @property
    def extra_p95(self) -> float:
        return self.during.p95 - self.before.p95

    def __str__(self) -> str:
        return f"{self.name:20} before: {self.before}; during: {self.during}"


def echoes(lab: Lab, where: str, target: str, count: int) -> list[float]:
    """Milliseconds until each answer that came."""
    words = ["-n", "-i", str(EVERY), "-c", str(count), "-W", "1", target]
    said = lab.run(where, [namespace.tool("ping"), *words], timeout=60, check=False).stdout
    return [float(one) for one in re.findall(r"time=([\d.]+)", said)]


def pinged(
    lab: Lab, where: str = QUIET, target: str = topology.SERVER, *, count: int = PINGS
) -> Pinged:
    times = echoes(lab, where, target, count)
    lost = count - len(times)
    if lost > count // 2:
        return Pinged(1e3, 1e3, lost, count)
    return Pinged(median(times), quantiles(times, n=20)[18], lost, count)


@contextmanager
def two_sessions(lab: Lab, engine: str) -> Iterator[None]:
    """The gateway with this engine; the clients with their best, so that it has to work."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CULVERT_ENGINE", engine)
        gateway = OurGateway(lab, phase2=(SUITE,))
        gateway.start()
        patched.setenv("CULVERT_ENGINE", "user")
        try:
            profile = {"phase2": [SUITE]}
            with OurClient(lab, FLOODING, profile) as one, OurClient(lab, QUIET, profile) as other:
                one.up()
                other.up()
                yield
        finally:
            gateway.stop()


def measured(lab: Lab, engine: str, *names: str, count: int = PINGS) -> Iterator[Flooded]:
    """Each of these floods, or all."""
    seconds = WARM + count * EVERY * 2 + 1
    serving = lab.spawn("server", [namespace.tool("iperf3"), "-s", "--forceflush"], label="sink")
    serving.wait_for("listening")
    try:
        with two_sessions(lab, engine):
            for name in names or FLOODS:
                before = pinged(lab, count=count)
                words = ["-c", topology.SERVER, "-t", str(seconds), *FLOODS[name]]
                flood = lab.spawn(FLOODING, [namespace.tool("iperf3"), *words], label="flood")
                flood.wait_for("connected to", timeout=STARTING)
                time.sleep(WARM)
                yield Flooded(name, before, pinged(lab, count=count))
                flood.stop()
                time.sleep(1.5)  # iperf3 notices late that the one before has gone
    finally:
        serving.stop()


def main() -> None:
    with Lab(PREFIX) as lab:
        for one in measured(lab, *(sys.argv[1:2] or ["kernel"]), count=MANY):
            print(one, flush=True)


if __name__ == "__main__":
    main()
