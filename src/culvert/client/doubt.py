"""Does the gateway still know us? Found out in seconds, long before it counts as dead.

calm ── packets leave, none comes ──> asking ── 2 questions unanswered ──> calling
  ^                                     │                                   │   │ answered
  └──────────── anything heard ─────────┴───────────────────────────────────┴── asking in earnest

The call is a second phase 1 beside the connection that still stands. A gateway that proves its key
there and yet answers none of many questions about the old connection has forgotten it; who forges
or drops packets can at most make us ask and call, and a line that loses a third of them, too.
"""

from __future__ import annotations

from enum import Enum
from math import inf

QUIET = 1.0
"""Seconds of sending without hearing anything before we ask. The counters are read each second."""
BETWEEN = 0.4
"""Seconds an answer may take."""
SLOWEST = 1.2
"""Seconds for the last answer in earnest: as long as the call took twice over, but no longer than
this, for the call may have been repeated while the gateway was away."""
QUESTIONS = 2
"""So many may be lost one after the other before we call."""
EARNEST, APART = 16, 0.05
"""Questions, and seconds between them, to a gateway that just proved to be there. All of them being
lost where each or its answer is with even odds: once in sixty thousand times."""
CALM = 10.0
"""Seconds until a stream that is known to flow one way only is asked about again."""


class Act(Enum):
    ASK = "ask"
    CALL = "call"
    REPLACE = "replace"


class Doubt:
    """Of one connection that is up."""

    def __init__(self) -> None:
        self._asked = 0
        self._left = 0  # questions in earnest
        self._called = -inf
        self._patience = BETWEEN
        self._calm_until = -inf
        self.calling = False
        self.found = False
        """The gateway answered the call."""
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
        self.calling = self.found = False
        self.deadline = inf

    def tick(self, now: float) -> Act | None:
        if now < self.deadline:
            return None
        if self.found:
            return self._in_earnest(now)
        if self._asked == QUESTIONS and not self.calling:
            self.calling = True
            self._called = now
            self.deadline = now + BETWEEN
            return Act.CALL
        self._asked += not self.calling
        self.deadline = now + BETWEEN
        return Act.ASK

    def _in_earnest(self, now: float) -> Act:
        if not self._left:
            self.deadline = inf
            return Act.REPLACE
        self._left -= 1
        self.deadline = now + (APART if self._left else self._patience)
        return Act.ASK

    def called(self, now: float) -> None:
        """The gateway is there. Does it know the old connection?"""
        self.found, self._left, self.deadline = True, EARNEST, now
        self._patience = min(max(BETWEEN, 2 * (now - self._called)), SLOWEST)

    def call_failed(self, now: float) -> None:
        """Nobody answered: once more a moment later, if the question is still open."""
        self.calling = self.found = False
        if self._asked:
            self.deadline = now + BETWEEN
