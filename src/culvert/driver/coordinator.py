"""What a driver runs: a coordinator, seen from below (no floor here knows client or gateway)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from culvert.effects import Answer, Effect
from culvert.inet.address import Path


class Coordinator(Protocol):
    """Takes datagrams, answers and time; returns everything that must now be done, in order."""

    @property
    def deadline(self) -> float:
        """The exact next moment `tick` has something to do; ``inf`` is never."""
        ...

    def receive(self, octets: bytes, path: Path, *, now: float) -> Sequence[Effect]: ...

    def step(self, answer: Answer, *, now: float) -> Sequence[Effect]: ...

    def tick(self, *, now: float) -> Sequence[Effect]: ...
