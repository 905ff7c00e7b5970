"""Files that the event log is written to: session log, fault log, rotating log; and a stream.

Writing never raises: a full disk must not take a tunnel with it. What could not be written is
counted, and the file says so as soon as it can be written again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self, TextIO

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.severity import journal_priority
from culvert.eventlog.wording import time_text

FILE_MODE = 0o640
FOLDER_MODE = 0o750

ROTATE_OCTETS = 16 * 1024 * 1024
ROTATE_KEEP = 4
"""Five files of 16 MiB: some 400,000 events, weeks of a gateway at its usual level."""

FAULT_OCTETS = 1024 * 1024
"""Faults are few; two files of this size hold thousands."""

SESSION_OCTETS = 64 * 1024 * 1024
"""A session writes about 1 MB per day. One that is flooded stops here, and its log says so."""

SESSION_LOGS = 200
"""Session logs kept in the folder; the oldest give way."""

SESSION_NAME = re.compile(r"^Log-\d{4}(?:-\d\d){5}(?:-\d+)?\.txt$")

Render = Callable[[Entry], str]


class EventFile:
    """Appends lines to a file, and moves it to ``.1``, ``.2`` … when it has grown to its limit.

    With ``keep`` 0 it ends at the limit instead, with a line that says so.
    """

    def __init__(
        self,
        path: Path,
        render: Render = own.render,
        *,
        limit: int = ROTATE_OCTETS,
        keep: int = ROTATE_KEEP,
    ) -> None:
        self.path = path
        self.lost = 0
        """Lines that could not be written since the last one that could."""
        self._render = render
        self._limit = limit
        self._keep = keep
        self._file = -1
        self._size = 0
        self._full = False

    def write(self, entry: Entry) -> None:
        """Append the entry: the sink to attach to an event log."""
        self.append(self._render(entry))

    def append(self, line: str) -> None:
        """Append one line (or several; they stay together)."""
        if self._full:
            return
        octets = f"{line}\n".encode("utf-8", "backslashreplace")
        try:
            self._room_for(len(octets))
            if not self._full:
                self._write(octets)
        except OSError:
            self.lost += 1
            self.close()

    def close(self) -> None:
        """Give the file back; the next line opens it again."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, octets: bytes) -> None:
        if self._file < 0:
            self._open()
        if self.lost:
            octets = f"({self.lost} entries could not be written)\n".encode() + octets
        written = os.write(self._file, octets)
        self._size += written
        if written < len(octets):
            raise OSError("the disk took only a part of the line")
        self.lost = 0

    def _open(self) -> None:
        self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._file = opened(self.path)
        self._size = os.fstat(self._file).st_size

    def _room_for(self, count: int) -> None:
        if self._file < 0:
            self._open()
        if self._size == 0 or self._size + count <= self._limit:
            return
        if self._keep == 0:
            self._write(f"(this file has reached its limit of {self._limit} octets)\n".encode())
            self._full = True
            self.close()
            return
        self.close()
        for number in range(self._keep, 0, -1):
            older = aged(self.path, number - 1)
            if older.exists():
                older.replace(aged(self.path, number))
        self._open()


class StreamSink:
    """Entries as lines on a stream. ``journal``: as journald wants them (it stamps them itself)."""

    def __init__(self, stream: TextIO, *, journal: bool = False) -> None:
        self._stream = stream
        self._journal = journal
        self.lost = 0

    def write(self, entry: Entry) -> None:
        line = own.render(entry)
        if self._journal:
            line = f"<{journal_priority(entry.row.severity)}>{own.brief(entry)}"
        try:
            print(line, file=self._stream, flush=True)
        except (OSError, ValueError):
            # The reader went away (ValueError: the stream is closed); the service stays.
            self.lost += 1


def session_log(folder: Path, began: datetime) -> EventFile:
    """A new ``Log-yyyy-MM-dd-hh-mm-ss.txt`` named after the local time ``began``.

    A second one in the same second gets ``-2`` before ``.txt``, and so on. Raises OSError if the
    folder cannot be written to.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    stem = f"Log-{began.astimezone():%Y-%m-%d-%H-%M-%S}"
    number = 1
    while True:
        path = folder / (f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            os.close(opened(path, os.O_EXCL))
        except FileExistsError:
            number += 1
            continue
        _forget_oldest(folder)
        return EventFile(path, limit=SESSION_OCTETS, keep=0)


def fault_log(path: Path) -> EventFile:
    """faultlog.txt, for entries of severity 1."""
    return EventFile(path, fault_text, limit=FAULT_OCTETS, keep=1)


def fault_text(entry: Entry) -> str:
    """Time, module, event id; then what happened and what to do."""
    lines = [
        f"{time_text(entry.at)} {entry.row.event_class} {entry.code}",
        f"    {own.text(entry)}",
    ]
    if action := own.action(entry):
        lines.append(f"    What to do: {action}")
    return "\n".join(lines)


def read_entries(path: Path, keep: int = ROTATE_KEEP) -> tuple[tuple[Entry, ...], int]:
    """What a rotating JSON lines file and its predecessors hold, oldest first; torn lines counted.

    Raises OSError if a file that exists cannot be read.
    """
    return json_lines.read(_lines(path, keep))


def opened(path: Path, more_flags: int = 0) -> int:
    """A descriptor to append to ``path``, which nobody else may read or redirect by a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | more_flags
    return os.open(path, flags, FILE_MODE)


def aged(path: Path, number: int) -> Path:
    """``path`` after ``number`` rotations."""
    return path.with_name(f"{path.name}.{number}") if number else path


def _lines(path: Path, keep: int) -> Iterator[str]:
    for number in range(keep, -1, -1):
        with suppress(FileNotFoundError), aged(path, number).open("rb") as file:
            for line in file:
                yield line.decode("utf-8", "replace")


def _forget_oldest(folder: Path) -> None:
    # By time of writing: "-10.txt" sorts before "-2.txt".
    logs = [path for path in folder.iterdir() if SESSION_NAME.match(path.name)]
    for path in sorted(logs, key=_written)[:-SESSION_LOGS]:
        path.unlink(missing_ok=True)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
