"""Reads the times that logs print: many forms, often without year or day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
NO_YEAR = 1904
"""Stands in for a year that is not printed; a leap year, so that every day exists."""


@dataclass(frozen=True, slots=True)
class Moment:
    """``seconds`` to compare and subtract; ``text`` as people read it, without what is not known."""

    seconds: float
    text: str


def moment(line: str) -> Moment | None:
    """The time that a line begins with, if it prints one."""
    head = line[:HEAD]
    for form in FORMS:
        if found := form.search(head):
            try:
                return _made({key: value for key, value in found.groupdict().items() if value})
            except (ValueError, OverflowError, KeyError):
                return None
    return None


def _made(part: dict[str, str]) -> Moment:
    hour = int(part["h"]) % 12 + 12 * (part["pm"] == "PM") if "pm" in part else int(part["h"])
    month = MONTHS[part["mon"].lower()] if "mon" in part else int(part.get("mo", "1"))
    year = int(part.get("y", str(NO_YEAR)))
    at = datetime(
        year + 2000 if year < 100 else year,
        month,
        int(part.get("d", "1")),
        hour,
        int(part["mi"]),
        int(part["s"]),
        tzinfo=UTC,
    ) + timedelta(microseconds=int(part.get("f", "0")[:6].ljust(6, "0")))
    clock = at.strftime("%H:%M:%S")
    if "f" in part:
        clock += f".{part['f'][:3]}"
    if "d" not in part:
        return Moment(at.timestamp(), clock)
    day = at.strftime("%Y-%m-%d") if "y" in part else at.strftime("%m-%d")
    return Moment(at.timestamp(), f"{day} {clock}")
