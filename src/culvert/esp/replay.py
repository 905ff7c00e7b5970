"""Anti-replay window (RFC 4303 §3.4.3): check, authenticate, then advance."""

from __future__ import annotations

WINDOW = 1024
"""Sequence numbers remembered below the highest. RFC 4303 asks for 32 and advises 64; a sender with
several queues reorders more than that (docs/decisions/0021)."""


class ReplayWindow:
    """Which sequence numbers have been seen: one bit each below ``highest``, in one integer."""

    __slots__ = ("_mask", "_seen", "_size", "highest")

    def __init__(self, size: int = WINDOW) -> None:
        self.highest = 0
        self._seen = 1  # bit n: highest - n was seen; 0 is never sent (RFC 4303 §2.2)
        self._size = size
        self._mask = (1 << size) - 1

    @property
    def seen(self) -> int:
        """Bit n: whether ``highest`` - n was seen."""
        return self._seen

    def go_on(self, highest: int, seen: int) -> None:
        """As another window stood."""
        self.highest, self._seen = highest, seen & self._mask

    def fresh(self, sequence: int) -> bool:
        """Whether this number may still be accepted. Changes nothing: it is not authentic yet."""
        age = self.highest - sequence
        return age < 0 or (age < self._size and not self._seen >> age & 1)

    def advance(self, sequence: int) -> None:
        """Note a number that was fresh and whose packet proved authentic."""
        ahead = sequence - self.highest
        if ahead > 0:
            # A shift by more than the window would only build a huge number to cut off again.
            self._seen = (self._seen << ahead & self._mask | 1) if ahead < self._size else 1
            self.highest = sequence
        else:
            self._seen |= 1 << -ahead
