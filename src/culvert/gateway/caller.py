"""Caller: what the gateway keeps about one IKE SA, from its first message to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from culvert.eventlog.event import Field, LogEvent
from culvert.ike.outputs import Authenticated
from culvert.inet.address import Address
from culvert.policy.pool import Pool
from culvert.session.session import SpiPair
from culvert.session.silence import Silence


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection that did not come about, and the exact cause, for the operator's eyes."""

    at: datetime
    peer: str
    group: str
    user: str
    reason: str
    cause: str


@dataclass(slots=True)
class Caller:
    """``session`` and ``lease`` from the moment it is admitted; 0 and None before."""

    source: Address
    group: str = ""
    user: str = ""
    proved: Authenticated | None = None
    initial_contact: bool = False
    policy: str = ""
    """A policy cause against this person, told only once the login was right."""
    cause: str = ""
    session: int = 0
    lease: tuple[Pool, str] | None = None
    pairs: dict[int, SpiPair] = field(default_factory=dict[int, SpiPair])
    heard_packets: int = 0
    active_at: float = 0.0
    silence: Silence | None = None
    udp_port: int = 0
    """Our port for its ESP in UDP, if that was agreed by Mode Config."""
    udp_peer: Address | None = None
    """Where its ESP came from, once some came."""

    @property
    def address(self) -> str:
        """The leased inner address, or empty."""
        return self.lease[1] if self.lease else ""

    def tagged(self, event: LogEvent) -> LogEvent:
        """The event with whom it is about."""
        known: dict[str, Field] = {"group": self.group}
        if self.session:
            known["session"] = self.session
        if self.user:
            known["user"] = self.user
        return event.with_fields(**known)


def weak(legacy: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(legacy))
