"""One worker against two: what eight sessions carry together, and how fast they are set up (root).

    PYTHONPATH=src:tests python -m bench.workers [--pairs 3] [--seconds 3]

`make bench` has a load instead that leaves the processors to the gateway (`bench.scaling`).
A lab of its own is built and removed. Rounds of one and of two workers follow each other (A B A B);
clients, their streams, the server and the gateway share this machine's processors, so with two of
them two workers can gain only what the rest leaves idle. The gateway's processor time stands
beside each rate. Clients always use the compiled engine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

import pytest

from bench.processes import family, spent
from culvert.driver.engine import ENGINE_VARIABLE
from culvert.lab import namespace, topology
from interop.crowd import Crowded, clients
from interop.ours import OurClient, OurGateway, until

PREFIX = "benchw"
SESSIONS = 8
SUITE = "aes128gcm16"
FILE = "1M.bin"
FIRST_PORT = 5301
ENGINES = ("python", "kernel")
PAIRS, SECONDS = 3, 3.0


@dataclass(frozen=True)
class Round:
    """Gbit/s of all streams; processor seconds of the gateway for 10^9 octets; seconds in which
    all clients came up, and what that took of the gateway's processor time."""

    rate: float
    cost: float
    setup: float
    setup_cpu: float

    def __str__(self) -> str:
        return (
            f"{self.rate:.2f} Gbit/s, gateway {self.cost:.2f} s/GB; {SESSIONS} set-ups in "
            f"{self.setup:.1f} s, gateway {self.setup_cpu:.2f} s"
        )


@contextmanager
def sinks(lab: Crowded) -> Iterator[None]:
    """An iperf3 server for each client."""
    with ExitStack() as stack:
        for number, _ in enumerate(lab.names):
            words = [namespace.tool("iperf3"), "-s", "--forceflush", "-p", str(FIRST_PORT + number)]
            serving = lab.spawn("server", words, label=f"sink-{number}")
            stack.callback(serving.stop)
            serving.wait_for("listening")
        yield


def streams(lab: Crowded, seconds: float) -> float:
    """Gbit/s of one TCP stream of each client to the server, all at once."""

    def one(number: int, name: str) -> float:
        words = ["-c", topology.SERVER, "-p", str(FIRST_PORT + number), "-t", str(seconds), "-J"]
        command = [namespace.tool("iperf3"), *words]
        said = lab.run(name, command, timeout=seconds + 60).stdout
        received: float = json.loads(said)["end"]["sum_received"]["bits_per_second"]
        return received / 1e9

    with ThreadPoolExecutor(len(lab.names)) as pool:
        return sum(pool.map(one, range(len(lab.names)), lab.names))


def check_payload(lab: Crowded) -> None:
    """A file through every tunnel, compared with the original."""
    for name in lab.names:
        if not lab.fetch(name, FILE).identical:
            raise SystemExit(f"{name}: the payload arrived different")


def measured(
    lab: Crowded, made: Sequence[OurClient], engine: str, workers: int, seconds: float
) -> Round:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(ENGINE_VARIABLE, engine)
        gateway = OurGateway(lab, general={"workers": workers}, phase2=(SUITE,), users=lab.names)
        gateway.start()
    try:
        pid = gateway.running.pid
        before, began = spent(family(pid)), time.monotonic()
        with ThreadPoolExecutor(len(made)) as pool:
            list(pool.map(lambda one: one.up(), made))
        setup, setup_cpu = time.monotonic() - began, spent(family(pid)) - before
        check_payload(lab)
        before = spent(family(pid))
        rate = streams(lab, seconds)
        used = spent(family(pid)) - before
        for one in made:
            one.down()
        until("all are gone", lambda: not gateway.sessions, seconds=60)
    finally:
        gateway.stop()
    return Round(rate, used / (rate * seconds / 8), setup, setup_cpu)


def rounds(
    lab: Crowded, engine: str, pairs: int = PAIRS, seconds: float = SECONDS
) -> Iterator[tuple[Round, Round]]:
    """One worker, two workers; again and again."""
    with sinks(lab), clients(lab, lab.names, {"phase2": [SUITE]}) as made:
        for _ in range(pairs):
            one = measured(lab, made, engine, 1, seconds)
            yield one, measured(lab, made, engine, 2, seconds)


def ratio(found: Sequence[tuple[Round, Round]]) -> str:
    """What two workers carry, set beside one in the same minute."""
    each = [two.rate / one.rate for one, two in found]
    return f"two workers carry {median(each):.2f} x ({min(each):.2f} to {max(each):.2f})"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--pairs", type=int, default=PAIRS)
    words.add_argument("--seconds", type=float, default=SECONDS)
    words.add_argument("--engine", default="", help="one of: " + ", ".join(ENGINES))
    given = words.parse_args()
    with Crowded(PREFIX, SESSIONS) as lab:
        for engine in [given.engine] if given.engine else ENGINES:
            found: list[tuple[Round, Round]] = []
            for one, two in rounds(lab, engine, given.pairs, given.seconds):
                print(f"{engine}: one worker  {one}\n{engine}: two workers {two}", flush=True)
                found.append((one, two))
            print(f"{engine}: {ratio(found)}", flush=True)


if __name__ == "__main__":
    main()
