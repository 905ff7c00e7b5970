"""The door to the kernel's links, addresses and routes (rtnetlink(7)), by pyroute2.

What we use of that library is written down as a Protocol here, so that no other file deals with
its untyped messages. It runs an event loop of its own inside each call: call it from a thread,
never from a coroutine.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Protocol, cast

import pyroute2  # pyright: ignore[reportMissingTypeStubs]
from pyroute2.netlink.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    NetlinkError,
)

from culvert.errors import MisuseError, PlatformError

KernelRefused = NetlinkError
"""What every call on `Kernel` raises when the kernel says no; `code_of` tells which no."""


class Message(Protocol):
    """One netlink message: header fields by name, attributes by `get_attr`."""

    def __getitem__(self, key: str, /) -> int: ...
    def get_attr(self, attr: str, /) -> object: ...


class Kernel(Protocol):
    """The calls of pyroute2's IPRoute that are used; all raise `KernelRefused`."""

    def link(self, command: str, **values: object) -> Iterable[Message]: ...
    def addr(self, command: str, **values: object) -> Iterable[Message]: ...
    def route(self, command: str, **values: object) -> Iterable[Message]: ...
    def rule(self, command: str, **values: object) -> Iterable[Message]: ...
    def get_routes(self, **values: object) -> Iterable[Message]: ...
    def close(self) -> None: ...


@contextmanager
def kernel(what: str) -> Generator[Kernel]:
    """A netlink socket in the calling thread's network namespace, for the length of one act.

    What the kernel refuses becomes a `PlatformError` that names ``what`` was being done.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise MisuseError("netlink calls block: make them from a thread")
    try:
        opened = cast("Kernel", pyroute2.IPRoute())
        try:
            yield opened
        finally:
            opened.close()
    except KernelRefused as error:
        raise refused(what, error) from error


def refused(what: str, error: Exception) -> PlatformError:
    number = code_of(error)
    if number in {errno.EPERM, errno.EACCES}:
        action = "run as root, or with the capability CAP_NET_ADMIN"
    else:
        action = "look at `ip address` and `ip route`: something else may be changing them"
    return PlatformError(f"{what}: {_reason(error)}", action=action)


def code_of(error: Exception) -> int:
    """The errno of what the kernel refused."""
    number = getattr(error, "code", 0)
    return number if isinstance(number, int) else 0


def _reason(error: Exception) -> str:
    text = error.args[1] if len(error.args) > 1 else ""
    return str(text) or f"refused with error {code_of(error)}"
