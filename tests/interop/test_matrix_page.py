"""docs/interop.md: what a record of runs becomes, and that the committed page is just that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from culvert.ike.suite import EspSuite, IkeSuite
from culvert.tables.algorithms import ESP_CIPHERS, HASHES, IKE_CIPHERS, INTEGRITIES
from interop.rows import PHASE1, PHASE2

ROOT = Path(__file__).parents[2]
CANNOT = "tests/interop/cannot.toml"
SUITE = "phase1 aes256-sha1-modp2048 aggressive"


class Project:
    """A folder with records of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / CANNOT).parent.mkdir(parents=True)
        shutil.copy(ROOT / CANNOT, root / CANNOT)

    def ran(
        self, outcome: str, column: str, *, row: str = SUITE, day: int = 1, suite: str = "interop"
    ) -> None:
        cell = {"row": row, "column": column, "node": "tests/test_it.py::it", "outcome": outcome}
        head = {"suite": suite, "commit": "c0ffee", "date": f"2026-01-{day:02}T01:02:03+00:00"}
        place = self.root / "results" / f"{suite}.json"
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps({**head, "tests": [], "cells": [cell]}), "utf-8")

    def tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        return matrix("--root", str(self.root), *words)

    def says(self, title: str = "aes256-sha1-modp2048") -> list[list[str]]:
        """The cells of every table's first row of this title, after a run of the tool."""
        ran = self.tool()
        assert ran.returncode == 0, ran.stderr
        page = (self.root / "docs/interop.md").read_text("utf-8")
        lines = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
        return [[word.strip() for word in line.split("|")[2:-1]] for line in lines]


def matrix(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/interop_matrix"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_committed_page_is_what_the_committed_runs_say() -> None:
    ran = matrix("--check")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_page_edited_by_hand_is_noticed(project: Project) -> None:
    project.ran("passed", "vpnc")
    project.says()
    assert project.tool("--check").returncode == 0
    page = project.root / "docs/interop.md"
    page.write_text(page.read_text("utf-8").replace("2026-01-01", "2026-01-02"), "utf-8")
    assert project.tool("--check").returncode == 1


def test_a_cell_stands_in_the_tables_of_the_ends_its_peer_proves(project: Project) -> None:
    project.ran("passed", "vpnc")
    client, gateway, *other = project.says()
    assert client == ["", "", ""]
    assert gateway == ["", "2026-01-01", "", "", ""]
    assert not any(word[:4] == "2026" for line in other for word in line)


def test_a_cell_keeps_its_date_until_it_runs_anew(project: Project) -> None:
    project.ran("passed", "vpnc", day=1)
    project.says()
    project.ran("passed", "strongswan-client", day=2)
    assert project.says()[1] == ["", "2026-01-01", "2026-01-02", "", ""]
    project.ran("failed", "vpnc", day=3)
    assert project.says()[1] == ["", "failed 2026-01-03", "2026-01-02", "", ""]


def test_an_older_record_changes_nothing(project: Project) -> None:
    project.ran("passed", "vpnc", day=3)
    project.says()
    project.ran("failed", "vpnc", day=2)
    assert project.says()[1][1] == "2026-01-03"


def test_a_skipped_test_fills_nothing(project: Project) -> None:
    project.ran("skipped", "vpnc")
    assert project.says()[1][1] == ""


def test_our_own_ends_alone_prove_less(project: Project) -> None:
    project.ran("passed", "ourselves")
    assert project.says()[0] == ["self only 2026-01-01", "", ""]
    project.ran("passed", "vpnc", suite="other")
    # Confirmed at one end, it counts at both.
    assert [line[0] for line in project.says()[:2]] == ["2026-01-01", "2026-01-01"]


def test_what_a_peer_cannot_do_is_told_with_its_reason(project: Project) -> None:
    project.ran("passed", "ourselves")
    (_, gateway, _, main) = project.says()
    assert main[1] == "cannot 1"
    assert gateway[1] == ""
    assert "\n1. vpnc has no main mode\n" in (project.root / "docs/interop.md").read_text("utf-8")


def test_a_peer_that_did_what_it_cannot_stops_the_tool(project: Project) -> None:
    project.ran("passed", "vpnc", row="phase1 aes256-sha1-modp2048 main")
    ran = project.tool()
    assert ran.returncode == 2
    assert "vpnc has no main mode" in ran.stderr
    assert not (project.root / "docs/interop.md").exists()


def test_a_mark_that_names_no_cell_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "test_sample.py").write_text(
        'import pytest\n@pytest.mark.cell("xauth", "nobody")\ndef test_it(): pass\n', "utf-8"
    )
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "interop.cells", "-q", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no cell ('xauth', 'nobody')" in ran.stderr


def test_rows_are_named_as_suites_and_leave_no_cipher_and_no_hash_out() -> None:
    ike = [IkeSuite.named(name) for name in PHASE1]
    assert [suite.name for suite in ike] == list(PHASE1)
    assert {suite.cipher for suite in ike} == set(IKE_CIPHERS)
    assert {suite.hash for suite in ike} == set(HASHES)
    esp = [EspSuite.named(name) for name in PHASE2]
    assert [suite.name for suite in esp] == list(PHASE2)
    assert {suite.cipher for suite in esp} == set(ESP_CIPHERS)
    assert {suite.integrity for suite in esp} == {*INTEGRITIES, None}
