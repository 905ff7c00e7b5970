"""Virtual time: what is due next happens next, and nothing ever sleeps."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import inf
from typing import Protocol

STUCK = 10_000
"""Calls at one moment that no sound simulation makes: somebody's deadline does not move on."""


class Timeline:
    """A queue of calls by moment; calls of one moment run in the order in which they were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """``call`` at ``when``; what lies in the past is due now."""
        heapq.heappush(self._due, (max(when, self.now), next(self._number), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.at(self.now + seconds, call)

    def run(self, *, until: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """Run to ``until``, or to the moment at which ``stop`` holds. Returns whether it holds."""
        last, calls = -inf, 0
        while not stop():
            if not self._due or self._due[0][0] > until:
                self.now = max(self.now, until)
                return stop()
            self.now, _, call = heapq.heappop(self._due)
            calls = calls + 1 if self.now == last else 0
            last = self.now
            if calls > STUCK:
                raise AssertionError(f"{calls} calls at {self.now:.3f} s: a deadline stands still")
            call()
        return True


class Timed(Protocol):
    """Whatever has a deadline."""

    @property
    def deadline(self) -> float: ...


class Alarm:
    """Calls ``wake`` whenever the deadline of ``timed`` has come; `arm` after every change."""

    def __init__(self, timeline: Timeline, timed: Timed, wake: Callable[[], None]) -> None:
        self._timeline = timeline
        self._timed = timed
        self._wake = wake
        self._armed = inf
        self._serial = 0

    def arm(self) -> None:
        deadline = self._timed.deadline
        if deadline == self._armed:
            return
        self._armed = deadline
        self._serial += 1
        if deadline < inf:
            serial = self._serial
            self._timeline.at(deadline, lambda: self._ring(serial))

    def _ring(self, serial: int) -> None:
        if serial != self._serial:
            return  # moved since
        self._armed = inf
        self._wake()
