"""Access hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from culvert.errors import ConfigError
from culvert.policy.group import Group
from culvert.policy.hours import Hours, allowed

MONDAY = datetime(2030, 1, 7, tzinfo=UTC)


def at(day: int, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "day", "clock", "held"),
    [
        ("mon-fri 08:00-18:00", 0, "08:00", True),
        ("mon-fri 08:00-18:00", 0, "07:59", False),
        ("mon-fri 08:00-18:00", 4, "17:59", True),
        ("mon-fri 08:00-18:00", 4, "18:00", False),
        ("mon-fri 08:00-18:00", 5, "12:00", False),
        ("sat-mon 00:00-24:00", 6, "23:59", True),
        ("sat-mon 00:00-24:00", 1, "00:00", False),
        ("fri 22:00-06:00", 4, "23:00", True),
        ("fri 22:00-06:00", 5, "05:59", True),
        ("fri 22:00-06:00", 5, "06:00", False),
        ("fri 22:00-06:00", 4, "05:00", False),
        ("sun 22:00-06:00", 0, "01:00", True),
        ("Daily 09:00-10:00", 3, "09:30", True),
    ],
)
def test_a_window_holds_what_it_says(text: str, day: int, clock: str, held: bool) -> None:
    assert Hours.parse(text).holds(at(day, clock)) is held


def test_no_window_at_all_means_always() -> None:
    assert allowed((), at(6, "03:00"))


def test_a_group_is_open_in_any_of_its_windows() -> None:
    group = Group("sales", hours=(Hours.parse("mon 08:00-09:00"), Hours.parse("tue 08:00-09:00")))
    assert group.open_at(at(1, "08:30"))
    assert not group.open_at(at(2, "08:30"))


@pytest.mark.parametrize(
    "text",
    ["", "mon", "mon 8:00-9:00", "mon 08:00-08:00", "mon 08:00-25:00", "mon 08:60-09:00",
     "mun 08:00-09:00", "mon 24:00-01:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="hours"):
        Hours.parse(text)
