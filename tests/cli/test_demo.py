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

import pytest

from culvert.cli.demo import TITLES
from culvert.lab.lab import STATE_ROOT

LINE = (sys.executable, "-m", "culvert", "demo")
UNDER_WAY = "4  What the PAT sees"


def play(*words: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*before, *LINE, *words), capture_output=True, text=True, check=False, timeout=60
    )


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


def left_behind() -> Sequence[str]:
    """Namespaces, states and temporary folders of a demo."""
    places = (Path("/run/netns"), Path("/etc/netns"), STATE_ROOT, Path("/tmp"))  # noqa: S108
    return [
        str(one)
        for place in places
        if place.is_dir() and os.access(place, os.R_OK)
        for one in place.iterdir()
        if re.match(r"demo\d|culvert-demo-", one.name)
    ]


@pytest.mark.timeout(90)
def test_over_a_simulated_network_it_shows_every_act_and_says_where_it_is_played() -> None:
    done = play("--simulated")
    assert done.returncode == 0, done.stderr
    assert "simulated in this process" in done.stdout
    check_told(done.stdout)
    assert left_behind() == []


@pytest.mark.root
@pytest.mark.timeout(90)
def test_without_root_it_simulates_by_itself() -> None:
    # In a user namespace of its own a process has no user id but reads what its owner may read.
    done = play(before=("unshare", "--user"))
    assert done.returncode == 0, done.stderr
    assert "Without root" in done.stdout
    check_told(done.stdout)


@pytest.mark.root
@pytest.mark.timeout(90)
def test_as_root_it_shows_every_act_with_real_packets_and_takes_all_away() -> None:
    began = time.monotonic()
    done = play()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert time.monotonic() - began < 60
    assert "network namespaces of this machine" in done.stdout
    check_told(done.stdout)
    assert left_behind() == []


@pytest.mark.root
@pytest.mark.timeout(90)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_in_the_middle_it_takes_all_away_as_well(number: signal.Signals, status: int) -> None:
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
    assert left_behind() == []
