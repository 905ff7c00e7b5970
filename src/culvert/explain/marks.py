"""Marks: cookies, SPIs and times by which logs of two ends are known to tell of one connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from culvert.explain.facts import Fact

COOKIE = re.compile(r"(?<![0-9a-fA-F])(?:0x)?([0-9a-fA-F]{16})(?![0-9a-fA-F])")
COOKIES = re.compile(r"(?<![0-9a-fA-F])([0-9a-fA-F]{16})[:/. _]([0-9a-fA-F]{16})(?![0-9a-fA-F])")
SPI = re.compile(
    r"(?:spi\w{0,4}\W{1,4}(?:\d{1,10}\()?(?:0x)?|\besp[/.])([0-9a-fA-F]{7,8})(?![0-9a-fA-F])"
    r"|(?<![0-9a-fA-F])([0-9a-fA-F]{8})_[io]\b",
    re.IGNORECASE,
)
SHORTEST_COOKIE = 8
"""Hexadecimal digits of a cookie in the shortest rendering there is: ours of its own log."""

MOST = 200
"""Marks of one attempt: each renewal of keys brings two."""

DAY, HALF_HOUR = 86_400.0, 1800.0
NEAR = 5.0
"""Seconds between the two logs' beginnings of one attempt, where clocks are set right."""

SKEW = 30.0
"""The same where they are of one time zone, but not set right."""

EARLIEST = 1905 * 365.0 * DAY


@dataclass(frozen=True, slots=True)
class Marks:
    """``names`` are cookies ("c…") and SPIs ("s…"); ``began``, ``ended``: seconds as printed."""

    names: frozenset[str] = frozenset()
    began: float = inf
    ended: float = inf

    @property
    def timed(self) -> bool:
        return self.began < inf

    def apart(self, other: Marks) -> float:
        """Seconds between the two beginnings, whole half hours of time zones aside; infinite if
        it cannot be known."""
        if not (self.timed and other.timed):
            return inf
        between = abs(self.began - other.began)
        if self.began < EARLIEST or other.began < EARLIEST:  # one of them prints no year
            between %= DAY
        if between <= SKEW:
            return between
        rest = between % HALF_HOUR
        return min(rest, HALF_HOUR - rest) if between <= DAY else inf


NO_MARKS = Marks()


def marks(facts: Sequence[Fact]) -> Marks:
    """Those of one attempt."""
    times = [fact.at.seconds for fact in facts if fact.at is not None]
    names: set[str] = set()
    for fact in facts:
        names |= named(fact.raw)
        names |= named(
            f"spi {value}" for name, value in fact.values.items() if name.startswith("spi")
        )
        if len(names) >= MOST:
            break
    return Marks(frozenset(names), min(times, default=inf), max(times, default=inf))


def named(texts: Iterable[str]) -> set[str]:
    """The cookies and SPIs in lines; zeros are none."""
    found: set[str] = set()
    for text in texts:
        for cookie in COOKIE.findall(text):
            found.add(f"c{cookie[:SHORTEST_COOKIE].lower()}")
        for pair in COOKIES.findall(text):
            found.update(f"c{cookie[:SHORTEST_COOKIE].lower()}" for cookie in pair)
        for one, other in SPI.findall(text):
            found.add(f"s{(one or other).lower().rjust(8, '0')}")
    return {name for name in found if name.strip("cs0")}
