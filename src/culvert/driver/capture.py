"""A capture of this machine's IKE and ESP in a pcap file, while a daemon runs and was asked to.

What strangers sent is copied, not looked into: the one place where the monitor of a gateway holds
their octets (docs/reference/processes.md).
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from culvert.driver.keylog import KeyLog
from culvert.driver.loop import NewKeys
from culvert.driver.privatefile import PrivateFile
from culvert.eventlog.event import Field, LogEvent
from culvert.netio.wiretap import WireTap

MOST = 256 << 20
"""Octets of a capture: a quarter of a million full packets, a day of a quiet tunnel."""

AT_ONCE = 64
"""Packets copied before something else has its turn."""

LINK_RAW = 101
LONGEST = 65_535
HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, LONGEST, LINK_RAW)
MILLION = 1_000_000


class Capture:
    """From the moment it is made to `close`. Raises PlatformError if it cannot be."""

    def __init__(
        self,
        path: Path,
        ports: Iterable[int],
        record: Callable[[LogEvent], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._record = record
        self._wall = wall
        self._tap = WireTap.open(ports)
        try:
            self._file = PrivateFile(path, MOST, record)
        except BaseException:
            self._tap.close()
            raise
        self._file.write(HEAD)
        self._open = True
        asyncio.get_running_loop().add_reader(self._tap.fileno(), self._copy)
        record(LogEvent("service.capture", {"path": str(path)}))

    def close(self) -> None:
        """With what has arrived by now. Closing twice is normal."""
        if not self._open:
            return
        self._copy()
        self._stop()

    def _copy(self) -> None:
        for _ in range(AT_ONCE):
            packet = self._tap.read() if self._open else None
            if packet is None:
                return
            seconds, micros = divmod(int(self._wall() * MILLION), MILLION)
            size = len(packet)
            if not self._file.write(struct.pack("<IIII", seconds, micros, size, size) + packet):
                self._stop()

    def _stop(self) -> None:
        self._open = False
        asyncio.get_running_loop().remove_reader(self._tap.fileno())
        if missed := self._tap.missed:
            fields: dict[str, Field] = {"path": str(self._path), "count": missed}
            self._record(LogEvent("service.capture-missed", fields))
        self._tap.close()
        self._file.close()


class Watched:
    """The key log and the capture somebody asked for; an empty name is none. Raises PlatformError
    if one of them cannot be."""

    def __init__(
        self,
        key_log: str,
        capture: str,
        ports: Iterable[int],
        record: Callable[[LogEvent], None],
    ) -> None:
        self._keys = KeyLog(Path(key_log), record) if key_log else None
        try:
            self._capture = Capture(Path(capture), ports, record) if capture else None
        except BaseException:
            if self._keys is not None:
                self._keys.close()
            raise

    @property
    def wants_keys(self) -> bool:
        return self._keys is not None

    def add(self, keys: NewKeys) -> None:
        if self._keys is not None:
            self._keys.add(keys)

    def close(self) -> None:
        """Closing twice is normal."""
        for one in (self._keys, self._capture):
            if one is not None:
                one.close()
