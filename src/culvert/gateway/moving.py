"""Watches for a new address of the gateway's machine, and has the peers told of it (S3-30)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from culvert.errors import CulvertError, PlatformError
from culvert.eventlog.event import LogEvent
from culvert.netio.address_watch import AddressWatch

WAITS = (0.3, 3.0, 10.0)
"""Seconds after a new address in which it is told: the route that belongs to it may come later,
and a message may be lost. Peers believe each announcement once."""


class Moving:
    """``announce`` has every peer told."""

    def __init__(
        self, announce: Callable[[], Awaitable[object]], record: Callable[[LogEvent], None]
    ) -> None:
        self._announce = announce
        self._record = record
        self._watch: AddressWatch | None = None
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on. Where the kernel tells nobody, the log says so and that is all."""
        try:
            self._watch = AddressWatch()
        except PlatformError as error:
            fields = {"what": error.what, "action": error.action}
            self._record(LogEvent("service.fault", {**fields}))
            return
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._heard)

    def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            asyncio.get_running_loop().remove_reader(watch.fileno())
            watch.close()
        if self._telling is not None:
            self._telling.cancel()

    def _heard(self) -> None:
        fresh = self._watch.fresh() if self._watch is not None else []
        if not fresh:
            return
        self._record(LogEvent("gateway.address-added", {"addresses": tuple(fresh)}))
        if self._telling is not None:
            self._telling.cancel()
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        before = 0.0
        for at in WAITS:
            await asyncio.sleep(at - before)
            before = at
            with suppress(CulvertError):  # a worker that is away has nobody to tell
                await self._announce()
