"""What both daemons answer about their event log: ``log``, ``story``, ``level``, ``clear``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from culvert.driver.control import Request
from culvert.driver.journal import Journal
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.filter import filter_from
from culvert.eventlog.levels import USUAL
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines
from culvert.eventlog.ring import Rings

NEWEST = 100
"""Entries told when nobody says how many."""


async def tell_log(log: EventLog, request: Request) -> Mapping[str, object]:
    """The newest entries, and with ``follow`` every further one until the asker hangs up."""
    shown = filter_from(request.params)
    kept = [entry for entry in log.rings.latest().entries if shown.wants(entry)]
    count = request.whole("count", NEWEST)
    for entry in kept[-count:] if count else []:
        _tell(request, entry)
    if request.flag("follow"):
        listener = log.attach(lambda entry: _tell(request, entry), shown)
        try:
            await asyncio.Event().wait()
        finally:
            log.detach(listener)
    return {"told": min(count, len(kept))}


async def clear_log(journal: Journal, request: Request) -> Mapping[str, object]:
    """Forget the newest entries; files and stories stay. The first new one says who did it."""
    gone = journal.log.rings.clear()
    who = f"uid {request.peer.uid}"
    journal.record(LogEvent("service.log-cleared", {"count": gone, "who": who}))
    return {"cleared": gone}


async def set_level(journal: Journal, request: Request) -> Mapping[str, object]:
    """How much is written of ``name``, or of all without one, from now on; ``level`` 0 takes it
    back, and without ``level`` nothing is changed. Answered by what holds then."""
    levels = journal.levels
    if "level" in request.params:
        name, level = request.text("name"), request.whole("level")
        levels.set(name, level)
        fields: dict[str, Field] = {"name": name or "everybody", "level": level or USUAL}
        journal.record(LogEvent("service.log-level", fields))
    return {"default": levels.default, "levels": dict(levels.of)}


async def tell_story(log: EventLog, request: Request) -> Mapping[str, object]:
    """What is kept of one connection, session or negotiation; whoever asked tells it in words."""
    recent = log.rings.story(request.text("key") or latest_key(log.rings))
    for entry in recent.entries:
        _tell(request, entry)
    return {"left_out": recent.left_out, "gap_after": recent.gap_after}


def latest_key(rings: Rings) -> str:
    """Whose story moved last; empty when there is none."""
    return (rings.keys() or ("",))[-1]


def _tell(request: Request, entry: Entry) -> None:
    request.tell("event", json_lines.document(entry))
