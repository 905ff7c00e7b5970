"""Undoing what dead owners left: at the start of a service, and by hand (``culvert repair``).

A living owner's log is never touched. What a reboot has undone already is only struck out; files
are not among it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from culvert.changes.change import Change, DamagedRecord, FileReplaced
from culvert.changes.executor import Acts, Undone, undo
from culvert.changes.log import SUFFIX, ChangeLog, alone, load
from culvert.changes.owner import boot_id, network_namespace
from culvert.errors import PlatformError


@dataclass(frozen=True, slots=True)
class _AfterReboot:
    """Acts for a log of an earlier boot: everything but files went with that boot."""

    acts: Acts

    def make(self, change: Change) -> bool:
        return self.acts.make(change)

    def undo(self, change: Change) -> str:
        return self.acts.undo(change) if isinstance(change, FileReplaced) else ""


def recover(directory: Path, acts: Acts) -> Undone:
    """Undo everything that dead owners left over in ``directory``.

    Safe to be killed in, and to be run twice at once: the second waits for the first.
    """
    if not directory.is_dir():
        return Undone()
    with alone(directory):
        logs = sorted(directory.glob(f"*{SUFFIX}"))
        return sum((_recover_one(path, acts) for path in logs), Undone())


def leftovers(directory: Path) -> tuple[ChangeLog, ...]:
    """The logs of dead owners, for showing them without undoing anything."""
    found: list[ChangeLog] = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            log, _ = load(path)
        except (OSError, DamagedRecord):
            continue
        if not log.owner.is_alive():
            found.append(log)
    return tuple(found)


def _recover_one(path: Path, acts: Acts) -> Undone:
    try:
        log, damaged = load(path)
    except FileNotFoundError:
        return Undone()  # its owner has just undone the last of it
    except DamagedRecord:
        return _no_owner(path)
    except OSError as error:
        raise PlatformError(
            f"the undo log {path} cannot be read: {error.strerror}",
            action="run as root",
        ) from error
    if log.owner.is_alive():
        return Undone()
    rebooted = log.owner.boot != boot_id()
    if not rebooted and log.owner.namespace != network_namespace():
        return Undone(
            failed=(f"{path}: changes in another network namespace; repair from inside it",)
        )
    try:
        undone = undo(log, _AfterReboot(acts) if rebooted else acts)
    finally:
        log.close()
    if not log.entries:
        path.unlink(missing_ok=True)  # an owner that died before or after its last change
    return undone + Undone(notes=damaged)


def _no_owner(path: Path) -> Undone:
    """No first line: its owner died before anything happened. (A living one holds the lock
    until the line is there.)"""
    if b"\n" not in path.read_bytes():
        path.unlink(missing_ok=True)
        return Undone()
    kept = path.with_suffix(".damaged")
    path.replace(kept)
    return Undone(notes=(f"an undo log without an owner was put aside as {kept}",))
