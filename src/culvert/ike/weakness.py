"""What is weak about a connection, warned of once: when it carries, for both phases together."""

from __future__ import annotations

from collections.abc import Iterable

from culvert.ike.channel import Channel


class Weakness:
    """Of one IKE SA and its successors."""

    def __init__(self) -> None:
        self._suites: dict[str, None] = {}
        self._untold: dict[str, None] = {}
        self._told: set[str] = set()

    def note(self, suite: str, reasons: Iterable[str]) -> None:
        """``suite`` was agreed on, which is weak for these reasons."""
        fresh = [why for why in reasons if why not in self._told]
        if fresh:
            self._suites[suite] = None
            self._untold.update(dict.fromkeys(fresh))

    def take(self, before: Weakness) -> None:
        """This IKE SA renews another: what was told of that need not be told again."""
        self._told |= before._told
        for why in self._told & self._untold.keys():
            del self._untold[why]

    def tell(self, channel: Channel) -> None:
        """One warning for all that is new."""
        if self._untold:
            channel.log("ike.weak", what=", ".join(self._suites), why="; ".join(self._untold))
        self._told.update(self._untold)
        self._suites.clear()
        self._untold.clear()
