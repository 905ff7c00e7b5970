"""The client's worker: what it can do when captured, and what its death costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.place import GROUP_KEY, INSIDE, Place, place
from gateway.test_worker import memory

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

HERE = Path(__file__).parent
PATIENCE = 60.0
WORKER = b"culvert.client.worker"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("worker")) as found:
        found.start_gateway()
        yield found


def eventually(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@contextmanager
def service(at: Place, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The client's service, or a program in its place; and what it says."""
    log, program = at.client.state / "said.log", words or ("-m", "culvert", "service", "run")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            ("ip", "netns", "exec", at.client.name, sys.executable, *program),
            stdout=out,
            stderr=out,
            env={**at.client.environment(), "LD_LIBRARY_PATH": str(at.profile)},
        )
    try:
        eventually(lambda: "service.started" in log.read_text(), "the service starts")
        yield daemon, log
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)


def connected(service: int) -> int:
    """The worker that has given up its user; another one may wait for orders beside it."""
    (found,) = [pid for pid in workers(service) if "Seccomp:\t2" in status(pid)]
    return found


def workers(service: int) -> list[int]:
    children = Path(f"/proc/{service}/task/{service}/children").read_text().split()
    return [int(one) for one in children if WORKER in Path(f"/proc/{one}/cmdline").read_bytes()]


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def test_a_captured_worker_can_open_nothing_start_nothing_and_reach_nobody(at: Place) -> None:
    program = (str(HERE / "hostile_service.py"), str(at.client.state))
    with service(at, *program, str(at.client.state / "service.sock")) as (_, log):
        assert at.up().status == 0, log.read_text()
        line = next(line for line in log.read_text().splitlines() if line.startswith("TRIED"))
    tried = json.loads(line.removeprefix("TRIED "))
    assert f"read {at.profile}" in tried
    assert len(tried) >= 12
    assert {what: how for what, how in tried.items() if how == "succeeded"} == {}
    assert GROUP_KEY not in log.read_text()


def test_the_worker_has_no_right_and_never_saw_the_group_key(at: Place) -> None:
    with service(at) as (daemon, _):
        assert at.up().status == 0
        worker = connected(daemon.pid)
        assert "CapEff:\t0000000000000000" in status(worker)
        assert "NoNewPrivs:\t1" in status(worker)
        assert "Uid:\t0" not in status(worker)
        assert GROUP_KEY.encode() in memory(daemon.pid)
        assert GROUP_KEY.encode() not in memory(worker)
    assert not Path(f"/proc/{worker}").exists()


def test_a_connection_whose_worker_is_killed_comes_back_and_stays_closed_meanwhile(
    at: Place,
) -> None:
    with service(at) as (daemon, log):
        before = at.client.traces()
        assert at.up().status == 0
        assert at.ping()
        standing = at.client.traces()
        os.kill(connected(daemon.pid), signal.SIGKILL)
        eventually(lambda: "client.worker-lost" in log.read_text(), "it is noticed")
        end = time.monotonic() + PATIENCE
        while log.read_text().count("client.up") < 2:
            assert at.client.traces() == standing
            assert time.monotonic() < end, log.read_text()
        assert at.ping()
        assert at.client.traces() == standing
        assert at.client.culvert("down").status == 0
        assert at.client.traces() == before


def test_a_connection_that_is_not_to_come_back_ends_and_leaves_nothing(at: Place) -> None:
    kept = at.profile.read_text()
    at.profile.write_text(kept + "reconnect = 0\n")
    with service(at) as (daemon, log):
        before = at.client.traces()
        assert at.up().status == 0
        assert INSIDE.rpartition(".")[0] in at.client.traces()["routes"]
        os.kill(connected(daemon.pid), signal.SIGKILL)
        eventually(lambda: "client.down" in log.read_text(), "it is over")
        eventually(lambda: at.client.traces() == before, "all is undone")
        (row,) = at.client.culvert("status", "--json").document["connections"]
        assert (row["state"], row["problem"]["id"]) == ("down", "error")
        at.profile.write_text(kept)
        assert at.up().status == 0
        assert at.ping()


def test_a_worker_outlives_its_service_by_no_moment(at: Place) -> None:
    with service(at) as (daemon, _):
        assert at.up().status == 0
        found = workers(daemon.pid)
        daemon.kill()
        daemon.wait(PATIENCE)
        eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in found), "they end")
