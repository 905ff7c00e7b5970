"""A file that only its owner may read, with an end: key logs, captures and records."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent

MODE = 0o600


class PrivateFile:
    """Written from the start, up to ``most`` octets; then, or if the disk is full, it ends with an
    event. What is written at a time stays together. Raises PlatformError if it cannot be made.
    ``inherited``: its descriptor, from a process that has made it. ``kept``: what it holds already
    is not written over."""

    def __init__(
        self,
        path: Path,
        most: int,
        record: Callable[[LogEvent], None],
        inherited: int | None = None,
        *,
        kept: bool = False,
    ) -> None:
        self._path = path
        self._left = most
        self._record = record
        self._file = _opened(path, kept=kept) if inherited is None else inherited

    def write(self, octets: bytes) -> bool:
        """Whether the file still takes more."""
        if self._file < 0:
            return False
        if len(octets) > self._left:
            self.end("it has its full length")
            return False
        try:
            os.write(self._file, octets)
        except OSError as error:
            self.end(error.strerror or str(error))
            return False
        self._left -= len(octets)
        return True

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        """Closing twice is normal."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def end(self, why: str) -> None:
        """Nothing more is written, and the log says why."""
        self.close()
        self._record(LogEvent("service.file-ended", {"path": str(self._path), "why": why}))


def _opened(path: Path, *, kept: bool) -> int:
    """Open for nobody else, whatever was there: no link is followed, no foreign file kept."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, MODE)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(file)
        raise _unwritable(path, "it is there already and is no plain file of this user's")
    if kept and found.st_size:
        os.close(file)
        raise PlatformError(
            f"{path} is there already, and a record is not written over",
            action="Name another file, or remove this one first.",
        )
    os.fchmod(file, MODE)
    os.ftruncate(file, 0)
    return file


def _unwritable(path: Path, why: str) -> PlatformError:
    return PlatformError(
        f"{path} cannot be written: {why}",
        action="Name another file, in a directory that is there and that this user may write to.",
    )
