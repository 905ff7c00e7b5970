"""Pytest plugin: which numbered requirements did the tests of this run prove?

Tests carry ``@pytest.mark.requirement("S4-41")`` or ``(…, part="…")``. With ``--culvert-suite
NAME`` the outcomes of all marked tests are written to ``results/NAME.json`` at the end;
`tools/requirements` merges those files. Without it nothing is written.

Outcomes travel as user properties of the reports, so runs distributed by xdist need no merging: the
one process that hears every report writes the file. What a test measured travels the same way
(``record_property("figures", text)``), marked or not, and is written beside the outcomes; so does
what is to be read by programs (``record_property("run", dictionary)``).
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

SCHEMA = 1
PROPERTY = "requirement"
CELL = "cell"  # of docs/interop.md, see interop/cells.py
FAULT = "fault"  # of docs/faults.md, see faults/test_told.py
FIGURES = "figures"
RUN = "run"
ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("list.toml")

# From the last to the first: what counts when the phases of a test say different things.
WORST = ("failed", "xfailed", "skipped", "passed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("requirements")
    group.addoption(
        "--culvert-suite",
        metavar="NAME",
        help="write which requirements this run proved to results/NAME.json",
    )
    group.addoption(
        "--culvert-results",
        metavar="DIR",
        default=str(ROOT / "results"),
        help="where --culvert-suite writes (default: results)",
    )


def pytest_configure(config: pytest.Config) -> None:
    suite = config.getoption("--culvert-suite")
    if suite and not hasattr(config, "workerinput"):  # xdist's workers report to the controller
        path = Path(str(config.getoption("--culvert-results"))) / f"{suite}.json"
        config.pluginmanager.register(Ledger(str(suite), path), "culvert-ledger")


def known_ids() -> frozenset[str]:
    return frozenset(row["id"] for row in tomllib.loads(LIST.read_text("utf-8"))["requirement"])


def marks(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Requirement id and part (or "") of every mark on a test."""
    for mark in item.iter_markers("requirement"):
        if len(mark.args) != 1 or mark.kwargs.keys() - {"part"}:
            raise pytest.UsageError(f"{item.nodeid}: write requirement(id) or (id, part=…)")
        yield str(mark.args[0]), str(mark.kwargs.get("part", ""))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Attach the marks to the reports; a mark that names no requirement stops the run."""
    known = known_ids()
    for item in items:
        for id, part in marks(item):
            if id not in known:
                raise pytest.UsageError(f"{item.nodeid}: there is no requirement {id}")
            item.user_properties.append((PROPERTY, [id, part]))


class Ledger:
    """Collects the outcome of every marked test and writes them down."""

    def __init__(self, suite: str, path: Path) -> None:
        self.suite = suite
        self.path = path
        self.tests: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.cells: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.faults: dict[str, dict[str, Any]] = {}
        self.figures: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome: str = report.outcome
        if hasattr(report, "wasxfail") and outcome == "skipped":
            outcome = "xfailed"
        kinds = {PROPERTY: (self.tests, "id", "part"), CELL: (self.cells, "row", "column")}
        for name, value in report.user_properties:
            if name == FIGURES:
                self.figures[report.nodeid] = str(value)
            if name == RUN and isinstance(value, dict):
                row = self.runs.setdefault(report.nodeid, {**value, "outcome": outcome})
                row["outcome"] = min(row["outcome"], outcome, key=WORST.index)
            if name == FAULT and isinstance(value, dict):
                row = self.faults.setdefault(report.nodeid, {**value, "outcome": outcome})
                row["outcome"] = min(row["outcome"], outcome, key=WORST.index)
            if name not in kinds or not isinstance(value, (list, tuple)):
                continue
            rows, *keys = kinds[name]
            first, second = value
            row = rows.setdefault(
                (first, second, report.nodeid),
                {keys[0]: first, keys[1]: second, "node": report.nodeid, "outcome": outcome},
            )
            row["outcome"] = min(row["outcome"], outcome, key=WORST.index)

    def pytest_sessionfinish(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = {
            "schema": SCHEMA,
            "suite": self.suite,
            **revision(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "tests": [self.tests[key] for key in sorted(self.tests)],
            "cells": [self.cells[key] for key in sorted(self.cells)],
            "faults": [self.faults[key] for key in sorted(self.faults)],
            FIGURES: self.figures,
            **({"runs": self.runs} if self.runs else {}),
        }
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
        new.replace(self.path)


def revision() -> dict[str, str | bool]:
    """The commit under test, and whether the tree differed from it."""

    def git(*words: str) -> str:
        ran = subprocess.run(
            ["git", *words],
            cwd=ROOT,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout.strip() if ran.returncode == 0 else ""

    return {
        "commit": git("rev-parse", "HEAD") or "unknown",
        "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
    }
