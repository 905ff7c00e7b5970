"""Reads the list of requirements, the recorded runs, and what could not be had."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

LIST = "tests/requirements/list.toml"
UNAVAILABLE = "tests/requirements/unavailable.toml"
SCOPE = "src/culvert/tables/scope.toml"
RESULTS = ("results", "docs/results")


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    mark: str
    slice: int
    title: str
    also: str = ""
    parts: tuple[str, ...] = ()
    anchor: str = ""

    @property
    def marks(self) -> set[str]:
        return {self.mark, self.also} - {""}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One test's outcome for one requirement in the latest run that had it."""

    id: str
    part: str
    node: str
    outcome: str
    suite: str
    commit: str
    dirty: bool
    date: str


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why rows without a test stand as they do: excluded by scope, or a system cannot be had."""

    scope: Mapping[tuple[str, str], str]
    unavailable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_list(root: Path) -> list[Row]:
    found = tomllib.loads((root / LIST).read_text("utf-8"))["requirement"]
    return [Row(**{**row, "parts": tuple(row.get("parts", ()))}) for row in found]


def read_reasons(root: Path) -> Reasons:
    scope = tomllib.loads((root / SCOPE).read_text("utf-8"))["scope"]
    lacking = tomllib.loads((root / UNAVAILABLE).read_text("utf-8")).get("unavailable", [])
    told: dict[str, tuple[str, ...]] = {}
    for row in lacking:
        text = f"not to be had: {row['system']} ({row['part'] or 'whole'}); tried: {row['tried']}"
        told[row["id"]] = (*told.get(row["id"], ()), text)
    return Reasons({(row["row"], row["mark"]): row["reason"] for row in scope}, told)


def read_evidence(root: Path) -> tuple[dict[str, tuple[Evidence, ...]], list[str]]:
    """What tests proved, by requirement, and remarks about files and tests left aside.

    The later run of a suite replaces the earlier one; a test in several suites counts once, in its
    latest run that did not skip it (a skipped test says nothing).
    """
    notes: list[str] = []
    runs: dict[str, dict[str, object]] = {}
    for path in sorted(p for folder in RESULTS for p in (root / folder).glob("*.json")):
        run = read_run(path)
        if run is None:
            notes.append(f"{path.relative_to(root)} is no record of a test run")
        elif str(run["date"]) >= str(runs.get(str(run["suite"]), run)["date"]):
            runs[str(run["suite"])] = run
    latest: dict[tuple[str, str, str], Evidence] = {}
    for found in sorted((e for run in runs.values() for e in entries(run)), key=lambda e: e.date):
        key = found.id, found.part, found.node
        if found.outcome != "skipped" or key not in latest:
            latest[key] = found
    grouped: dict[str, tuple[Evidence, ...]] = {}
    for _, found in sorted(latest.items()):
        if stands(root, found.node):
            grouped[found.id] = (*grouped.get(found.id, ()), found)
        else:
            notes.append(f"{found.node} proved {found.id} in {found.commit[:10]} and is gone")
    return grouped, notes


def read_run(path: Path) -> dict[str, object] | None:
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    whole = isinstance(run, dict) and {"suite", "date", "commit", "tests"} <= run.keys()
    return run if whole else None


def entries(run: Mapping[str, object]) -> Iterable[Evidence]:
    for test in cast(
        "list[dict[str, str]]", run["tests"]
    ):  # shaped by tests/requirements/plugin.py
        yield Evidence(
            id=test["id"],
            part=test["part"],
            node=test["node"],
            outcome=test["outcome"],
            suite=str(run["suite"]),
            commit=str(run["commit"]),
            dirty=bool(run.get("dirty")),
            date=str(run["date"]),
        )


def stands(root: Path, node: str) -> bool:
    """Is the test's function still in its file?"""
    name, _, function = node.partition("[")[0].partition("::")
    return f"def {function.rpartition('::')[2]}(" in source(root / name)


@cache
def source(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""
