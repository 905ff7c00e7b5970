"""What a connection was warned of: each thing once, however often keys are renewed."""

from __future__ import annotations

from collections.abc import Iterable

from culvert.ike.channel import Channel


class Warned:
    """Of one IKE SA and its successors. What is weak is collected until the connection carries, so
    that both phases make one warning."""

    def __init__(self) -> None:
        self._suites: dict[str, None] = {}
        self._untold: dict[str, None] = {}
        self._told: set[str] = set()

    def weak(self, suite: str, reasons: Iterable[str]) -> None:
        """``suite`` was agreed on, which is weak for these reasons."""
        fresh = [why for why in reasons if why not in self._told]
        if fresh:
            self._suites[suite] = None
            self._untold.update(dict.fromkeys(fresh))

    def tell(self, channel: Channel) -> None:
        """One warning for all that is weak and new."""
        if self._untold:
            channel.log("ike.weak", what=", ".join(self._suites), why="; ".join(self._untold))
        self._told.update(self._untold)
        self._suites.clear()
        self._untold.clear()

    def lifetime(self, what: str, ours: int, theirs: int, channel: Channel) -> None:
        """The peer announced another lifetime than ours; the shorter one counts."""
        if not theirs or theirs == ours or what in self._told:
            return
        self._told.add(what)
        counts = min(ours, theirs) if ours else theirs
        channel.log("ike.lifetime-differs", what=what, ours=ours, theirs=theirs, counts=counts)

    def take(self, before: Warned) -> None:
        """This IKE SA renews another: what was told of that need not be told again."""
        self._told |= before._told
        for why in self._told & self._untold.keys():
            del self._untold[why]
