"""What a running gateway reads and writes in its database, when the disk lets it.

A full disk must not take a session with it: what cannot be written waits and is counted, the log
says so once, `culvert gateway status` as long as it lasts, and it is written when there is room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.identity.account import Account, Accounts
from culvert.store.lifetime import Lifetime

AGAIN = 10.0
"""Seconds until what could not be written is tried again: a disk that was cleared is found soon,
and a full one costs nothing."""


class StoreDoor:
    """On the running loop; `find` from any thread."""

    def __init__(
        self,
        users: Accounts,
        lifetime: Lifetime,
        record: Callable[[LogEvent], None],
        *,
        again: float = AGAIN,
    ) -> None:
        self._users = users
        self._lifetime = lifetime
        self._record = record
        self._again = again
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._problem = ""
        self._waiting = 0
        self._unwritten = 0

    def keep(self, count: int) -> None:
        """How many sessions there have been. Never raises: what cannot be kept waits."""
        self._waiting = max(self._waiting, count)
        self._write()

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._lifetime.keep(self._waiting)
            if self._problem:
                self._users.find("")  # it may be reading that failed
        except PlatformError as error:
            self._unwritten += 1
            self._failed(error)
            self._timer = self._loop.call_later(self._again, self._write)
        else:
            self._well()

    def find(self, name: str) -> Account | None:
        """The user of that name; nobody where the store cannot be read."""
        try:
            found = self._users.find(name)
        except PlatformError as error:
            self._loop.call_soon_threadsafe(self._unread, error)
            return None
        return found

    def _unread(self, error: PlatformError) -> None:
        """Tried again from now on, to find out when it is over."""
        self._failed(error)
        if self._timer is None:
            self._timer = self._loop.call_later(self._again, self._write)

    def _failed(self, error: PlatformError) -> None:
        if not self._problem:
            fields = {"problem": error.what, "action": error.action}
            self._record(LogEvent("gateway.store-failed", fields))
        self._problem = error.what

    def _well(self) -> None:
        if self._problem:
            self._record(LogEvent("gateway.store-works", {"tries": self._unwritten}))
        self._problem, self._unwritten = "", 0

    @property
    def status(self) -> Mapping[str, object]:
        """What is wrong with it now (empty: nothing), and how many writes have failed since."""
        return {"store_problem": self._problem, "store_unwritten": self._unwritten}

    def close(self) -> None:
        """A last try for what waits."""
        if self._timer is not None:
            self._write()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
