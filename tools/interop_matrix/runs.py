"""Reads recorded runs and keeps, of every cell of the matrix, what its latest run said."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from interop.rows import COLUMNS, ROWS

Run = dict[str, Any]
Key = tuple[str, str]

RUNS = "results"
SUITE = "interop"
# What stands for the run itself as long as only other suites have filled cells.
NO_RUN: Run = {"schema": 1, "suite": SUITE, "commit": "", "date": "", "tests": []}
# What counts when several tests of one run fill the same cell.
WORST = ("failed", "xfailed", "passed")
KNOWN = {(row.id, column.id) for row in ROWS for column in COLUMNS}


class TableError(Exception):
    """What was recorded and what the tables say do not go together."""


@dataclass(frozen=True, slots=True)
class Cannot:
    """What a peer cannot do."""

    column: str
    rows: tuple[str, ...]
    reason: str

    def covers(self, row: str, column: str) -> bool:
        return column == self.column and any(fnmatchcase(row, one) for one in self.rows)


def read_cannot(path: Path) -> tuple[Cannot, ...]:
    found = tomllib.loads(path.read_text("utf-8"))["cannot"]
    made = tuple(Cannot(row["column"], tuple(row["rows"]), row["reason"]) for row in found)
    for one in made:
        for pattern in one.rows:
            if not any(fnmatchcase(row, pattern) for row, column in KNOWN if column == one.column):
                raise TableError(f"{path.name}: {pattern!r} in {one.column!r} is no cell")
    return made


def merged(root: Path, kept: Path) -> Run:
    """The latest run's record with the cells of all runs; a cell's later run replaces its earlier.

    Each cell has the date and commit of its own run. Cells that the tables no longer have are left
    out.
    """
    runs = [read_kept(kept)] if kept.is_file() else []
    runs += [
        run for path in sorted((root / RUNS).glob("*.json")) if (run := read_run(path)) is not None
    ]
    if not runs:
        raise TableError(f"no recorded run in {RUNS}/ nor {kept}: run `make interop`")
    cells: dict[Key, Run] = {}
    for run in sorted(runs, key=lambda run: str(run["date"])):
        cells |= told(run, cells)
    whole = [run for run in runs if run["suite"] == SUITE]
    newest = max(whole, key=lambda run: str(run["date"]), default=NO_RUN)
    return {**newest, "cells": [cells[key] for key in sorted(cells)]}


def told(run: Run, earlier: dict[Key, Run]) -> dict[Key, Run]:
    """The cells of one run, the worst word on each. What is older than ``earlier`` is left."""
    found: dict[Key, Run] = {}
    for cell in entries(run):
        key = cell["row"], cell["column"]
        if key in earlier and earlier[key]["date"] > cell["date"]:
            continue
        if key not in found or rank(cell) < rank(found[key]):
            found[key] = cell
    return found


def rank(cell: Run) -> int:
    return WORST.index(cell["outcome"])


def entries(run: Run) -> Iterator[Run]:
    head = {"date": run["date"], "commit": run["commit"]}
    for cell in run.get("cells", []):
        if cell["outcome"] in WORST and (cell["row"], cell["column"]) in KNOWN:
            yield {**head, **cell}


def read_run(path: Path) -> Run | None:
    """A record that fills cells, or None."""
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    whole = isinstance(run, dict) and {"suite", "date", "commit", "cells"} <= run.keys()
    return run if whole and run["cells"] else None


def read_kept(path: Path) -> Run:
    if not path.is_file():
        raise TableError(f"{path} is missing: run `make interop`")
    run = read_run(path)
    if run is None:
        raise TableError(f"{path} is no record of a run that filled cells")
    return run


def text(record: Run) -> str:
    """One line for each test and cell, so that a difference can be read."""
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value:
            rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in value)
            lines.append(f" {json.dumps(key)}: [\n{rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
