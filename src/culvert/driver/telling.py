"""What both daemons answer about their event log: the methods ``log`` and ``story``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from culvert.driver.control import Request
from culvert.eventlog.entry import Entry
from culvert.eventlog.filter import Filter
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines
from culvert.eventlog.ring import Rings
from culvert.eventlog.severity import LEAST

NEWEST = 100
"""Entries told when nobody says how many."""


def wanted(request: Request) -> Filter:
    """The filter a request asks for."""
    event_class = request.text("class").upper()
    return Filter(
        classes=frozenset({event_class}) if event_class else frozenset(),
        severity_to=request.whole("level", LEAST),
        session=request.whole("session"),
        connection=request.text("name"),
        user=request.text("user"),
    )


async def tell_log(log: EventLog, request: Request) -> Mapping[str, object]:
    """The newest entries, and with ``follow`` every further one until the asker hangs up."""
    shown = wanted(request)
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
