"""Our own log line: ``2026-07-02T10:00:00.123Z info auth.accepted [office] …``, safe to print."""

from __future__ import annotations

from culvert.eventlog.entry import Entry
from culvert.eventlog.ring import key_of
from culvert.eventlog.severity import word
from culvert.eventlog.wording import fill, one_line, time_text

COOKIE = 8
"""Digits of the cookie that are shown: two negotiations of a log share them about never."""


def render(entry: Entry) -> str:
    """One line without its end. Whatever a peer put into a field, it stays one line."""
    return f"{time_text(entry.at)} {brief(entry)}"


def brief(entry: Entry) -> str:
    """The line without its time, for sinks that stamp lines themselves."""
    return f"{word(entry.row.severity)} {marked(entry)}"


def marked(entry: Entry) -> str:
    """Code, whom it concerns, and the text: what every rendering can be read back from."""
    whom = where(entry)
    return f"{one_line(entry.code)}{f' [{whom}]' if whom else ''} {text(entry)}"


def where(entry: Entry) -> str:
    """Whom it concerns: connection or session, and the beginning of the initiator's cookie.

    The cookie is the same at both ends, so that their logs can be laid side by side; and it holds
    a negotiation together that has no session yet.
    """
    cookie = str(entry.field("cookies"))[:COOKIE]
    return one_line(" ".join(part for part in (key_of(entry), cookie and f"~{cookie}") if part))


def text(entry: Entry) -> str:
    """What happened, on one line."""
    return one_line(fill(entry.row.text, entry.event.fields))


def action(entry: Entry) -> str:
    """What to do about it; empty where nothing need be done."""
    return one_line(fill(entry.row.action, entry.event.fields))
