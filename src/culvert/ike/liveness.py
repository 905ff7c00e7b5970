"""Dead peer detection (RFC 3706), one side of it.

quiet ── nothing heard for `delay` ──> asking ── answered, or anything heard ──> quiet
  └── packets streamed in and stopped    └── `tries` questions without answer ──> dead
      ──> one question ahead of time
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

DOUBT = 3.0
"""Seconds after which a stream that has stopped is asked about. A NAT that forgot us looks like
this, and our question is what makes it know us again; TCP beyond it tries after 6.2 s, then only
after 12.6 s."""


@dataclass(frozen=True, slots=True)
class Question:
    """Send R-U-THERE with this number."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Nothing heard for ``seconds``, ``questions`` went unanswered."""

    seconds: float
    questions: int


class Liveness:
    """``delay`` 0 switches asking off; questions of the peer are answered all the same.

    ``grain``: a first question waits for the next multiple of so many seconds, together with
    those to other peers. One who wakes up for each of a thousand pays far more than for a bunch.
    """

    def __init__(
        self,
        *,
        delay: float,
        retry: float,
        tries: int,
        sequence: int,
        now: float,
        grain: float = 0.0,
    ) -> None:
        self._delay = delay
        self._grain = grain
        self._retry = retry
        self._tries = tries
        self._sequence = sequence & 0x7FFFFFFF
        self._asked = 0
        self._open = False
        self._doubts = False
        self._asked_at = now
        self._heard = now
        self._expected = -1
        self.deadline = self._after_silence(now) if delay else inf

    def heard(self, now: float, *, streaming: bool = False) -> None:
        """Anything authentic from the peer counts as life. ``streaming``: more is expected."""
        self._heard = now
        self._asked = 0
        self._open = False
        self._doubts = streaming and self._delay > DOUBT
        if self._delay:
            self.deadline = now + DOUBT if self._doubts else self._after_silence(now)

    def _after_silence(self, since: float) -> float:
        at = since + self._delay
        return ceil(at / self._grain) * self._grain if self._grain else at

    def tick(self, now: float) -> Question | Dead | None:
        if now < self.deadline:
            return None
        if self._asked >= self._tries:
            self.deadline = inf
            return Dead(now - self._heard, self._asked)
        if self._doubts:
            # Ahead of time, so it does not count as one of the `tries`.
            self._doubts = False
            self.deadline = self._after_silence(self._heard)
            return self._question(now)
        self._asked += 1
        self.deadline = now + self._retry
        if self._asked > 1:
            return Question(self._sequence)
        return self._question(now)

    def ahead(self, now: float) -> Question | None:
        """Ask now, or once more; it does not count as one of the `tries`."""
        if not self._delay:
            return None
        return Question(self._sequence) if self._open else self._question(now)

    @property
    def unanswered_since(self) -> float:
        return self._asked_at if self._open else inf

    def _question(self, now: float) -> Question:
        # RFC 3706 §6.2: a new number for a new question, the same for its repeats.
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        self._open = True
        self._asked_at = now
        return Question(self._sequence)

    def answered(self, sequence: int, now: float) -> float | None:
        """Seconds since the question, or None if this answers nothing we asked."""
        if not self._open or sequence != self._sequence:
            return None
        waited = now - self._asked_at
        self.heard(now)
        return waited

    def asks_anew(self, sequence: int) -> bool:
        """Whether the peer has not asked with this number last."""
        return sequence != self._expected

    def questioned(self, sequence: int) -> bool:
        """Whether a question of the peer is new or a repeat of the last; older ones are replays."""
        if self._expected >= 0 and (sequence - self._expected) & 0x80000000:
            return False
        self._expected = sequence
        return True
