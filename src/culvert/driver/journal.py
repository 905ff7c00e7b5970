"""Journal: gives every event of a daemon its time, and has it written.

The files are written whoever else listens or does not, from the first moment of a start.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from culvert.driver.clock import boottime
from culvert.driver.places import Places
from culvert.driver.state_directory import make
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.filter import Filter
from culvert.eventlog.levels import Levels
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines
from culvert.eventlog.severity import FAULT
from culvert.store.eventfile import EventFile, StreamSink, fault_log, read_entries, session_log


def wall_clock() -> datetime:
    return datetime.now(UTC)


def local_time() -> datetime:
    """Now, in the machine's own zone."""
    return wall_clock().astimezone()


class Journal:
    """The event log of one process, with its files in ``where.state``."""

    def __init__(
        self,
        where: Places,
        *,
        clock: Callable[[], float] = boottime,
        wall: Callable[[], datetime] = wall_clock,
    ) -> None:
        make(where.state)
        self.log = EventLog()
        self._where = where
        self._clock = clock
        self._wall = wall
        self.levels = Levels()
        """What goes into the event file and to streams; more may be asked for while running."""
        faults, events = fault_log(where.faults), EventFile(where.events, json_lines.render)
        self._files = (faults, events)
        self.log.attach(faults.write, Filter(severity_to=FAULT))
        self.log.attach(self._levelled(events.write))

    def record(self, event: LogEvent) -> None:
        self.log.record(event, at=self._wall(), now=self._clock())

    def tagged(self, connection: str) -> Callable[[LogEvent], None]:
        """Like `record`, for everything that happens to one connection."""
        return lambda event: self.record(event.with_fields(connection=connection))

    def fault(self, what: str, error: BaseException) -> None:
        """Something raised what nobody planned for: always a defect, never the end."""
        self.record(fault(what, error))

    def session(self, connection: str) -> Callable[[], None]:
        """Write all that happens to one connection into a file of its own, until called back.

        A folder that cannot be written to costs the log, not the connection.
        """
        try:
            file = session_log(self._where.logs, self._wall())
        except OSError as error:
            self.record(LogEvent("client.machine-note", {"note": f"no session log: {error}"}))
            return lambda: None
        listener = self.log.attach(file.write, Filter(connection=connection))

        def end() -> None:
            self.log.detach(listener)
            file.close()

        return end

    def show_on(self, stream: TextIO) -> None:
        """Write to ``stream`` as well what goes into the event file."""
        self.log.attach(self._levelled(StreamSink(stream).write))

    def _levelled(self, sink: Callable[[Entry], None]) -> Callable[[Entry], None]:
        def write(entry: Entry) -> None:
            if self.levels.want(entry):
                sink(entry)

        return write

    def close(self) -> None:
        for file in self._files:
            file.close()


def fault(what: str, error: BaseException) -> LogEvent:
    """The event of an exception nobody planned for, with its traceback."""
    return LogEvent(
        "service.fault",
        {
            "what": f"{what}: {type(error).__name__}: {error}",
            "action": "This is a defect in culvert; please report it with this event.",
            "traceback": "".join(traceback.format_exception(error)),
        },
    )


def written(where: Places) -> tuple[Entry, ...]:
    """What the files of a daemon hold, oldest first, for when it is not running."""
    with suppress(FileNotFoundError):
        return read_entries(where.events)[0]
    return ()
