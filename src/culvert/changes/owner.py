"""Who made a change: one run of one process, on one boot, in one network namespace.

A process id alone comes back; with its start time (field 22 of proc_pid_stat(5), in ticks since
boot) and the boot's id it never does.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from culvert.changes.change import DamagedRecord

_DEAD = {"Z", "X"}
"""States of proc_pid_stat(5) in which a process runs no more: not yet collected by its parent."""


@dataclass(frozen=True, slots=True)
class Owner:
    pid: int
    started: int
    boot: str
    namespace: int

    @classmethod
    def here(cls) -> Owner:
        """The calling process."""
        _, started = _state_and_start(os.getpid()) or ("", 0)
        return cls(os.getpid(), started, boot_id(), network_namespace())

    def is_alive(self) -> bool:
        if self.boot != boot_id():
            return False
        found = _state_and_start(self.pid)
        return found is not None and found[0] not in _DEAD and found[1] == self.started

    def to_record(self) -> dict[str, object]:
        return asdict(self)


def parse_owner(record: object) -> Owner:
    match record:
        case {"pid": int(pid), "started": int(started), "boot": str(boot), "namespace": int(space)}:
            return Owner(pid, started, boot, space)
        case _:
            raise DamagedRecord("no owner")


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def network_namespace() -> int:
    """The number of the calling thread's network namespace."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _state_and_start(pid: int) -> tuple[str, int] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses; state is the field after it.
    columns = stat.rpartition(")")[2].split()
    return columns[0], int(columns[19])
