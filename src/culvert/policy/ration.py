"""Ration: how often each address may have a favour, however many addresses there are."""

from __future__ import annotations

from collections import OrderedDict

MOST_ADDRESSES = 4096
"""Addresses remembered. Whoever forges more of them only gets the ration of each of them."""


class Ration:
    """``burst`` at once, and ``rate`` a second after that, for each address."""

    def __init__(self, *, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._left)

    def take(self, address: str, *, now: float) -> bool:
        """Whether there is one left."""
        left, counted = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - counted) * self._rate)
        granted = left >= 1.0
        self._left[address] = (left - 1.0 if granted else left, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return granted
