"""A gateway that has another address now says so itself to everybody it holds a connection with."""

from __future__ import annotations

from collections.abc import Callable

from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import Announced, Output
from culvert.ike.peer import IkeSa
from culvert.inet.address import text
from culvert.policy.group import Group


def telling(group: Group | None, now: float) -> Callable[[IkeSa], list[Output]]:
    """What one of ``group`` (None: nothing is known of it) is told."""
    dns, nbns = (group.dns, group.nbns) if group is not None else ((), ())
    return lambda sa: sa.announce(dns, nbns, now=now)


def received(told: Announced, sa: IkeSa | None) -> LogEvent:
    """Another gateway did; its path is the new one by now."""
    peer = text(sa.path.remote) if sa is not None else ""
    return LogEvent("dynamic.received", {"peer": peer, "dns": told.dns, "nbns": told.nbns})
