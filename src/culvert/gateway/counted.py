"""What IpsecGateway counts and lists of callers for the operator, beside its sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from culvert.eventlog.event import LogEvent
from culvert.gateway.caller import Attempt, Caller
from culvert.ike.called import no_such_group, other_key
from culvert.ike.endpoint import Endpoint
from culvert.ike.outputs import Over
from culvert.inet.address import text

REFUSALS = 100
"""Refused attempts kept for the operator; older ones are in the event log."""

KNOWN_EARLY = {"ike.group-unknown": no_such_group, "ike.group-key-mismatch": other_key}
"""Events after which nothing good can come, though half a minute passes until it is over."""


class Counted(ABC):
    refusals: deque[Attempt]
    _early: dict[int, Attempt]
    """Listed among the refusals, by IKE SA, though these are half-open still."""
    _endpoint: Endpoint
    _clients: dict[int, Caller]

    @property
    def refused_datagrams(self) -> Mapping[str, int]:
        """Counted by kind, exactly."""
        return dict(self._endpoint.refused)

    @property
    def half_open(self) -> int:
        return self._endpoint.half_open

    @property
    def unproved(self) -> Mapping[str, int]:
        """Octets heard from and sent to callers that had proved nothing, and their limits."""
        return self._endpoint.strangers.counts

    def _foreseen(self, number: int, event: LogEvent, now: float) -> None:
        """An operator looks when somebody calls for help, not when the gateway has given up."""
        worded, client = KNOWN_EARLY.get(event.code), self._clients.get(number)
        if worded is None or client is None or number in self._early:
            return
        group = str(event.fields.get("group", client.group))
        peer = text(client.source)
        early = Attempt(self._at(now), peer, client.group, "", "group-mismatch", worded(group))
        self._early[number] = early
        self.refusals.append(early)

    def _not_foreseen(self, number: int) -> None:
        """It came otherwise: what said so was somebody else's word."""
        if (early := self._early.pop(number, None)) is not None:
            with suppress(ValueError):  # newer ones have pushed it out
                self.refusals.remove(early)

    def _refused(self, number: int, client: Caller, over: Over, reason: str, now: float) -> None:
        """An IKE SA is over that never came to a session."""
        if reason == "replaced":  # a first message that came twice: its connection lives beside
            self._not_foreseen(number)
        elif self._early.pop(number, None) is None:
            cause, peer = client.cause or over.detail or reason, text(client.source)
            self.refusals.append(
                Attempt(self._at(now), peer, client.group, client.user, reason, cause)
            )

    @abstractmethod
    def _at(self, now: float) -> datetime:
        """Wall time of a moment."""
