"""Timers: named deadlines of one machine, and the next of them."""

from __future__ import annotations

from math import inf

Name = tuple[str, int]


class Timers:
    """A handful of deadlines by name and number; setting one again moves it."""

    __slots__ = ("_at", "deadline")

    def __init__(self) -> None:
        self._at: dict[Name, float] = {}
        self.deadline = inf

    def set(self, kind: str, at: float, number: int = 0) -> None:
        self._at[kind, number] = at
        self.deadline = min(self._at.values())

    def stop(self, kind: str, number: int = 0) -> None:
        if self._at.pop((kind, number), None) is not None:
            self.deadline = min(self._at.values(), default=inf)

    def stop_all(self) -> None:
        self._at.clear()
        self.deadline = inf

    def at(self, kind: str, number: int = 0) -> float:
        """When it rings; inf if it does not run."""
        return self._at.get((kind, number), inf)

    def running(self, kind: str, number: int = 0) -> bool:
        return (kind, number) in self._at

    def due(self, now: float) -> list[Name]:
        """Those whose time has come, earliest first; they no longer run."""
        if now < self.deadline:
            return []
        come = sorted((at, name) for name, at in self._at.items() if at <= now)
        for _, name in come:
            del self._at[name]
        self.deadline = min(self._at.values(), default=inf)
        return [name for _, name in come]
