"""Network namespaces of this machine: made, entered, looked into and removed.

Everything goes through `ip` and `nft` with argument lists; see docs/decisions/0002.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from culvert.errors import PlatformError

Result = TypeVar("Result")

NETNS = Path("/run/netns")
ETC_NETNS = Path("/etc/netns")
PROC = Path("/proc")
CLONE_NEWNET = 0x40000000
# One `ip` or `nft` call takes milliseconds; this only ends one that hangs.
TOOL_TIMEOUT = 20.0
# How long a process inside a namespace gets between TERM and KILL.
PATIENCE = 1.0
POLL = 0.01
SBIN = "/usr/sbin:/sbin"


def tool(name: str) -> str:
    """Where the program ``name`` is; root's PATH without sbin is common enough to look there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    if found is None:
        raise PlatformError(
            f"the program {name} is not installed",
            action=f"Install it (Debian: package {PACKAGES.get(name, name)}).",
        )
    return found


PACKAGES = {"ip": "iproute2", "nft": "nftables", "ping": "iputils-ping"}


def call(command: Sequence[str], *, given: str = "") -> str:
    """Run a tool; its output. Raises PlatformError with what it printed."""
    try:
        done = subprocess.run(  # noqa: S603  # argument list, no shell
            [tool(command[0]), *command[1:]],
            input=given,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlatformError(f"{' '.join(command)}: no end after {TOOL_TIMEOUT:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise PlatformError(f"{' '.join(command)}: {said or f'exit {done.returncode}'}")
    return done.stdout


def need_root() -> None:
    if os.geteuid() != 0:
        raise PlatformError(
            "network namespaces need root", action="Run it as root (for example with sudo)."
        )


def exists(namespace: str) -> bool:
    return (NETNS / namespace).exists()


def add(namespaces: Sequence[str]) -> None:
    call(["ip", "-batch", "-"], given="".join(f"netns add {name}\n" for name in namespaces))


def give_etc(namespace: str, *, hosts: str) -> None:
    """A private resolv.conf and hosts: a client may rewrite its own without touching ours."""
    folder = ETC_NETNS / namespace
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text("# no name server\n", "utf-8")
    (folder / "hosts").write_text(hosts, "utf-8")


def remove(namespaces: Sequence[str]) -> None:
    """End what runs inside, then take the namespaces and their /etc away."""
    there = [name for name in namespaces if exists(name)]
    end_processes(there)
    for name in there:
        try:
            call(["ip", "netns", "del", name])
        except PlatformError:
            if exists(name):  # else somebody else took the same left-over away
                raise
    for name in namespaces:
        shutil.rmtree(ETC_NETNS / name, ignore_errors=True)


def processes(namespaces: Sequence[str]) -> list[int]:
    """Who runs in any of these namespaces (never ourselves)."""
    wanted: set[tuple[int, int]] = set()
    for name in namespaces:
        try:
            at = (NETNS / name).stat()
        except FileNotFoundError:
            continue
        wanted.add((at.st_dev, at.st_ino))
    found: list[int] = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            at = (entry / "ns" / "net").stat()
        except OSError:  # it ended meanwhile
            continue
        if (at.st_dev, at.st_ino) in wanted:
            found.append(int(entry.name))
    return found


def end_processes(namespaces: Sequence[str]) -> None:
    if not namespaces:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = processes(namespaces)
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        end = time.monotonic() + PATIENCE
        while left and time.monotonic() < end:
            time.sleep(POLL)
            left = [pid for pid in processes(namespaces) if not is_zombie(pid)]
        if not left:
            return


def is_zombie(pid: int) -> bool:
    """Ended, but its parent has not asked yet."""
    try:
        status = (PROC / str(pid) / "stat").read_text("ascii", "replace")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def inside(namespace: str, work: Callable[[], Result]) -> Result:
    """Do ``work`` on a thread that lives in the namespace; sockets it makes stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    results: list[Result] = []
    problems: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            with (NETNS / namespace).open("rb") as door:
                if libc.setns(door.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise PlatformError(f"cannot enter {namespace}: {os.strerror(number)}")
            results.append(work())
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=enter_and_work, name=f"in {namespace}")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]


def set_kernel(namespace: str, settings: dict[str, str]) -> None:
    """Write ``settings`` (path below /proc/sys → value) inside the namespace."""

    def write() -> None:
        for name, value in settings.items():
            (PROC / "sys" / name).write_text(value, "ascii")

    inside(namespace, write)
