"""The worker: what it can do when captured, what its death costs, what a monitor takes from it."""

from __future__ import annotations

import contextlib
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


def processes(monitor: int, module: str) -> list[int]:
    """The children of the gateway's process that run this module."""
    children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    name = f"culvert.gateway.{module}".encode()
    return [int(one) for one in children if name in Path(f"/proc/{one}/cmdline").read_bytes()]


def workers(monitor: int) -> list[int]:
    return processes(monitor, "worker")


def words(folder: Path) -> tuple[str, ...]:
    return str(folder / "gateway.toml"), str(folder), str(folder / "gateway.sock")


@pytest.mark.root
@pytest.mark.parametrize("captured", ["worker", "vault"])
def test_a_captured_process_can_open_nothing_start_nothing_and_reach_nobody(
    tmp_path: Path, captured: str
) -> None:
    program = (str(HERE / "hostile_gateway.py"), captured, *words(tmp_path))
    with running(tmp_path, *program) as (_, log):
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


@pytest.mark.root
def test_keys_and_passwords_are_in_the_vault_alone(tmp_path: Path) -> None:
    """Of the monitor only that it keeps none: what it read at its start may still be in memory that
    was given back."""
    config, state, control = words(tmp_path)
    places = ("--state-dir", state, "--socket", control)
    program = ("-m", "culvert", "gateway", "run", "-c", config, *places)
    with running(tmp_path, *program) as (process, _):
        (vault,) = processes(process.pid, "vault_process")
        status = Path(f"/proc/{vault}/status").read_text()
        assert "Seccomp:\t2" in status
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t0" not in status
        (worker,) = workers(process.pid)
        secret = b"the group key that no worker may read"
        assert secret in memory(vault)
        assert secret not in memory(worker)


def memory(pid: int) -> bytes:
    """What a process can write to: heap, stacks, private mappings."""
    found: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as stream:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            places, rights, *_ = line.split()
            begin, end = (int(one, 16) for one in places.split("-"))
            if rights.startswith("rw") and "[v" not in line:
                stream.seek(begin)
                with contextlib.suppress(OSError):
                    found.append(stream.read(end - begin))
    return b"".join(found)


@pytest.mark.root
def test_a_vault_that_dies_takes_the_gateway_to_a_cold_start(tmp_path: Path) -> None:
    config, state, control = words(tmp_path)
    places = ("--state-dir", state, "--socket", control)
    program = ("-m", "culvert", "gateway", "run", "-c", config, *places)
    with running(tmp_path, *program) as (process, log):
        (vault,) = processes(process.pid, "vault_process")
        os.kill(vault, signal.SIGKILL)
        wait_for(lambda: log.read_text().count("gateway.started") == 2, log)
        assert "gateway.vault-lost" in log.read_text()
        (other,) = processes(process.pid, "vault_process")
        assert other != vault
