"""Values out of a daemon's JSON, whose types only the daemon promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

Row = Mapping[str, object]


def row(value: object) -> Row:
    """An object; anything else reads as an empty one."""
    return cast("Row", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """A list; anything else reads as an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def rows(value: object) -> list[Row]:
    return [row(item) for item in items(value)]


def texts(value: object) -> list[str]:
    return [str(item) for item in items(value)]


def numbers(value: object) -> list[float]:
    return [float(item) for item in items(value) if isinstance(item, int | float)]
