"""How a process of ours ended, in words: the signal or the exit code says more than that it did."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from culvert.driver.channel import ENDED

PATIENCE = 2.0
"""Seconds from the end of its line to the end of the process: an interpreter that comes down by
itself takes some hundredths."""


def kill(process: asyncio.subprocess.Process) -> None:
    """At once, if it still runs. `Process.kill` looks first whether it ended, and by that takes the
    exit code from asyncio, which then knows of 255 alone."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def told(why: str, process: asyncio.subprocess.Process | None) -> str:
    """``why`` its line ended, and of a process that did no more than end: how."""
    if why != ENDED or process is None:
        return why
    try:
        code = await asyncio.wait_for(process.wait(), PATIENCE)
    except TimeoutError:
        return "it closed its line and did not end"
    return f"{ENDED} by {_signal(-code)}" if code < 0 else f"{ENDED} with exit code {code}"


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time one has no name
        return f"signal {number}"
