"""What a provoked fault leaves behind: both logs, the counters that prove it, how it went on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.eventlog.render.styles import STYLES
from eventlog.samples import BEGAN
from simulation.ends import ClientEnd, End
from simulation.journal import Told
from simulation.world import World

CONNECTION = "office"
ENDS = ("client", "gateway")


@dataclass(frozen=True)
class Provoked:
    """``counters``: by name, what was counted. ``back``: seconds from the moment at which it could
    work again until packets passed both ways; None where nothing comes back by itself."""

    client: tuple[Entry, ...]
    gateway: tuple[Entry, ...]
    counters: Mapping[str, int] = field(default_factory=dict[str, int])
    back: float | None = None

    def log(self, end: str) -> tuple[Entry, ...]:
        return self.client if end == "client" else self.gateway


Provoke = Callable[[], Provoked]
PROVOKED: dict[str, Provoke] = {}
"""By the fault's id in faults.toml."""


def provokes(fault: str) -> Callable[[Provoke], Provoke]:
    def known(call: Provoke) -> Provoke:
        PROVOKED[fault] = call
        return call

    return known


def recorded(world: World, end: End) -> tuple[Entry, ...]:
    """The log that this end's program would have written."""
    log = EventLog()
    for told in world.network.journal:
        if isinstance(told, Told) and told.name == end.name:
            event = told.event
            if end in world.clients:
                event = event.with_fields(connection=CONNECTION)
            log.record(event, at=BEGAN + timedelta(seconds=told.at), now=told.at)
    return log.rings.latest().entries


def over(world: World, client: ClientEnd, back: float | None = None, **counters: int) -> Provoked:
    """The fault has had its time."""
    return Provoked(recorded(world, client), recorded(world, world.gateway), counters, back)


def say(end: End, code: str, **fields: str | int | tuple[str, ...]) -> None:
    """What the program around the core writes itself."""
    end.tell(LogEvent(code, fields))


def written(entries: tuple[Entry, ...], style: str, level: int) -> list[str]:
    """The log as lines, as this program would have written it at this level."""
    render = STYLES[style]()
    shown = (render(entry) for entry in entries if entry.row.severity <= level)
    return "\n".join(shown).splitlines()
