"""The plugin that records which requirements a run proved, run on small test files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]

SAMPLE = """
import pytest

@pytest.mark.requirement("S0-20")
def test_good(): pass

@pytest.mark.requirement("S1-62", part="overwrite list")
@pytest.mark.requirement("S0-22")
def test_bad(): assert False

@pytest.mark.requirement("S0-25")
@pytest.mark.skip
def test_skipped(): pass

@pytest.fixture
def breaking():
    yield
    raise RuntimeError

@pytest.mark.requirement("S0-26")
def test_breaks_afterwards(breaking): pass

def test_unmarked(): pass
"""


def run(folder: Path, sample: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(sample, "utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  requirement(id, part=''): what it proves\n", "utf-8"
    )
    words = [sys.executable, "-m", "pytest", "-p", "requirements.plugin", *options]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*words, "--culvert-results", str(folder / "out"), "-q", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def outcomes(folder: Path) -> dict[tuple[str, str], str]:
    tests: list[dict[str, Any]] = json.loads((folder / "out/mine.json").read_text("utf-8"))["tests"]
    return {(test["id"], test["part"]): test["outcome"] for test in tests}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "distributed"])
def test_every_mark_is_recorded_with_its_worst_outcome(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    ran = run(tmp_path, SAMPLE, "--culvert-suite", "mine", *workers)
    assert outcomes(tmp_path) == {
        ("S0-20", ""): "passed",
        ("S0-22", ""): "failed",
        ("S0-25", ""): "skipped",
        ("S0-26", ""): "failed",
        ("S1-62", "overwrite list"): "failed",
    }, ran.stdout


def test_nothing_is_written_without_a_suite(tmp_path: Path) -> None:
    run(tmp_path, SAMPLE)
    assert not (tmp_path / "out").exists()


def test_a_mark_that_names_no_requirement_stops_the_run(tmp_path: Path) -> None:
    ran = run(tmp_path, SAMPLE.replace("S0-25", "S0-99"), "--culvert-suite", "mine")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no requirement S0-99" in ran.stderr


def test_a_record_names_its_suite_commit_and_date(tmp_path: Path) -> None:
    run(tmp_path, SAMPLE, "--culvert-suite", "mine")
    made = json.loads((tmp_path / "out/mine.json").read_text("utf-8"))
    assert made["suite"] == "mine"
    assert made["commit"] == "unknown" or len(made["commit"]) == 40
    assert made["date"].endswith("+00:00")


def test_what_a_test_measured_stands_beside_the_outcomes(tmp_path: Path) -> None:
    sample = 'def test_it(record_property): record_property("figures", "12 of them")\n'
    assert run(tmp_path, sample, "--culvert-suite", "mine").returncode == 0
    written = json.loads((tmp_path / "out/mine.json").read_text("utf-8"))
    assert written["figures"] == {"test_sample.py::test_it": "12 of them"}
    assert not written["tests"]
