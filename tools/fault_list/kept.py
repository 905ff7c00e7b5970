"""Reads recorded runs and keeps, of every fault in each place, what its latest run said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faults.catalogue import FAULTS
from faults.record import LAB, VIRTUAL

Run = dict[str, Any]
Key = tuple[str, str]

RUNS = "results"
SCHEMA = 1
PLACES = (VIRTUAL, LAB)


class TableError(Exception):
    """There is nothing recorded that the page could be made of."""


def merged(root: Path, kept: Path) -> Run:
    """The faults of all runs; a later run replaces an earlier one, each with its date and commit.

    Faults that the list no longer has are left out.
    """
    runs = [read_kept(kept)] if kept.is_file() else []
    for path in sorted((root / RUNS).glob("*.json")):
        found = read_run(path)
        runs += [found] if found else []
    if not runs:
        raise TableError(f"no recorded run in {RUNS}/ nor {kept}: run `make faults`")
    latest: dict[Key, Run] = {}
    for run in runs:
        head = {"date": run.get("date", ""), "commit": run.get("commit", "")}
        for one in run["faults"]:
            fault = {**head, **one}
            key = fault["fault"], fault["where"]
            if fault["fault"] in FAULTS and not _older(fault, latest.get(key)):
                latest[key] = fault
    order = [(id, where) for id in FAULTS for where in PLACES]
    return {"schema": SCHEMA, "faults": [latest[key] for key in order if key in latest]}


def _older(one: Run, other: Run | None) -> bool:
    return other is not None and str(one["date"]) < str(other["date"])


def read_run(path: Path) -> Run | None:
    """A record that tells of faults, or None."""
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    return run if isinstance(run, dict) and run.get("faults") else None


def read_kept(path: Path) -> Run:
    run = read_run(path) if path.is_file() else None
    if run is None:
        raise TableError(f"{path} tells of no fault: run `make faults`")
    return run


def text(record: Run) -> str:
    """One line for each fault, so that a difference can be read."""
    rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in record["faults"])
    return f'{{\n "schema": {record["schema"]},\n "faults": [\n{rows}\n ]\n}}\n'
