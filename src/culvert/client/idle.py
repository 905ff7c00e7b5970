"""Idleness: nothing but our own line polling has gone through the tunnel for a while (S3-24)."""

from __future__ import annotations

from math import inf


class Idle:
    """``seconds`` 0: a connection is never idle for too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._most = 0
        self.deadline = inf

    def begin(self, now: float) -> None:
        self._most = 0
        self._anew(now)

    def stop(self) -> None:
        self.deadline = inf

    def carried(self, packets: int, now: float) -> None:
        """So many went through so far, those of line polling left out."""
        if packets > self._most and self.deadline < inf:
            self._anew(now)
        self._most = max(self._most, packets)

    def _anew(self, now: float) -> None:
        if self._seconds:
            self.deadline = now + self._seconds
