"""The monitor's part in a record: the file, which the worker cannot open (decision 0186).

The worker says what the record holds, as text. Nothing here looks into it: whoever reads a record
takes it apart as a stranger's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from culvert.driver.message import MessageError
from culvert.driver.privatefile import PrivateFile
from culvert.driver.record import LONGEST, MOST
from culvert.errors import PlatformError
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway.recorded import Wanted

SEVERAL = "a record is made by one worker, and nobody knows which one a caller will get"
ALONE = "Set workers = 1 while you record."
LOST = "the worker that recorded it is gone"


class RecordFile:
    """A record that somebody asked for. Raises PlatformError if it cannot be made."""

    def __init__(self, path: str, wanted: Wanted, record: Callable[[LogEvent], None]) -> None:
        self.wanted: Wanted | None = wanted
        """Whom the next worker is to record; None once that was told."""
        self._path = path
        self._record = record
        self._file = PrivateFile(Path(path), MOST, record, kept=True)
        self._begun = ""
        self.open = True
        """Whether something is still written."""
        fields: dict[str, Field] = {"path": path, "caller": wanted.caller or "whoever calls first"}
        record(LogEvent("gateway.record", fields))

    def take_wanted(self) -> Wanted | None:
        """For one worker: what is recorded is one session, from its beginning."""
        wanted, self.wanted = self.wanted, None
        return wanted

    def add(self, piece: str) -> bool:
        """A piece of a line; whether more is of use. Raises MessageError."""
        if not self.open:
            return False
        self._begun += piece
        if len(self._begun) > LONGEST:
            raise MessageError("a line of a record that is too long")
        if self._begun.endswith("\n"):
            line, self._begun = self._begun, ""
            self.open = self._file.write(line.encode())
        return self.open

    def end(self, why: str, inputs: int) -> None:
        """``why``: empty if the session is over."""
        if not self.open:
            return
        self.open = False
        if why:
            self._file.end(why)
            return
        self._file.close()
        self._record(LogEvent("gateway.recorded", {"path": self._path, "inputs": inputs}))

    def lost(self) -> None:
        """The worker is gone. What was written up to there replays."""
        if self.wanted is None:
            self.end(LOST, 0)

    def close(self) -> None:
        """Closing twice is normal."""
        self.open = False
        self._file.close()


ANYBODY = Wanted()


@dataclass(frozen=True, slots=True)
class Watching:
    """Files that somebody asked for when the gateway was started; an empty name is none."""

    key_log: str = ""
    capture: str = ""
    record: str = ""
    wanted: Wanted = ANYBODY

    def record_file(
        self, record: Callable[[LogEvent], None], *, several: bool
    ) -> RecordFile | None:
        """``several``: the gateway has more than one worker. Raises PlatformError."""
        if not self.record:
            return None
        if several:
            raise PlatformError(SEVERAL, action=ALONE)
        return RecordFile(self.record, self.wanted, record)


UNWATCHED = Watching()
