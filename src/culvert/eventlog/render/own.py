"""Our own log line: ``2026-07-02T10:00:00.123Z info auth.accepted [office] …``, safe to print."""

from __future__ import annotations

from culvert.eventlog.entry import Entry
from culvert.eventlog.ring import key_of
from culvert.eventlog.severity import word
from culvert.eventlog.wording import fill, one_line, time_text


def render(entry: Entry) -> str:
    """One line without its end. Whatever a peer put into a field, it stays one line."""
    return f"{time_text(entry.at)} {brief(entry)}"


def brief(entry: Entry) -> str:
    """The line without its time, for sinks that stamp lines themselves."""
    key = key_of(entry)
    where = f" [{one_line(key)}]" if key else ""
    return f"{word(entry.row.severity)} {one_line(entry.code)}{where} {text(entry)}"


def text(entry: Entry) -> str:
    """What happened, on one line."""
    return one_line(fill(entry.row.text, entry.event.fields))


def action(entry: Entry) -> str:
    """What to do about it; empty where nothing need be done."""
    return one_line(fill(entry.row.action, entry.event.fields))
