"""A program started in a lab and left running: its log, its pid on file, its end.

The pid file outlives us, so that a lab can be taken down by another process than made it.
"""

from __future__ import annotations

import os
import signal
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
    is_child: bool = False
    _status: int | None = field(default=None, init=False, repr=False)

    @property
    def alive(self) -> bool:
        if self.is_child:
            return self.status is None
        return not is_zombie(self.pid)

    @property
    def status(self) -> int | None:
        """Exit status of a child of ours that ended (-N: by signal N); None while it runs."""
        if self.is_child and self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

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
    """Start ``command`` (its first word a path) in a session of its own, output to a log."""
    log = folder / f"{name}.log"
    # Not a Popen: a lab that stays up outlives the process that made it.
    pid = os.posix_spawn(
        command[0],
        list(command),
        {**os.environ, **(env or {})},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    pid_file = folder / f"{name}.pid"
    pid_file.write_text(f"{pid} {started_at(pid)}\n", "ascii")
    return Spawned(name, pid, log, pid_file, is_child=True)


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
