"""What idle sessions cost a running gateway: memory and processor time, read from /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from culvert.secret import Secret
from culvert.vault.password import Argon2id, FastHash
from netio.namespaces import namespace

pytestmark = pytest.mark.root

MEGABYTE = 1_000_000
MOST_MEMORY = 300 * MEGABYTE
MOST_OF_A_CORE = 0.02
MOST_OF_EACH = 40 * 1024
MOST_OF_A_CORE_FOR_TEN_THOUSAND = 0.20

GATEWAY = "127.0.0.1"
USER, PASSWORD = "alice", "the password of the whole crowd"
GROUP_KEY = "a group key of the soak"
Scheme = type[Argon2id] | type[FastHash]
CROWD = Path(__file__).with_name("crowd.py")
SETTLING = 5.0  # seconds from the last login to the first sample
BETWEEN_SAMPLES = 1.0
STARTING = 20.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What was seen of the gateway over ``seconds``."""

    seconds: float
    memory: int  # octets resident, at most
    of_a_core: float
    questions: int  # that the clients answered since they came up
    up: int  # at the end, as the clients say
    listed: int  # at the end, as the gateway says
    of_each: int  # octets more than before the first, by their number

    def __str__(self) -> str:
        return (
            f"{self.listed} idle sessions over {self.seconds:.0f} s: "
            f"{self.memory / MEGABYTE:.0f} MB, {self.of_each / 1024:.1f} KiB each, "
            f"{self.of_a_core:.2%} of one core, "
            f"{self.questions} DPD questions answered"
        )


@pytest.mark.timeout(120)
def test_fifty_idle_sessions_cost_a_gateway_next_to_nothing(tmp_path: Path) -> None:
    cost = measured(tmp_path, sessions=50, seconds=20.0, dpd=5)
    check(cost, sessions=50, asked=3)


@pytest.mark.soak
def test_a_thousand_idle_sessions_cost_a_gateway_little(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cost = measured(tmp_path, sessions=1000, seconds=300.0, dpd=30)
    print(cost)
    record_property("figures", str(cost))
    check(cost, sessions=1000, asked=9)


@pytest.mark.soak
def test_ten_thousand_idle_sessions_stay_small_and_alive(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cost = measured(tmp_path, sessions=10_000, seconds=90.0, dpd=30, scheme=FastHash)
    print(cost)
    record_property("figures", str(cost))
    assert cost.up == cost.listed == 10_000, cost
    assert cost.questions >= 20_000, cost
    assert cost.of_each <= MOST_OF_EACH, cost
    assert cost.of_a_core < MOST_OF_A_CORE_FOR_TEN_THOUSAND, cost


def check(cost: Cost, *, sessions: int, asked: int) -> None:
    """Nobody was lost, everybody was asked ``asked`` times, and it cost less than the bars."""
    assert cost.up == cost.listed == sessions, cost
    assert cost.questions >= sessions * asked, cost
    assert cost.memory < MOST_MEMORY, cost
    assert cost.of_a_core < MOST_OF_A_CORE, cost


def measured(
    folder: Path, *, sessions: int, seconds: float, dpd: int, scheme: Scheme = Argon2id
) -> Cost:
    with namespace("idle") as place, gateway(folder, place, sessions, dpd, scheme) as process:
        empty = resident(process.pid)
        command = [*within(place), sys.executable, str(CROWD), GATEWAY, str(sessions)]
        crowd = subprocess.Popen(
            [*command, GROUP_KEY, USER, PASSWORD], stdout=subprocess.PIPE, text=True
        )
        try:
            assert crowd.stdout is not None
            assert crowd.stdout.readline() == "up\n"
            time.sleep(SETTLING)
            began, before = time.monotonic(), processor_seconds(process.pid)
            memory = 0
            while (passed := time.monotonic() - began) < seconds:
                memory = max(memory, resident(process.pid))
                time.sleep(min(BETWEEN_SAMPLES, seconds - passed))
            of_a_core = (processor_seconds(process.pid) - before) / (time.monotonic() - began)
            listed = len(sessions_of(folder))
            crowd.terminate()
            told = json.loads(crowd.communicate(timeout=STARTING)[0])
        finally:
            crowd.kill()
            crowd.communicate()
    of_each = (memory - empty) // sessions
    return Cost(seconds, memory, of_a_core, told["questions"], told["up"], listed, of_each)


@contextmanager
def gateway(
    folder: Path, place: str, sessions: int, dpd: int, scheme: Scheme
) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "gateway.toml"
    config.touch(mode=0o600)
    config.write_text(
        f"""\
[gateway]
lan = ["192.168.2.0/24"]
legacy = ["aggressive-psk", "fast-hash"]
session_limit = {sessions}
dpd_delay = {dpd}
[users]
backend = "{"fast-hash" if scheme is FastHash else "local"}"
[[pool]]
name = "clients"
addresses = ["10.64.0.0/16"]
[[group]]
name = "staff"
key = "{GROUP_KEY}"
split_include = ["192.168.2.0/24"]
[[user]]
name = "{USER}"
password_hash = "{scheme().hash(Secret(PASSWORD))}"
groups = ["staff"]
""",
        "utf-8",
    )
    words = ["gateway", "run", "-c", str(config), "--state-dir", str(folder)]
    socket = ["--socket", str(folder / "gateway.sock")]
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [*within(place), sys.executable, "-m", "culvert", *words, *socket],
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + STARTING
        while "gateway.started" not in (said := (folder / "gateway.log").read_text("utf-8")):
            assert process.poll() is None and time.monotonic() < end, said
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STARTING)
        finally:
            process.kill()


def within(place: str) -> list[str]:
    return ["ip", "netns", "exec", place]


def sessions_of(folder: Path) -> list[object]:
    """Rows of `culvert gateway sessions --json`."""
    done = subprocess.run(
        [sys.executable, "-m", "culvert", "gateway", "sessions", "--json"],
        env={
            **os.environ,
            "CULVERT_STATE_DIR": str(folder),
            "CULVERT_SOCKET": str(folder / "gateway.sock"),
        },
        capture_output=True,
        check=True,
    )
    rows: list[object] = json.loads(done.stdout)["sessions"]
    return rows


def family(pid: int) -> list[int]:
    """The gateway's monitor and its worker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [pid, *map(int, children)]


def processor_seconds(pid: int) -> float:
    """Of both, all threads, in user and kernel mode (proc(5), fields 14 and 15 of stat)."""
    ticks = 0
    for one in family(pid):
        after_name = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Octets in memory of both (proc(5), VmRSS of status); what they share counts twice."""
    return sum(map(_resident, family(pid)))


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return int(value.split()[0]) * 1024
    raise AssertionError(f"process {pid} has no memory")
