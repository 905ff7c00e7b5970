"""The event log: numbers what happened, counts it, keeps the newest, and tells whoever listens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.filter import EVERYTHING, Filter
from culvert.eventlog.ring import Rings

LONGEST_FIELD = 4000
"""Characters of one field. Text of a peer is far shorter, a traceback may be longer: the middle of
it is left out, and the field says so."""

_SHORT = frozenset((int, float, bool))

Sink = Callable[[Entry], None]


@dataclass(slots=True)
class Listener:
    """A sink and what it wants; ``wanted`` may be changed while running."""

    sink: Sink
    wanted: Filter = EVERYTHING


class EventLog:
    """One per process. Time comes with every event, so that a simulation has a log of its own."""

    def __init__(self, rings: Rings | None = None) -> None:
        self.rings = rings or Rings()
        self._counts: Counter[str] = Counter()
        self._listeners: list[Listener] = []
        self._number = 0

    def record(self, event: LogEvent, *, at: datetime, now: float) -> Entry:
        """Take one event. ``at`` is an aware UTC time, ``now`` monotonic seconds."""
        self._number += 1
        self._counts[event.code] += 1
        entry = Entry(self._number, at, now, shortened(event), self._counts[event.code])
        self.rings.add(entry)
        for listener in tuple(self._listeners):
            if listener.wanted is EVERYTHING or listener.wanted.wants(entry):
                self._tell(listener, entry)
        return entry

    def attach(self, sink: Sink, wanted: Filter = EVERYTHING) -> Listener:
        """Tell ``sink`` every entry that ``wanted`` wants, from now on."""
        listener = Listener(sink, wanted)
        self._listeners.append(listener)
        return listener

    def detach(self, listener: Listener) -> None:
        """Tell it no more; nothing happens if it was not attached."""
        self._listeners = [one for one in self._listeners if one is not listener]

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each code was recorded since the start."""
        return self._counts

    def _tell(self, listener: Listener, entry: Entry) -> None:
        try:
            listener.sink(entry)
        except Exception as error:
            # A broken viewer must not take the service with it, nor the other listeners.
            self.detach(listener)
            fault = LogEvent(
                "service.fault",
                {
                    "what": f"a listener of the event log failed: {type(error).__name__}: {error}",
                    "action": "This is a defect in culvert; please report it with this event.",
                },
            )
            self.record(fault, at=entry.at, now=entry.now)


def shortened(event: LogEvent) -> LogEvent:
    """The event with fields of at most about `LONGEST_FIELD` characters."""
    for value in event.fields.values():
        if type(value) not in _SHORT and _too_long(value):
            return LogEvent(event.code, {name: _cut(one) for name, one in event.fields.items()})
    return event


def _too_long(value: Field) -> bool:
    if isinstance(value, tuple):
        return sum(map(len, value)) > LONGEST_FIELD
    return isinstance(value, str) and len(value) > LONGEST_FIELD


def _cut(value: Field) -> Field:
    if not _too_long(value):
        return value
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    half = LONGEST_FIELD // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"
