"""A daemon with all that it started, and the processor's time they took, from /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> tuple[int, ...]:
    """The process and all below it."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return ()
    return (pid, *(one for child in below for one in family(int(child))))


def spent(pids: Sequence[int]) -> float:
    """Seconds, of user and system."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def busy() -> float:
    """Processor seconds of this machine since it began, all that is not idle."""
    fields = Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]
    return (sum(map(int, fields)) - int(fields[3]) - int(fields[4])) / TICKS
