"""The worker: what it can do when captured, what its death costs, what a monitor takes from it."""

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

from netio.namespaces import namespace

HERE = Path(__file__).parent
PATIENCE = 15.0
CONFIG = """\
[gateway]
listen = ["127.0.0.1"]
lan = ["192.168.2.0/24"]
legacy = ["aggressive-psk"]
[[pool]]
name = "clients"
addresses = ["10.64.0.0/24"]
[[group]]
name = "staff"
key = "the group key that no worker may read"
"""


@contextmanager
def running(folder: Path, *program: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A gateway in a namespace of its own, and its log."""
    config, log = folder / "gateway.toml", folder / "out.log"
    config.touch(mode=0o600)
    config.write_text(CONFIG)
    with namespace("work") as place, log.open("wb") as out:
        process = subprocess.Popen(
            ["ip", "netns", "exec", place, sys.executable, *program],
            stdout=out,
            stderr=out,
            env={**os.environ, "LD_LIBRARY_PATH": str(config)},
        )
        try:
            wait_for(lambda: "gateway.started" in log.read_text(), log)
            yield process, log
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_for(holds: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def workers(monitor: int) -> list[int]:
    """The children of the gateway's process."""
    children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    return [int(one) for one in children]


def words(folder: Path) -> tuple[str, ...]:
    return str(folder / "gateway.toml"), str(folder), str(folder / "gateway.sock")


@pytest.mark.root
def test_a_captured_worker_can_open_nothing_start_nothing_and_reach_nobody(tmp_path: Path) -> None:
    with running(tmp_path, str(HERE / "hostile_gateway.py"), *words(tmp_path)) as (_, log):
        wait_for(lambda: "TRIED" in log.read_text(), log)
        line = next(line for line in log.read_text().splitlines() if line.startswith("TRIED"))
    tried = json.loads(line.removeprefix("TRIED "))
    assert f"read {tmp_path / 'gateway.toml'}" in tried
    assert len(tried) >= 12
    assert {what: how for what, how in tried.items() if how == "succeeded"} == {}
    assert "the group key" not in log.read_text()


@pytest.mark.root
def test_the_same_attempts_succeed_without_confinement(tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    (tmp_path / "gateway.toml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, str(HERE / "hostile_worker.py")],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "gateway.toml")},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    tried = json.loads(done.stderr.removeprefix("TRIED "))
    failed = {what for what, how in tried.items() if how != "succeeded"}
    # A debugger may be forbidden by the machine itself (yama).
    assert failed <= {"debug the monitor", "read the monitor's memory"}


@pytest.mark.root
def test_a_worker_that_dies_is_followed_by_another_one(tmp_path: Path) -> None:
    config, state, control = words(tmp_path)
    places = ("--state-dir", state, "--socket", control)
    program = ("-m", "culvert", "gateway", "run", "-c", config, *places)
    with running(tmp_path, *program) as (process, log):
        (first,) = workers(process.pid)
        status = Path(f"/proc/{first}/status").read_text()
        assert "Seccomp:\t2" in status
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t0" not in status
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: "gateway.worker-started" in log.read_text(), log)
        (second,) = workers(process.pid)
        assert second != first
        answer = subprocess.run(
            [sys.executable, "-m", "culvert", "gateway", "sessions", "--json"],
            env={**os.environ, "CULVERT_STATE_DIR": state, "CULVERT_SOCKET": control},
            capture_output=True,
            check=True,
        )
        assert json.loads(answer.stdout)["sessions"] == []
    assert not Path(f"/proc/{second}").exists()


@pytest.mark.root
def test_a_worker_outlives_its_monitor_by_no_moment(tmp_path: Path) -> None:
    config, state, control = words(tmp_path)
    places = ("--state-dir", state, "--socket", control)
    program = ("-m", "culvert", "gateway", "run", "-c", config, *places)
    with running(tmp_path, *program) as (process, log):
        (worker,) = workers(process.pid)
        process.kill()
        process.wait(PATIENCE)
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), log)
