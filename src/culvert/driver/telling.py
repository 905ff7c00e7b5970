"""What both daemons answer about their event log: the method ``log`` of the control protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from culvert.driver.control import Request
from culvert.eventlog.entry import Entry
from culvert.eventlog.filter import Filter
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines
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


def _tell(request: Request, entry: Entry) -> None:
    request.tell("event", json_lines.document(entry))
