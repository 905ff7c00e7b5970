"""kill -9 at random moments: nothing is left over, and the other end notices and says why."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cli.place import CONFIG, PASSWORD, Place, place

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PATIENCE = 60.0
"""Seconds for a process to come or to go, on a machine that has much else to do."""

MOMENTS = 10
"""Before everything stands, and as many after."""

SETTLED = 0.5
"""Seconds after everything stands in which the later moments lie."""

DPD_SECONDS = {"gateway": 3, "client": 10}
"""After how much silence each side gives the other up, as configured below."""

SLACK = 4.0
"""Seconds more for timers, processes and a busy machine."""


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("killed")) as found:
        impatient = "dpd_delay = 1\ndpd_retry = 1\ndpd_tries = 2\n"
        found.config.write_text(CONFIG.replace("[gateway]\n", f"[gateway]\n{impatient}"))
        profile = found.profile.read_text() + "dpd_delay = 2\ndpd_timeout = 10\nreconnect = 0\n"
        found.profile.write_text(profile)
        yield found


@pytest.fixture
def seed() -> int:
    chosen = random.SystemRandom().randrange(1 << 32)
    print(f"seed {chosen}")
    return chosen


def pids(at_name: str, words: bytes) -> list[int]:
    found: list[int] = []
    listed = subprocess.run(
        ("ip", "netns", "pids", at_name), capture_output=True, text=True, check=False
    )
    for pid in listed.stdout.split():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if words in line:
            found.append(int(pid))
    return found


def kill(found: list[int]) -> None:
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in found), PATIENCE)


def eventually(holds: Callable[[], bool], seconds: float) -> float:
    """Wait until it holds; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture
def gateway(at: Place) -> Iterator[None]:
    at.start_gateway()
    yield
    kill(pids(at.gateway.name, b"gateway\0run"))
    at.gateway.culvert("repair")


def connecting(at: Place) -> subprocess.Popen[bytes]:
    line = ("up", str(at.profile), "--user", "ann", "--password-fd", "0", "--no-input")
    attempt = subprocess.Popen(
        at.client.line(*line),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=at.client.environment(),
    )
    assert attempt.stdin is not None
    attempt.stdin.write(f"{PASSWORD}\n".encode())
    attempt.stdin.close()
    # Its own pace: on a busy machine a service takes its time to be there.
    eventually(lambda: bool(pids(at.client.name, b"service\0run")), PATIENCE)
    return attempt


def undone_after_a_kill(at: Place, before: Mapping[str, str]) -> int:
    """Kill the service and undo what it left; how many processes it was."""
    found = pids(at.client.name, b"service\0run")
    kill(found)
    eventually(lambda: not pids(at.client.name, b"culvert.client.worker"), PATIENCE)
    repaired = at.client.culvert("repair", seconds=PATIENCE)
    assert repaired.status == 0, repaired.out
    assert at.client.traces() == before
    return len(found)


@pytest.mark.usefixtures("gateway")
def test_a_client_service_killed_at_any_moment_leaves_nothing(at: Place, seed: int) -> None:
    """Half of the moments lie after the command has finished; the others, as far as this machine's
    pace today can be foretold, before."""
    before, chance = at.client.traces(), random.Random(seed)
    took: list[float] = []
    stood = killed = 0
    for _ in range(MOMENTS):
        attempt, began = connecting(at), time.monotonic()
        up = attempt.wait(PATIENCE) == 0  # the gateway is impatient, and this machine may be slow
        took.append(time.monotonic() - began)
        time.sleep(chance.uniform(0.0, SETTLED))
        stood += up and at.client.traces() != before
        undone_after_a_kill(at, before)
    assert stood, "no moment lay after a connection was up"
    for _ in range(MOMENTS):
        attempt = connecting(at)
        time.sleep(chance.uniform(0.0, min(took)))
        found = pids(at.client.name, b"service\0run")
        kill(found)
        attempt.wait(PATIENCE)
        killed += len(found) + undone_after_a_kill(at, before)
    assert killed >= MOMENTS // 2


def test_a_gateway_killed_at_any_moment_leaves_nothing(at: Place, seed: int) -> None:
    before, chance = at.gateway.traces(), random.Random(seed)

    def undone() -> None:
        kill(pids(at.gateway.name, b"gateway\0run"))
        repaired = at.gateway.culvert("repair", seconds=PATIENCE)
        assert repaired.status == 0, repaired.out
        assert at.gateway.traces() == before

    took: list[float] = []
    for _ in range(MOMENTS):
        began = time.monotonic()
        at.start_gateway()
        took.append(time.monotonic() - began)
        time.sleep(chance.uniform(0.0, SETTLED))
        assert at.gateway.traces() != before, "the gateway has changed nothing that could be left"
        undone()
    for _ in range(MOMENTS):
        at.gateway.start("gateway", "run", "--quiet", "-c", str(at.config))
        time.sleep(chance.uniform(0.0, min(took)))
        undone()


def test_the_next_start_of_a_gateway_undoes_what_the_last_left(at: Place) -> None:
    before = at.gateway.traces()
    at.start_gateway()
    kill(pids(at.gateway.name, b"gateway\0run"))
    daemon = at.start_gateway()
    daemon.terminate()
    assert daemon.wait(10) == 0
    assert at.gateway.traces() == before


@pytest.mark.usefixtures("gateway")
def test_the_gateway_notices_a_killed_client_within_its_dpd_time(at: Place) -> None:
    assert at.up().status == 0
    kill(pids(at.client.name, b"service\0run"))
    took = eventually(
        lambda: not at.gateway.culvert("gateway", "sessions", "--json").document["sessions"], 30
    )
    assert took <= DPD_SECONDS["gateway"] + SLACK
    log = at.gateway.culvert("gateway", "log").out
    assert "live.peer-dead" in log
    assert "lost-peer" in log
    at.client.culvert("repair")


def test_the_client_notices_a_killed_gateway_within_its_dpd_time(at: Place) -> None:
    before = at.client.traces()
    at.start_gateway()
    assert at.up().status == 0
    kill(pids(at.gateway.name, b"gateway\0run"))

    def row() -> dict[str, object]:
        (found,) = at.client.culvert("status", "--json").document["connections"]
        return dict(found)

    took = eventually(lambda: row()["state"] == "down", 40)
    assert took <= DPD_SECONDS["client"] + SLACK
    problem = row()["problem"]
    assert isinstance(problem, dict)
    assert problem["id"] == "lost-peer"
    assert at.client.traces() == before
    at.gateway.culvert("repair")
