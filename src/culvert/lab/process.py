"""A program started in a lab and left running: its log, its pid on file, its end.

The pid file outlives us, so that a lab can be taken down by another process than made it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from culvert.errors import PlatformError
from culvert.lab.namespace import POLL, is_zombie

# How long a program gets to end itself before it is killed.
PATIENCE = 5.0


@dataclass(slots=True)
class Spawned:
    """A running program of a lab."""

    name: str
    pid: int
    log: Path
    pid_file: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return not is_zombie(self.pid)

    @property
    def status(self) -> int | None:
        """Exit status of a child of ours that ended; None while it runs or if unknown."""
        return None if self._child is None else self._child.poll()

    @property
    def said(self) -> str:
        """Everything it printed so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def wait_for(self, words: str, *, timeout: float = 10.0) -> str:
        """Wait until it prints ``words``; its log. Raises PlatformError if it ends or is late."""
        end = time.monotonic() + timeout
        while words not in (said := self.said):
            running = self.alive
            if not running and words in self.said:
                break
            if not running or time.monotonic() > end:
                state = "is silent about" if running else "ended without saying"
                raise PlatformError(f"{self.name} {state} {words!r}. Its log:\n{said[-4000:]}")
            time.sleep(POLL)
        return self.said

    def wait(self, *, timeout: float = 10.0) -> bool:
        """Wait for its end; whether it came."""
        end = time.monotonic() + timeout
        while self.alive:
            if time.monotonic() > end:
                return False
            time.sleep(POLL)
        return True

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self.alive:
            os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force after `PATIENCE`, and forget its pid file."""
        self.send(number)
        if not self.wait(timeout=PATIENCE):
            self.send(signal.SIGKILL)
            self.wait(timeout=PATIENCE)
        self.pid_file.unlink(missing_ok=True)


def start(
    name: str, command: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None
) -> Spawned:
    """Start ``command`` in a session of its own, output to ``folder/name.log``."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603  # argument list, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            start_new_session=True,
        )
    pid_file = folder / f"{name}.pid"
    pid_file.write_text(f"{child.pid} {started_at(child.pid)}\n", "ascii")
    return Spawned(name, child.pid, log, pid_file, child)


def started_at(pid: int) -> str:
    """The kernel's start time of a process: tells it from a later one with the same number."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[19]


def on_file(folder: Path) -> list[Spawned]:
    """The programs whose pid files lie in ``folder`` and which still run."""
    found: list[Spawned] = []
    for pid_file in sorted(folder.glob("*.pid")):
        try:
            pid, since = pid_file.read_text("ascii").split()
        except ValueError:  # cut short by a crash
            continue
        if started_at(int(pid)) == since:
            name = pid_file.stem
            found.append(Spawned(name, int(pid), folder / f"{name}.log", pid_file))
    return found
