"""Does the gateway still know us? Found out in seconds, long before it counts as dead.

calm ── packets leave, none comes ──> asking ── 3 questions unanswered ──> calling
  ^                                     │                                     │
  └──────────── anything heard ─────────┴─────────────────────────────────────┘

The call is a second phase 1 beside the connection that still stands. A gateway that proves its key
there and yet answers no question about the old connection has forgotten it; who forges or drops
packets can at most make us ask and call.
"""

from __future__ import annotations

from enum import Enum
from math import inf

QUIET = 1.0
"""Seconds of sending without hearing anything before we ask. The counters are read each second."""
BETWEEN = 0.6
"""Seconds an answer may take."""
QUESTIONS = 3
"""So many may be lost one after the other before we call."""
CALM = 10.0
"""Seconds until a stream that is known to flow one way only is asked about again."""


class Act(Enum):
    ASK = "ask"
    CALL = "call"


class Doubt:
    """Of one connection that is up."""

    def __init__(self) -> None:
        self._asked = 0
        self._calm_until = -inf
        self.calling = False
        self.deadline = inf

    def carried(self, *, heard: bool, sent: bool, now: float) -> None:
        """What went through the tunnel since the last look."""
        if heard:
            self.over()
        elif sent and self.deadline == inf and not self.calling:
            self.deadline = max(now + QUIET, self._calm_until)

    def look(self, unanswered_since: float, now: float) -> None:
        """``unanswered_since``: of the question that is open now, else inf."""
        if unanswered_since == inf:
            if self._asked:
                self.over()
                self._calm_until = now + CALM
        elif not self._asked and not self.calling:  # asked by the clock, after long silence
            self._asked = 1
            self.deadline = unanswered_since + BETWEEN

    def over(self) -> None:
        self._asked = 0
        self.deadline = inf

    def tick(self, now: float) -> Act | None:
        if now < self.deadline:
            return None
        if self._asked >= QUESTIONS:
            self.deadline = inf
            self.calling = True
            return Act.CALL
        self._asked += 1
        self.deadline = now + BETWEEN
        return Act.ASK

    def call_failed(self, now: float) -> None:
        """Nobody answered: once more a moment later, if the question is still open."""
        self.calling = False
        if self._asked:
            self.deadline = now + BETWEEN
