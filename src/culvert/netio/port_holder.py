"""Which program holds a UDP port, as far as /proc lets us see."""

from __future__ import annotations

from pathlib import Path

_TABLES = ("/proc/self/net/udp", "/proc/self/net/udp6")


def holder_of_udp_port(port: int) -> str:
    """``charon (process 812)``, or empty when it cannot be told (another user's, a namespace's)."""
    wanted = {f"socket:[{inode}]" for table in _TABLES for inode in _inodes(Path(table), port)}
    if not wanted:
        return ""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds_one_of(process, wanted):
            return f"{_name(process)} (process {process.name})"
    return ""


def _inodes(table: Path, port: int) -> list[str]:
    try:
        rows = table.read_text().splitlines()[1:]
    except OSError:
        return []
    # Columns of proc_net_udp(5): number, local address:port in hex, …, the tenth is the inode.
    columns = (row.split() for row in rows)
    return [row[9] for row in columns if int(row[1].rpartition(":")[2], 16) == port]


def _holds_one_of(process: Path, wanted: set[str]) -> bool:
    try:
        return any(_target(link) in wanted for link in (process / "fd").iterdir())
    except OSError:
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program that has just ended"
