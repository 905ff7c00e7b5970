"""Hours: when a group's people may log in (VPN 3000 "access hours").

Written ``mon-fri 08:00-18:00``; several may stand side by side. A window may pass midnight: it
then belongs to the day on which it begins. Hours are read in the time zone of the moment given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from culvert.errors import ConfigError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60

_FORM = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?|(?P<daily>daily))"
    r" +(?P<from>[0-9]{2}:[0-9]{2})-(?P<until>[0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """One window: days it begins on (0 = Monday), first minute in, first minute out."""

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConfigError with the form that would be right."""
        found = _FORM.fullmatch(text.strip().lower())
        if found is None:
            raise ConfigError(f'hours "{text}": write them as "mon-fri 08:00-18:00" or "daily …"')
        days = frozenset(range(7)) if found["daily"] else _days(found["first"], found["last"], text)
        begin, end = _minute(found["from"], text), _minute(found["until"], text)
        if begin == end:
            raise ConfigError(
                f'hours "{text}": begin and end are equal; use 00:00-24:00 for all day'
            )
        if begin == MINUTES_A_DAY:
            raise ConfigError(f'hours "{text}": a window begins at 23:59 at the latest')
        return cls(days, begin, end)

    def holds(self, at: datetime) -> bool:
        """Whether ``at`` lies inside."""
        minute, day = at.hour * 60 + at.minute, at.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return day in self.days
        return minute < self.end and (day - 1) % 7 in self.days


def allowed(windows: tuple[Hours, ...], at: datetime) -> bool:
    """No window at all means always."""
    return not windows or any(window.holds(at) for window in windows)


def _days(first: str, last: str | None, text: str) -> frozenset[int]:
    for name in (first, last or first):
        if name not in DAYS:
            raise ConfigError(f'hours "{text}": "{name}" is no day; days are {" ".join(DAYS)}')
    start, stop = DAYS.index(first), DAYS.index(last or first)
    return frozenset((start + step) % 7 for step in range((stop - start) % 7 + 1))


def _minute(text: str, whole: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    total = hour * 60 + minute
    if minute > 59 or total > MINUTES_A_DAY:
        raise ConfigError(f'hours "{whole}": "{text}" is no time of day (00:00 to 24:00)')
    return total
