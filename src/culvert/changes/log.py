"""The undo log of one owner: a file of JSON lines, written before the machine is touched.

    {"owner": {…}}                                        first line, names who
    {"number": 1, "scope": "work", "plan": {…}}           will be made; on the disk before it is
    {"number": 1, "made": true}                           has been made
    {"number": 1, "amend": {…}}                           what undoes it has changed
    {"number": 1, "undone": true}                         needs no undoing any more

A line that a crash cut short is the last one, and what it announced has not happened yet. Plans
and amendments are forced to the disk; the other marks only spare work that does no harm when done
twice. When nothing is left to undo the file is removed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from culvert.changes.change import Change, DamagedRecord, parse_record, to_record
from culvert.changes.owner import Owner, parse_owner
from culvert.errors import PlatformError

SUFFIX = ".changes"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change in the log. ``scope``: whose sake it is for, undone together."""

    number: int
    scope: str
    change: Change
    made: bool = False


class ChangeLog:
    """What one owner has done to this machine and has not undone yet, oldest first."""

    def __init__(
        self, path: Path, owner: Owner, entries: Iterable[Entry] = (), *, size: int = 0
    ) -> None:
        self.path = path
        self.owner = owner
        self._entries = {entry.number: entry for entry in entries}
        self._next = max(self._entries, default=0) + 1
        self._descriptor = -1
        self._size = size  # octets of whole lines; what stands behind them is torn

    @classmethod
    def of(cls, directory: Path, owner: Owner) -> ChangeLog:
        """The log of a living owner; its file appears with the first plan."""
        path = directory / f"{owner.boot[:8]}-{owner.started}-{owner.pid}{SUFFIX}"
        return load(path)[0] if path.exists() else cls(path, owner)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def in_scope(self, scope: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.scope == scope)

    def plan(self, scope: str, changes: Iterable[Change]) -> tuple[Entry, ...]:
        """Write down what will be made; on return it is on the disk. Raises `PlatformError`."""
        first = self._next
        planned = tuple(Entry(first + at, scope, change) for at, change in enumerate(changes))
        if not planned:
            return ()
        self._append(
            *(
                {"number": entry.number, "scope": scope, "plan": to_record(entry.change)}
                for entry in planned
            ),
            forced=True,
        )
        self._entries |= {entry.number: entry for entry in planned}
        self._next += len(planned)
        return planned

    def made(self, entry: Entry) -> None:
        self._entries[entry.number] = replace(self._entries[entry.number], made=True)
        self._mark({"number": entry.number, "made": True})

    def amend(self, entry: Entry, change: Change) -> None:
        """What undoes this entry has changed; on return it is on the disk."""
        self._append({"number": entry.number, "amend": to_record(change)}, forced=True)
        self._entries[entry.number] = replace(self._entries[entry.number], change=change)

    def undone(self, entry: Entry) -> None:
        """Forget the entry; with the last one the file goes."""
        del self._entries[entry.number]
        if self._entries:
            self._mark({"number": entry.number, "undone": True})
        else:
            self.close()
            self.path.unlink(missing_ok=True)
            self._size = 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _mark(self, line: Mapping[str, object]) -> None:
        try:
            self._append(line, forced=False)
        except PlatformError:
            # A full disk must not keep us from undoing; without the mark it is undone twice.
            return

    def _append(self, *lines: Mapping[str, object], forced: bool) -> None:
        try:
            if self._descriptor < 0:
                self._open()
            self._write(*lines)
            if forced:
                os.fsync(self._descriptor)
        except OSError as error:
            if not self._size:
                self.close()  # not even its first line stands: begin anew next time
            raise PlatformError(
                f"the undo log {self.path} cannot be written: {error.strerror}",
                action="nothing was changed; make room or permission for it and try again",
            ) from error

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        if self._size:
            self._descriptor = os.open(self.path, flags)
            os.ftruncate(self._descriptor, self._size)
            return
        directory = self.path.parent
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(directory):
            self._descriptor = os.open(self.path, flags | os.O_CREAT | os.O_TRUNC, 0o600)
            self._write({"owner": self.owner.to_record()})
            _force_directory(directory)

    def _write(self, *lines: Mapping[str, object]) -> None:
        """All or nothing, as far as we live: a line cut by a full disk would hide the next one."""
        octets = b"".join(_line(line) for line in lines)
        written = 0
        try:
            while written < len(octets):
                written += os.write(self._descriptor, octets[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += written


def load(path: Path) -> tuple[ChangeLog, tuple[str, ...]]:
    """A log as its file tells it, with what was damaged in it. Raises `DamagedRecord`, `OSError`.

    Only a first line that names no owner makes a file useless: then nothing after it happened.
    """
    return told(path, path.read_bytes())


def told(path: Path, octets: bytes) -> tuple[ChangeLog, tuple[str, ...]]:
    """The log that these octets of a file tell. Raises `DamagedRecord`."""
    whole = octets[: octets.rfind(b"\n") + 1]
    lines = whole.splitlines()
    if not lines:
        raise DamagedRecord("no line")
    owner = parse_owner(_parse_line(lines[0]).get("owner"))
    entries: dict[int, Entry] = {}
    damaged: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        try:
            _follow(entries, _parse_line(line))
        except DamagedRecord as error:
            damaged.append(f"{path}:{number}: {error}")
    return ChangeLog(path, owner, entries.values(), size=len(whole)), tuple(damaged)


def _follow(entries: dict[int, Entry], line: Mapping[str, object]) -> None:
    number = line.get("number")
    if not isinstance(number, int):
        raise DamagedRecord("no number")
    if "plan" in line:
        entries[number] = Entry(number, str(line.get("scope")), parse_record(line["plan"]))
        return
    entry = entries.get(number)
    if entry is None:
        raise DamagedRecord(f"no plan {number}")
    if "amend" in line:
        entries[number] = replace(entry, change=parse_record(line["amend"]))
    elif "undone" in line:
        del entries[number]
    elif "made" in line:
        entries[number] = replace(entry, made=True)
    else:
        raise DamagedRecord("neither plan nor mark")


def _parse_line(line: bytes) -> Mapping[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedRecord("not JSON") from error
    if not isinstance(record, dict):
        raise DamagedRecord("not an object")
    return cast("Mapping[str, object]", record)


def _line(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


@contextmanager
def alone(directory: Path) -> Generator[None]:
    """Nobody else begins a log or undoes leftovers here meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _force_directory(directory: Path) -> None:
    """The name of a new file is on the disk when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
