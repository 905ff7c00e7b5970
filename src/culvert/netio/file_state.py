"""Files of the system: seen whole, replaced in one step, put back as they were."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from pathlib import Path

from culvert.changes.change import Absent, Content, FileState, Symlink
from culvert.errors import PlatformError

MAX_OCTETS = 1 << 20
"""A file of settings that is larger is none; it would stand twice in the undo log."""

_NOT_BY_RENAME = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EPERM, errno.EACCES}
"""A file that is a mount point (namespaces, containers) cannot be renamed over."""

MOUNTS = Path("/proc/self/mountinfo")
"""Mounts of this process, one a line; the fifth word is where (proc(5))."""


def see(path: Path) -> FileState:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return Symlink(str(path.readlink()))
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_OCTETS:
            raise PlatformError(f"{path} is not a file of settings", action="look what it is")
        mode = stat.S_IMODE(found.st_mode)
        return Content(path.read_bytes(), mode, found.st_uid, found.st_gid)
    except FileNotFoundError:
        return Absent()
    except OSError as error:
        raise _problem(path, "read", error) from error


def put(path: Path, state: FileState) -> None:
    """Make ``path`` be so: at once by renaming, or in place where it is a mount point."""
    fresh = fresh_path(path)
    try:
        if isinstance(state, Content) and is_mount_point(path):
            _write_in_place(path, state)
            return
        fresh.unlink(missing_ok=True)
        match state:
            case Absent():
                path.unlink(missing_ok=True)
                return
            case Symlink(target=target):
                fresh.symlink_to(target)
            case Content():
                _write(fresh, state)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        if error.errno not in _NOT_BY_RENAME or not isinstance(state, Content):
            raise _problem(path, "written", error) from error
        _write_in_place(path, state)


def is_mount_point(path: Path) -> bool:
    """Whether this very file is mounted, as `ip netns exec` and containers do it.

    Then its folder is that of the whole machine: nothing is prepared there, where another
    namespace's service may prepare the same.
    """
    try:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False  # without /proc the rename is refused
    return any(mount.split()[4:5] == [str(path)] for mount in mounts)


def fresh_path(path: Path) -> Path:
    """Where the next content is prepared. One name, so that a crash leaves no more than one."""
    return path.with_name(f".{path.name}.culvert")


def clear(path: Path) -> None:
    """Remove what a crash left of the next content."""
    if is_mount_point(path):
        return
    try:
        fresh_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise _problem(fresh_path(path), "removed", error) from error


def is_torn(found: FileState, old: FileState, new: FileState) -> bool:
    """Whether writing ``new`` over ``old`` in place could have stopped here."""
    if not (isinstance(found, Content) and isinstance(new, Content)):
        return False
    before = old.octets if isinstance(old, Content) else b""
    pairs = zip(found.octets, new.octets, strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return found.octets[common:] == before[common:]


def _write(fresh: Path, content: Content) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_all(descriptor, content.octets)
        os.fchown(descriptor, content.uid, content.gid)
        os.fchmod(descriptor, content.mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_in_place(path: Path, content: Content) -> None:
    """First over the old text, then cut: a reader never sees an empty file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(descriptor, content.octets)
            os.ftruncate(descriptor, len(content.octets))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _problem(path, "written", error) from error


def _write_all(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]


def _problem(path: Path, what: str, error: OSError) -> PlatformError:
    return PlatformError(
        f"{path} cannot be {what}: {error.strerror}",
        action="run as root, and check that the file system is not read-only",
    )
