"""Reads the times that logs print: many forms, often without year or day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

HEAD = 160
"""A time stands in the first signs of its line."""

MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
CLOCK = r"(?P<h>\d{1,2}):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,:](?P<f>\d{1,9}))?"
FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?P<y>\d{{4}})[-/](?P<mo>\d\d)[-/](?P<d>\d\d)[T ,]{{1,2}}{CLOCK}",
        rf"(?P<mon>[A-Z][a-z]{{2}}) {{1,2}}(?P<d>\d{{1,2}})(?:,? (?P<y>\d{{4}}))?,? {CLOCK}",
        rf"(?P<mo>\d{{1,2}})/(?P<d>\d{{1,2}})/(?P<y>\d{{4}}),? {CLOCK}(?: (?P<pm>[AP]M))?",
        rf"{CLOCK} {{1,3}}(?P<mo>\d\d)/(?P<d>\d\d)/(?P<y>\d{{2,4}})(?!\d)",
        rf"(?P<y>\d\d)/(?P<mo>\d\d)/(?P<d>\d\d) {CLOCK}",
        rf"(?P<d>\d\d)\.(?P<mo>\d\d)\.(?P<y>\d{{2,4}}) {CLOCK}",
        r"date=(?P<y>\d{4})-(?P<mo>\d\d)-(?P<d>\d\d) time=(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)",
        rf"(?<![\d:.]){CLOCK}(?![\d:])",
        r"(?:^|\s)(?P<h>[0-2]\d)(?P<mi>[0-5]\d)(?P<s>[0-5]\d)\.(?P<f>\d{6})(?!\d)",
    )
)
LIKELY = re.compile(r"\d:\d\d:\d|\d{6}\.\d{6}")
"""What each of these forms has in it."""

NO_YEAR = 1904
"""Stands in for a year that is not printed; a leap year, so that every day exists."""


@dataclass(slots=True)  # one for nearly every line; frozen would cost a tenth of all time
class Moment:
    """``seconds`` to compare and subtract; ``text`` for people, without what is not known."""

    seconds: float
    text: str


def moment(line: str) -> Moment | None:
    """The time that a line begins with, if it prints one."""
    return Clock().read(line)


class Clock:
    """Reads times line after line: the form that fitted last is tried first."""

    def __init__(self) -> None:
        self._form: re.Pattern[str] | None = None
        self._start = 0
        self._text = ""
        self._moment: Moment | None = None

    def read(self, line: str) -> Moment | None:
        head = line[:HEAD]
        if self._text and head.startswith(self._text):
            return self._moment
        if self._form is not None and (
            found := self._form.match(head, self._start) or self._form.match(head)
        ):
            return self._kept(found)
        if LIKELY.search(head) is None:
            return None
        for form in FORMS:
            if found := form.search(head):
                self._form = form
                return self._kept(found)
        return None

    def _kept(self, found: re.Match[str]) -> Moment | None:
        try:
            made = _made(found.groupdict())
        except (ValueError, OverflowError, KeyError):
            return None
        # Only a time at the very beginning, and whole, may stand for the next line's.
        follows = found.string[found.end() : found.end() + 1]
        whole = found.start() == 0 and not follows.isdigit() and follows not in {".", ","}
        self._start = found.start()
        self._text = found.string[: found.end()] + follows if whole and follows else ""
        self._moment = made
        return made


def _made(part: dict[str, str | None]) -> Moment:
    """Raises ValueError for what is no time of day."""
    of = part.get
    hour, minute, second = int(of("h") or 0), int(of("mi") or 0), int(of("s") or 0)
    if pm := of("pm"):
        hour = hour % 12 + 12 * (pm == "PM")
    if hour >= 24 or minute >= 60 or second > 60:
        raise ValueError("no time of day")
    seconds = float(hour * 3600 + minute * 60 + second)
    clock = f"{hour:02}:{minute:02}:{second:02}"
    if fraction := of("f"):
        seconds += float(f"0.{fraction}")
        clock = f"{clock}.{fraction[:3]}"
    before, shown = _day(of("y"), of("mon"), of("mo"), of("d"))
    return Moment(before + seconds, f"{shown}{clock}")


@lru_cache(maxsize=64)
def _day(
    year: str | None, name: str | None, number: str | None, day: str | None
) -> tuple[float, str]:
    """The seconds before a day, and the day as it is shown; a log has few different ones."""
    month = MONTHS[name.lower()] if name else int(number or 1)
    whole = int(year) if year else NO_YEAR
    whole += 2000 if whole < 100 else 0
    seconds = date(whole, month, int(day or 1)).toordinal() * 86400.0
    if not day:
        return seconds, ""
    shown = f"{month:02}-{int(day):02} "
    return seconds, f"{whole}-{shown}" if year else shown
