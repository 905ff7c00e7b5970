"""Verdict: what was decided about a person, and why, for the operator's eyes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from culvert.eventlog.event import LogEvent
from culvert.identity.credentials import Credentials


class Cause(StrEnum):
    """Why, exactly. Never leaves the gateway; the log event's code is ``auth.`` and this."""

    ACCEPTED = "accepted"
    LOCKED = "locked"
    UNKNOWN_USER = "unknown-user"
    WRONG_PASSWORD = "wrong-password"  # noqa: S105  # a cause
    DISABLED = "disabled"
    EXPIRED = "expired"
    NOT_IN_GROUP = "not-in-group"
    OUTSIDE_HOURS = "outside-hours"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


REASONS = {Cause.ACCEPTED: "", Cause.OUTSIDE_HOURS: "outside-hours"}
"""What the peer may come to hear: a policy cause, and that only after the login was right."""

REJECTED = "auth-rejected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one `Credentials`."""

    cause: Cause

    @property
    def accepted(self) -> bool:
        return self.cause is Cause.ACCEPTED

    @property
    def reason(self) -> str:
        """The row of tables/endings.toml that may be shown to the peer; empty if accepted."""
        return REASONS.get(self.cause, REJECTED)

    def event(self, who: Credentials) -> LogEvent:
        """The log event that names the exact cause."""
        return LogEvent(
            f"auth.{self.cause}", {"user": who.user, "group": who.group, "source": who.source}
        )
