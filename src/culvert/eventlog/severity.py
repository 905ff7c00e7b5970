"""The two scales of severity: 1-13 of the gateway log, 1-6 of the client log."""

from __future__ import annotations

FAULT = 1
"""Somebody must act now; also goes to faultlog.txt."""
LAST_WARNING = 3
LAST_INFORMATION = 6
LEAST = 13

CLIENT_LEAST = 6
"""The client log has six levels; everything finer is its sixth."""


def word(severity: int) -> str:
    """The band of the gateway log's scale."""
    if severity <= FAULT:
        return "fault"
    if severity <= LAST_WARNING:
        return "warning"
    return "info" if severity <= LAST_INFORMATION else "debug"


def client_level(severity: int) -> int:
    return min(severity, CLIENT_LEAST)


def client_mark(level: int) -> str:
    """As the client log prints it: ``Sev=Warning/2``."""
    name = "Critical" if level <= FAULT else "Warning" if level <= LAST_WARNING else "Info"
    return f"Sev={name}/{level}"


def journal_priority(severity: int) -> int:
    """The syslog priority of RFC 5424 §6.2.1 that a journal sorts by."""
    return {"fault": 2, "warning": 4, "info": 6, "debug": 7}[word(severity)]
