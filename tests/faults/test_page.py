"""docs/faults.md: what records of runs become, and that the committed page is just that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from faults.catalogue import LAB as IN_LAB
from faults.catalogue import VIRTUAL as IN_VIRTUAL_TIME
from faults.record import LAB, VIRTUAL, run

ROOT = Path(__file__).parents[2]
SAID = {
    "id": "net.loss",
    "what": "It is lossy",
    "why": "Much is lost",
    "causes": ["a bad line"],
    "actions": ["Mend it (network)"],
}


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/fault_list"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def recorded(
    root: Path, *, where: str, day: int, outcome: str = "passed", back: float = 1.5
) -> None:
    one: dict[str, Any] = run("loss", where, SAID, SAID, {"packets lost": 7}, back)
    head = {"suite": "x", "commit": "c0ffee", "date": f"2026-01-{day:02}T01:02:03+00:00"}
    place = root / "results" / f"{where[:4]}{day}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({**head, "faults": [{**one, "outcome": outcome}]}), "utf-8")


def page(root: Path) -> str:
    ran = tool("--root", str(root))
    assert ran.returncode == 0, ran.stderr
    return (root / "docs/faults.md").read_text("utf-8")


def test_the_latest_run_of_each_place_is_told(tmp_path: Path) -> None:
    recorded(tmp_path, where=VIRTUAL, day=3, back=2.5)
    recorded(tmp_path, where=VIRTUAL, day=2, back=9.5)
    recorded(tmp_path, where=LAB, day=4, outcome="failed")
    made = page(tmp_path)
    assert "| 2.5 s | 2026-01-03 | failed 2026-01-04 |" in made
    assert "9.5" not in made
    assert "Counted: 7 packets lost. Back after 2.5 s." in made
    assert "*It is lossy.* Much is lost." in made
    assert "Mend it (network)" in made


def test_what_was_kept_stays_until_it_runs_again(tmp_path: Path) -> None:
    recorded(tmp_path, where=VIRTUAL, day=3)
    first = page(tmp_path)
    for record in (tmp_path / "results").iterdir():
        record.unlink()
    assert page(tmp_path) == first


def test_without_any_run_there_is_no_page(tmp_path: Path) -> None:
    ran = tool("--root", str(tmp_path))
    assert ran.returncode == 2
    assert "make faults" in ran.stderr


def test_the_committed_page_is_what_the_kept_runs_say() -> None:
    assert tool("--check").returncode == 0


def test_every_fault_has_run_and_passed_wherever_it_is_provoked() -> None:
    kept = json.loads((ROOT / "docs/results/faults.json").read_text("utf-8"))["faults"]
    passed = {(one["fault"], one["where"]) for one in kept if one["outcome"] == "passed"}
    wanted = {(id, VIRTUAL) for id in IN_VIRTUAL_TIME} | {(id, LAB) for id in IN_LAB}
    assert wanted <= passed
