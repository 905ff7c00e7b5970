"""What people and scripts read: aligned tables, JSON documents, errors.

Every JSON document has ``"schema": 1`` (docs/reference/json.md). Colour only on a terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from culvert.driver.control import problem

SCHEMA = 1
"""Rises when a field disappears or changes its meaning; new fields do not raise it."""

WIDTH = 100
"""Columns of a listing when the output is not a terminal."""

SMALLEST_COLUMN = 6
"""No column is cut below this; a terminal narrower than that gets long lines."""

GAP = "  "


def document(content: Mapping[str, object]) -> None:
    """Print one JSON document."""
    click.echo(json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False, indent=2))


def line(content: Mapping[str, object]) -> None:
    """Print one JSON document on one line, for listings that go on (`log -f --json`)."""
    text = json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False, separators=(",", ":"))
    click.echo(text)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 0) -> str:
    """Aligned columns that fit ``width`` (0: the terminal); the widest columns give way first."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max([len(heading), *(len(row[column]) for row in cells)])
        for column, heading in enumerate(headings)
    ]
    room = (width or columns()) - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > SMALLEST_COLUMN:
        widths[widths.index(max(widths))] -= 1
    lines = [_row(headings, widths), *(_row(row, widths) for row in cells)]
    return "\n".join(lines)


def pairs(rows: Sequence[tuple[str, str]], indent: str = "  ") -> str:
    """A name and a value per line, values aligned; names without value are left out."""
    shown = [(name, printable(value)) for name, value in rows if value]
    widest = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{indent}{name.ljust(widest)}{GAP}{value}" for name, value in shown)


def columns() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def prose_columns() -> int:
    """For running text, as narrow as is wanted: COLUMNS holds without a terminal too."""
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else columns()


def printable(text: str) -> str:
    """Text from a peer may hold anything; a terminal gets no control characters from us."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(
        _cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True)
    ).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def octets(count: int) -> str:
    """``999 B``, ``1.2 kB``, ``3.4 GB``: powers of ten, as in rates."""
    if count < 1000:
        return f"{count} B"
    amount = count / 1000
    for unit in ("kB", "MB", "GB"):
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float) -> str:
    """``0:04:04``, from a day on ``1d 02:03:04``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}"


def since(at: str) -> float:
    """Seconds since an ISO 8601 moment."""
    return max((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds(), 0.0)


def until(at: str) -> float:
    """Seconds until an ISO 8601 moment."""
    return max((datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds(), 0.0)


def clock_time(at: str) -> str:
    """An ISO 8601 moment as the reader's own date and time."""
    return datetime.fromisoformat(at).astimezone().strftime("%b %d %H:%M:%S")


def complain(error: BaseException, *, as_json: bool = False) -> None:
    """An error, in words on the standard error or as a JSON document on the standard output."""
    said = problem(error)
    if as_json:
        document({"error": said})
        return
    click.echo(f"culvert: {printable(said['sentence'])}", err=True)
    if said["action"]:
        click.echo(f"  {printable(said['action'])}", err=True)
