"""An entry of the event log: an event with its number and the moment it was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.vocabulary import EventRow, row_of


@dataclass(frozen=True, slots=True)
class Entry:
    """``at`` is for people (aware UTC), ``now`` for durations (seconds that never go back).

    ``number`` rises by one per entry, ``repeat`` counts the entries of this code; both start at 1
    when the log does.
    """

    number: int
    at: datetime
    now: float
    event: LogEvent
    repeat: int = 1

    @property
    def code(self) -> str:
        return self.event.code

    @property
    def row(self) -> EventRow:
        return row_of(self.event.code)

    def field(self, name: str) -> Field:
        """A field, or empty text if the event has none of that name."""
        return self.event.fields.get(name, "")

    @property
    def side(self) -> str:
        """Who tells it, ``client`` or ``gateway``: a client's events name their connection."""
        own = self.field("connection") or self.row.event_class == "CLIENT"
        return "client" if own else "gateway"
