"""kill -9 of both ends, at any moment of connecting, carrying and hanging up, behind the PAT."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, traces, until
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(1200)]

MOMENTS = 20
SILENCE = 0.5
"""Seconds after which a download is given up whose other end may be dead."""

BEFORE_UP = 0.25
"""Seconds that the command line takes before it asks the service; killed sooner, that one is idle,
and `up` starts another."""

IMPATIENT_GATEWAY = {"dpd_delay": 1, "dpd_retry": 1, "dpd_tries": 2}
IMPATIENT_CLIENT = {"dpd_delay": 2, "dpd_timeout": 10, "peer_timeout": 5, "reconnect": 0}
DPD_SECONDS = {"gateway": 3.0, "client": 10.0}
"""After how much silence each gives the other up, by the settings above."""

SLACK = 4.0
"""Seconds more for timers, processes and a busy machine."""


@pytest.fixture
def seed() -> int:
    chosen = random.SystemRandom().randrange(1 << 32)
    print(f"seed {chosen}")
    return chosen


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    running = OurGateway(lab, general=IMPATIENT_GATEWAY)
    yield running
    running.stop()


@pytest.fixture
def client(lab: Lab) -> Iterator[OurClient]:
    running = OurClient(lab, profile=IMPATIENT_CLIENT)
    yield running
    running.stop()


def course(client: OurClient) -> None:
    """Connect, download, hang up; whatever of it still works."""
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        if client.try_up().status == 0:
            client.lab.fetch(client.where, "100M.bin", silence=SILENCE)
            client.culvert("down", "--all")


def at_once(*calls: Callable[[], None]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda call: call(), calls))


def killed_in(seconds: float, daemon: OurClient | OurGateway) -> threading.Timer:
    timer = threading.Timer(seconds, daemon.running.send, (signal.SIGKILL,))
    timer.start()
    return timer


def kill_all(lab: Lab, where: str, daemon: str) -> None:
    """Every daemon of that kind in the namespace."""
    pids = [
        pid
        for pid in namespace.processes([lab.ns(where)])
        if f"{daemon}\0run".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until("they are gone", lambda: all(namespace.is_zombie(pid) for pid in pids), seconds=5)


def test_both_ends_killed_at_any_moment_leave_nothing(
    lab: Lab, gateway: OurGateway, client: OurClient, seed: int
) -> None:
    places = {"gw": gateway, "client1": client}
    before = {where: traces(lab, where) for where in places}
    chance = random.Random(seed)  # moments, not secrets
    whole = seconds_of_a_course(gateway, client)
    deaths = list(
        zip(spread(chance, 0.0, whole), spread(chance, BEFORE_UP, whole * 1.3), strict=True)
    )
    reached = dict.fromkeys(("client.up", "session.started", "client.down"), 0)
    for moment, (of_gateway, of_client) in enumerate(deaths):
        seen = {code: len(client.events(code) + gateway.events(code)) for code in reached}
        at_once(gateway.start, client.start)
        timers = [killed_in(of_gateway, gateway), killed_in(of_client, client)]
        course(client)
        for timer in timers:
            timer.join()
        # If the service was dead already, `up` has started another.
        kill_all(lab, "client1", "service")
        assert all(one.running.wait() for one in places.values())
        for code in reached:
            reached[code] += len(client.events(code) + gateway.events(code)) > seen[code]
        if moment % 2:
            at_once(*(one.repair for one in places.values()))
        else:
            # The next start finds what is left over, and ends without leaving any itself.
            at_once(gateway.start, client.start)
            at_once(gateway.stop, client.stop)
        assert {where: traces(lab, where) for where in places} == before, f"moment {moment}"
    # The moments were spread over the whole course, or nothing was proved.
    assert all(0 < count < MOMENTS for count in reached.values()), reached


def spread(chance: random.Random, first: float, last: float) -> list[float]:
    """A random moment in each of `MOMENTS` equal parts of the time, in random order."""
    part = (last - first) / MOMENTS
    found = [first + part * (number + chance.random()) for number in range(MOMENTS)]
    chance.shuffle(found)
    return found


def seconds_of_a_course(gateway: OurGateway, client: OurClient) -> float:
    """How long one takes here and now, when nobody is killed."""
    at_once(gateway.start, client.start)
    began = time.monotonic()
    course(client)
    took = time.monotonic() - began
    at_once(gateway.stop, client.stop)
    assert client.events("client.up")
    return took


def test_the_client_says_that_a_killed_gateway_is_gone_within_its_dpd_time(
    lab: Lab, gateway: OurGateway, client: OurClient
) -> None:
    before = traces(lab, "client1")
    gateway.start()
    client.start()
    client.up()
    prove_data(lab, "client1")
    gateway.kill()
    took = until("it is down", lambda: client.row["state"] == "down", seconds=40)
    assert took <= DPD_SECONDS["client"] + SLACK
    assert client.row["problem"]["id"] == "lost-peer"
    why = client.why()
    assert why["diagnosis"]["id"].startswith("live.")
    assert any(step["code"] == "live.peer-dead" for step in why["steps"])
    assert traces(lab, "client1") == before
    gateway.start()
    client.up()
    prove_data(lab, "client1")


def test_the_gateway_ends_the_session_of_a_killed_client_within_its_dpd_time(
    lab: Lab, gateway: OurGateway, client: OurClient
) -> None:
    gateway.start()
    client.start()
    client.up()
    prove_data(lab, "client1")
    number = gateway.session_of(USERS["client1"])["number"]
    client.kill()
    took = gateway.wait_until_empty(seconds=30)
    assert took <= DPD_SECONDS["gateway"] + SLACK
    ended = gateway.events("session.ended")[-1]["fields"]
    assert (ended["user"], ended["reason"]) == (USERS["client1"], "lost-peer")
    assert "stopped answering" in gateway.culvert("gateway", "why", str(number)).out
    client.start()
    client.up()
    assert lab.ping("client1", topology.SERVER, count=2)
