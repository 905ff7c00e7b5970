"""Network namespaces of a test's own (prefix ``cvm``), entered by the calling thread only."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> str:
    return subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True).stdout


@contextmanager
def namespace(suffix: str) -> Iterator[str]:
    """A fresh namespace with its loopback up; gone afterwards."""
    name = f"cvm{os.getpid()}{suffix}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Sockets and devices opened meanwhile by this thread belong to that namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(Path("/run/netns") / name)
        try:
            yield
        finally:
            _set(home)
    finally:
        os.close(home)


def _enter(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _set(descriptor)
    finally:
        os.close(descriptor)


def _set(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
