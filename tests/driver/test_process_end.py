"""How a process of ours ended is told by what ended it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from culvert.driver.channel import ENDED
from culvert.driver.process_end import kill, told


def test_who_is_killed_when_it_died_already_keeps_its_own_end() -> None:
    """Asyncio had no turn yet in which to collect it."""

    async def work() -> str:
        if sys.version_info < (3, 12):  # later ones collect so anyhow
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)
        process = await asyncio.create_subprocess_exec("sleep", "60")
        os.kill(process.pid, signal.SIGSEGV)
        while _state(process.pid) != "Z":
            time.sleep(0.001)  # noqa: ASYNC251 - asyncio must not have its turn
        kill(process)
        return await told(ENDED, process)

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    try:
        assert asyncio.run(work()) == f"{ENDED} by signal 11 (SIGSEGV)"
    finally:
        asyncio.set_event_loop_policy(before)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0]
