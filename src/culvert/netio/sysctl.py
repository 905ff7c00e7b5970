"""Kernel settings below /proc/sys, those of the calling thread's network namespace."""

from __future__ import annotations

from pathlib import Path

from culvert.changes.change import SysctlSet
from culvert.errors import PlatformError

_ROOT = Path("/proc/sys")


def see(key: str) -> str:
    """The setting now; empty where this kernel has none (no IPv6, say)."""
    try:
        return (_ROOT / key).read_text().strip()
    except OSError:
        return ""


def put(change: SysctlSet) -> bool:
    _write(change.key, change.after)
    return True


def undo_put(change: SysctlSet) -> str:
    """Back to what it was, unless someone has set it anew since."""
    now = see(change.key)
    if now in {change.before, ""}:
        return ""
    if now != change.after:
        return f"kernel setting {change.key} was changed to {now} since and is left alone"
    _write(change.key, change.before)
    return ""


def _write(key: str, value: str) -> None:
    try:
        (_ROOT / key).write_text(f"{value}\n")
    except OSError as error:
        raise PlatformError(
            f"the kernel setting {key} cannot be set to {value}: {error.strerror}",
            action=f"run as root, or set it yourself: sysctl -w {key.replace('/', '.')}={value}",
        ) from error
