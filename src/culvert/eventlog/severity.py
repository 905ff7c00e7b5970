"""The scale of severity, 1 to 13, in words and as the system journal counts."""

from __future__ import annotations

FAULT = 1
"""Somebody must act now; also goes to faultlog.txt."""
LAST_WARNING = 3
LAST_INFORMATION = 6
LEAST = 13


def word(severity: int) -> str:
    """The band a severity lies in."""
    if severity <= FAULT:
        return "fault"
    if severity <= LAST_WARNING:
        return "warning"
    return "info" if severity <= LAST_INFORMATION else "debug"


def journal_priority(severity: int) -> int:
    """The syslog priority of RFC 5424 §6.2.1 that a journal sorts by."""
    return {"fault": 2, "warning": 4, "info": 6, "debug": 7}[word(severity)]
