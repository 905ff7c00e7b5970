"""`tools/requirements`: the state of each row, from records written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "requirements"
NODE = "tests/test_it.py::test_it"


class Project:
    """A folder with a list, one test file and whatever runs a test records."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("src/culvert/tables/scope.toml", "scope = []")
        self.write("tests/requirements/unavailable.toml", "")
        self.write("tests/test_it.py", "def test_it() -> None: ...\ndef test_too() -> None: ...\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def wants(self, **row: Any) -> None:
        whole = {"id": "S0-01", "mark": "B", "slice": 1, "title": "It works", **row}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in whole.items())
        self.write("tests/requirements/list.toml", f"[[requirement]]\n{lines}\n")

    def ran(
        self,
        outcome: str,
        *,
        part: str = "",
        node: str = NODE,
        day: int = 1,
        suite: str = "test",
        folder: str = "results",
    ) -> None:
        test = {"id": "S0-01", "part": part, "node": node, "outcome": outcome}
        name = f"{folder}/{suite}.json"
        tests = [test]
        if (self.root / name).is_file():
            tests += json.loads((self.root / name).read_text("utf-8"))["tests"]
        run = {"suite": suite, "commit": "c0ffee", "date": f"2026-01-{day:02}", "tests": tests}
        self.write(name, json.dumps(run))

    def says(self) -> str:
        ran = subprocess.run(
            [sys.executable, str(TOOL), "--root", str(self.root)],
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    def state(self) -> str:
        return self.says().split()[1]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_row_without_a_test_is_missing(project: Project) -> None:
    project.wants()
    assert project.state() == "missing"


def test_a_passed_test_of_the_whole_passes_the_row_and_names_its_commit(project: Project) -> None:
    project.wants()
    project.ran("passed")
    assert project.state() == "passed"
    assert f"passed  {NODE}  c0ffee test" in project.says()


def test_one_failed_test_fails_the_row(project: Project) -> None:
    project.wants()
    project.ran("passed")
    project.ran("failed", node="tests/test_it.py::test_too[a/b::c]")
    assert project.state() == "failed"


def test_every_listed_part_is_needed(project: Project) -> None:
    project.wants(parts=["left", "right"])
    project.ran("passed", part="left")
    assert project.state() == "partial"
    assert "open: right" in project.says()
    project.ran("passed", part="right", node="tests/test_it.py::test_too")
    assert project.state() == "passed"


def test_a_test_of_the_whole_does_not_stand_for_listed_parts(project: Project) -> None:
    project.wants(parts=["left", "right"])
    project.ran("passed")
    assert project.state() == "partial"


def test_a_part_alone_is_never_the_whole(project: Project) -> None:
    project.wants()
    project.ran("passed", part="left")
    assert project.state() == "partial"
    assert "part not in the list: left" in project.says()


@pytest.mark.parametrize("outcome", ["skipped", "xfailed"])
def test_a_test_that_did_not_pass_leaves_the_row_open(project: Project, outcome: str) -> None:
    project.wants()
    project.ran(outcome)
    assert project.state() == "missing"
    project.ran("passed", node="tests/test_it.py::test_too")
    assert project.state() == "partial"


def test_the_later_run_of_a_suite_replaces_the_committed_one(project: Project) -> None:
    project.wants()
    project.ran("passed", day=1, folder="docs/results")
    project.ran("failed", day=2)
    assert project.state() == "failed"
    project.ran("passed", day=3, folder="docs/results", suite="soak")
    assert project.state() == "passed", "the same test passed later in another suite"


def test_a_skip_in_one_suite_does_not_undo_a_pass_in_another(project: Project) -> None:
    project.wants()
    project.ran("passed", day=1, suite="test")
    project.ran("skipped", day=2, suite="quick")
    assert project.state() == "passed"


def test_a_test_that_is_gone_proves_nothing(project: Project) -> None:
    project.wants()
    project.ran("passed", node="tests/test_it.py::test_gone")
    assert project.state() == "missing"
    assert "note: tests/test_it.py::test_gone" in project.says()


def test_a_documented_row_needs_its_heading(project: Project) -> None:
    project.wants(mark="D", anchor="docs/it.md#what-it-is")
    assert project.state() == "missing"
    project.write("docs/it.md", "# Title\n\n## What it is\n")
    assert project.state() == "documented"


def test_a_row_both_built_and_documented_needs_both(project: Project) -> None:
    project.wants(mark="D", also="B", anchor="docs/it.md#what-it-is")
    project.write("docs/it.md", "## What it is\n")
    assert project.state() == "partial"
    project.ran("passed")
    assert project.state() == "passed"


def test_an_excluded_row_needs_its_reason(project: Project) -> None:
    project.wants(mark="X")
    assert project.state() == "missing"
    project.write(
        "src/culvert/tables/scope.toml",
        '[[scope]]\nrow = "S0-01"\nmark = "X"\ntitle = "It"\nreason = "No such system."\n',
    )
    assert project.state() == "out-of-scope"
    assert "No such system." in project.says()


def test_a_reason_never_passes_a_row_that_is_to_be_built(project: Project) -> None:
    project.wants()
    project.write(
        "tests/requirements/unavailable.toml",
        '[[unavailable]]\nid = "S0-01"\npart = ""\nsystem = "a device"\ntried = "a shop"\n',
    )
    assert project.state() == "missing"
    project.ran("passed")
    assert project.state() == "partial"
    assert "not to be had: a device" in project.says()


def test_the_last_line_counts_the_states(project: Project) -> None:
    project.wants()
    project.ran("passed")
    assert project.says().splitlines()[-1] == (
        "1 requirements: 1 passed, 0 partial, 0 failed, 0 missing, 0 documented, 0 out-of-scope"
    )


def test_other_files_among_the_results_are_named_and_left_aside(project: Project) -> None:
    project.wants()
    project.write("docs/results/bench.json", '{"schema": 1, "bars": []}')
    assert "note: docs/results/bench.json is no record of a test run" in project.says()
