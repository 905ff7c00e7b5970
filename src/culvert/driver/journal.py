"""Journal: gives every event of a daemon its time, and writes the event log to files.

The files are written whoever else listens or does not, from the first moment of a start.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from culvert.driver.clock import boottime
from culvert.driver.places import Places
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.filter import Filter
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.severity import FAULT

LARGEST_FILE = 16 << 20
"""Octets of one event log file; then it becomes the older one, and the one before that goes."""

LOG_LEVEL = 7
"""The finest severity that goes into the file: steps of a dialogue, but no single messages."""

FILE_MODE = 0o640
"""The log names users and addresses: for root and the service's group."""


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The event log of one process, with its files in ``where.state``.

    ``gid``: the group that may read the files, -1 for none.
    """

    def __init__(
        self,
        where: Places,
        *,
        gid: int = -1,
        clock: Callable[[], float] = boottime,
        wall: Callable[[], datetime] = wall_clock,
    ) -> None:
        where.state.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.log = EventLog()
        self._clock = clock
        self._wall = wall
        self._events = LogFile(where.events, gid=gid)
        self._faults = LogFile(where.faults, gid=gid)
        self.log.attach(self._write_fault, Filter(severity_to=FAULT))
        self.log.attach(self._write, Filter(severity_to=LOG_LEVEL))

    def record(self, event: LogEvent) -> None:
        self.log.record(event, at=self._wall(), now=self._clock())

    def tagged(self, connection: str) -> Callable[[LogEvent], None]:
        """Like `record`, for everything that happens to one connection."""
        return lambda event: self.record(event.with_fields(connection=connection))

    def show_on(self, stream: TextIO, *, level: int = LOG_LEVEL) -> None:
        """Print every entry up to ``level`` to ``stream`` as it happens."""
        self.log.attach(
            lambda entry: _print(entry, stream),
            Filter(severity_to=level),
        )

    def close(self) -> None:
        self._events.close()
        self._faults.close()

    def _write(self, entry: Entry) -> None:
        self._events.append(json_lines.render(entry))

    def _write_fault(self, entry: Entry) -> None:
        self._faults.append(own.render(entry))
        if todo := own.action(entry):
            self._faults.append(f"  {todo}")


class LogFile:
    """Lines appended to a file of bounded size. A full disk loses lines, never the process."""

    def __init__(self, path: Path, *, gid: int = -1, largest: int = LARGEST_FILE) -> None:
        self._path = path
        self._gid = gid
        self._largest = largest
        self._descriptor = -1
        self._size = 0

    def append(self, line: str) -> None:
        octets = line.encode("utf-8", "backslashreplace") + b"\n"
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                self._open()
            elif self._size + len(octets) > self._largest:
                self._turn_over()
            self._size += os.write(self._descriptor, octets)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, FILE_MODE)
        self._size = os.fstat(self._descriptor).st_size
        if self._gid >= 0:
            os.fchown(self._descriptor, -1, self._gid)

    def _turn_over(self) -> None:
        self.close()
        self._path.replace(older(self._path))
        self._open()


def older(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def written(where: Places) -> Iterator[Entry]:
    """What the files of a daemon hold, oldest first, for when it is not running."""
    for path in (older(where.events), where.events):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as lines:
            yield from json_lines.read(lines)[0]


def _print(entry: Entry, stream: TextIO) -> None:
    stream.write(own.render(entry) + "\n")
    stream.flush()
