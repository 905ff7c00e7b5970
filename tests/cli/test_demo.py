"""`culvert demo` as a process: what it shows, and that nothing of it is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from culvert.cli.demo import TITLES
from culvert.lab.lab import STATE_ROOT

LINE = (sys.executable, "-m", "culvert", "demo")
UNDER_WAY = "4  What the PAT sees"


class Played(NamedTuple):
    process: int
    status: int
    out: str
    err: str


def play(*words: str, before: Sequence[str] = ()) -> Played:
    playing = subprocess.Popen(
        (*before, *LINE, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = playing.communicate(timeout=60)
    finally:
        playing.kill()
    return Played(playing.pid, playing.returncode, out, err)


def acts(said: str) -> Mapping[str, str]:
    """What was shown under each title."""
    parts = re.split(r"^── \d+  (.*?) ─*$", said, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def check_told(said: str) -> None:
    found = acts(said)
    assert len(found) == len(TITLES)
    for title, wanted in zip(found, TITLES, strict=True):
        assert title.startswith(wanted)
    told = list(found.values())
    assert told[1].count("5 of 5 answered") == 2
    assert told[2].count("every octet as sent") == 2
    assert told[2].count("104.9 MB") == 2
    assert len(re.findall(r"Mbit/s", told[2])) == 3
    assert re.search(r"^  4 in use, \d+ most used$", told[3], flags=re.MULTILINE)
    for client in ("10.10.10.2", "10.10.10.3"):
        for port in (500, 4500):
            line = rf"  PAT Global 171\.69\.89\.78\(\d+\) Local {re.escape(client)}\({port}\)"
            assert len(re.findall(line, told[3])) == 1
        assert re.search(rf"inside {re.escape(client)} [0-9a-f]{{4}}\.", told[3])
    for user in ("vpnclient1", "vpnclient2"):
        assert re.search(rf"^  \d +{user} +ciscovpn +40\.1\.1\.[12] +171", told[4], re.MULTILINE)
    assert all("office: up" in one and "AES-256-GCM" in one for one in told[5:7])
    steps = re.findall(r"^ +(\d+) +[\d.]+ s  \S", told[7], flags=re.MULTILINE)
    assert len(steps) >= 23
    assert [int(step) for step in steps] == list(range(1, len(steps) + 1))
    assert re.search(r"client1 says +An administrator of the gateway", told[8])
    assert re.search(r"the gateway says +The session of vpnclient1 ended", told[8])
    assert re.search(r"client2 +up, undisturbed", told[8])
    assert "are as they were before" in told[9]
    assert said.rstrip().endswith("everything this started has been taken away.")
    assert "\x1b" not in said
    assert "\r" not in said


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of the demos that this test starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def left_behind(process: int, temporary: Path) -> Sequence[str]:
    """Namespaces and states of the demo of this process, and its temporary files."""
    name = re.compile(rf"demo{process}\D")
    places = (Path("/run/netns"), Path("/etc/netns"), STATE_ROOT)
    return [
        *(
            str(one)
            for place in places
            if place.is_dir() and os.access(place, os.R_OK)
            for one in place.iterdir()
            if name.match(one.name + "/")
        ),
        *(str(one) for one in temporary.iterdir()),
    ]


@pytest.mark.timeout(90)
def test_over_a_simulated_network_it_shows_every_act_and_says_where_it_is_played(
    temporary: Path,
) -> None:
    done = play("--simulated")
    assert done.status == 0, done.err
    assert "simulated in this process" in done.out
    check_told(done.out)
    assert left_behind(done.process, temporary) == []


@pytest.mark.root
@pytest.mark.timeout(90)
def test_without_root_it_simulates_by_itself() -> None:
    # In a user namespace of its own a process has no user id but reads what its owner may read.
    done = play(before=("unshare", "--user"))
    assert done.status == 0, done.err
    assert "Without root" in done.out
    check_told(done.out)


@pytest.mark.root
@pytest.mark.timeout(90)
def test_as_root_it_shows_every_act_with_real_packets_and_takes_all_away(temporary: Path) -> None:
    began = time.monotonic()
    done = play()
    assert done.status == 0, done.out[-2000:] + done.err
    assert time.monotonic() - began < 60
    assert "network namespaces of this machine" in done.out
    check_told(done.out)
    assert left_behind(done.process, temporary) == []


@pytest.mark.root
@pytest.mark.timeout(90)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_in_the_middle_it_takes_all_away_as_well(
    number: signal.Signals, status: int, temporary: Path
) -> None:
    playing = subprocess.Popen(
        LINE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert playing.stdout is not None
    for line in playing.stdout:
        if UNDER_WAY in line:
            break
    playing.send_signal(number)
    playing.communicate(timeout=30)
    assert playing.returncode == status
    assert left_behind(playing.pid, temporary) == []
