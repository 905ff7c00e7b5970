"""The state directory: made, or why it cannot be, with what to do about each cause."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from culvert.errors import PlatformError

FOLDER_MODE = 0o755
"""The control socket may lie here, which more people reach than may read the log."""

OTHER = "name another one with --state-dir"


def make(state: Path) -> None:
    """Raises PlatformError."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    except OSError as error:
        raise unusable(state, error) from error
    look(state)


def look(state: Path) -> None:
    """Could it be made, and files in it? Nothing is changed. Raises PlatformError if not."""
    there = next(one for one in (state, *state.parents) if os.path.lexists(one))
    try:
        if not there.is_dir():
            raise OSError(errno.EEXIST if there == state else errno.ENOTDIR, "")
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, "")
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            raise OSError(errno.EACCES, "")
    except OSError as error:
        raise unusable(state, error) from error


def unusable(state: Path, error: OSError) -> PlatformError:
    """``error`` came of ``state`` or of a file in it."""
    number = error.errno or 0
    return PlatformError(
        f"the state directory {state} cannot be used: {os.strerror(number).lower()}",
        action=_cure(number),
    )


def _cure(number: int) -> str:
    match number:
        case errno.EEXIST | errno.ENOTDIR:
            return f"Something that is no directory is in its place: move it away, or {OTHER}."
        case errno.EROFS:
            return f"Mount that file system writable, or {OTHER}."
        case errno.ENOSPC | errno.EDQUOT:
            return f"Make room there, or {OTHER}."
        case errno.EACCES | errno.EPERM if os.geteuid() != 0:
            return f"Run as root, or {OTHER}."
        case errno.EACCES | errno.EPERM:
            return f"Something keeps even root out (chattr +i, a missing capability); {OTHER}."
        case _:
            return f"{OTHER[0].upper()}{OTHER[1:]}."
