"""Processes that are to be workers: one waits ready, for a fresh interpreter takes half a second.

Until it has orders it knows nothing and reads nobody.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass

from culvert.driver.confined import handed_down, signals_kept_off
from culvert.driver.process_end import kill

WORKER = (sys.executable, "-m", "culvert.client.worker")


@dataclass(frozen=True, slots=True)
class Born:
    """``line``: where it gets its orders and, later, descriptors."""

    process: asyncio.subprocess.Process
    line: socket.socket

    async def end(self, patience: float) -> None:
        """It ends by itself, or after ``patience`` seconds anyhow."""
        self.line.close()
        try:
            await asyncio.wait_for(self.process.wait(), patience)
        except TimeoutError:
            kill(self.process)
            await self.process.wait()


class Births:
    """On the running loop."""

    def __init__(self) -> None:
        self._next: asyncio.Task[Born] | None = None

    def prepare(self) -> None:
        """Have one ready for the next who wants it."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._bear())

    async def take(self) -> Born:
        """One that waits for its orders. Raises OSError when none can be had."""
        while True:
            self.prepare()
            mine, self._next = self._next, None
            if mine is None:
                continue
            try:
                born = await asyncio.shield(mine)
            except asyncio.CancelledError:
                if self._next is None:
                    self._next = mine
                raise
            if born.process.returncode is None:
                return born
            born.line.close()

    async def close(self) -> None:
        waiting, self._next = self._next, None
        if waiting is not None:
            with suppress(OSError):
                await (await waiting).end(0.0)

    async def _bear(self) -> Born:
        ours, theirs = socket.socketpair()
        try:
            with theirs, signals_kept_off():
                process = await asyncio.create_subprocess_exec(
                    *WORKER,
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdout=asyncio.subprocess.DEVNULL,
                    env=handed_down(),
                )
        except OSError:
            ours.close()
            raise
        return Born(process, ours)
