"""Where the processor's time goes while a stream is carried: shares by part, from perf(1)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

KINDS = (
    ("encryption", r"crypto", r"."),
    ("copies in the kernel", r"kernel", r"copy|memcpy|rep_movs|csum_partial|memset|clear_page"),
    ("the kernel's network and scheduler", r"kernel", r"."),
    ("our batches (C)", r"_batch", r"."),
    ("Python", r"python", r"."),
    ("iperf3 itself", r"iperf", r"."),
)
"""Kind, what its object's name holds, what its symbol holds; the first that fits counts."""
REST = "other libraries"
FREQUENCY = "499"
IDLE = "swapper"
PEER = "iperf3"
ENDS = "gateway", "client"


def recorded(file: Path, seconds: float) -> subprocess.Popen[bytes] | None:
    """perf, writing what all processors do; None where it is not installed."""
    perf = shutil.which("perf")
    if perf is None:
        return None
    words = ["record", "-q", "-F", FREQUENCY, "-e", "cpu-clock", "-a", "-o", str(file)]
    return subprocess.Popen(
        [perf, *words, "--", "sleep", str(seconds)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def shares(
    file: Path, gateway: Sequence[int], client: Sequence[int]
) -> list[tuple[str, str, float]]:
    """Whose it is, of what kind, and its share of the time that was not idle; largest first."""
    words = ["report", "-i", str(file), "--stdio", "--no-children", "-t", "|"]
    told = subprocess.run(
        ["perf", *words, "--sort", "pid,dso,symbol"], capture_output=True, text=True, check=True
    ).stdout
    owners = {**dict.fromkeys(gateway, ENDS[0]), **dict.fromkeys(client, ENDS[1])}
    found = defaultdict[tuple[str, str], float](float)
    for share, process, thing, symbol in _rows(told):
        number, _, name = process.partition(":")
        if name.startswith(IDLE):
            continue
        owner = owners.get(int(number), PEER if name.startswith(PEER) else "the rest")
        found[owner, kind(thing, symbol)] += share
    total = sum(found.values()) or 1.0
    return sorted(
        ((owner, what, share / total) for (owner, what), share in found.items()),
        key=lambda row: -row[2],
    )


def kind(thing: str, symbol: str) -> str:
    for name, of_thing, of_symbol in KINDS:
        if re.search(of_thing, thing) and re.search(of_symbol, symbol):
            return name
    return REST


def _rows(told: str) -> Iterator[tuple[float, str, str, str]]:
    for line in told.splitlines():
        columns = [one.strip() for one in line.split("|")]
        if len(columns) > 3 and columns[0].endswith("%"):
            yield float(columns[0][:-1]), columns[1], columns[2], columns[3].partition(" ")[2]
