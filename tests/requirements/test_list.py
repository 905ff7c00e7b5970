"""The list of requirements, and that the program's own scope table says the same."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from culvert.tables.scope import scope

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROWS: list[dict[str, Any]] = tomllib.loads((HERE / "list.toml").read_text("utf-8"))["requirement"]
KEYS = {"id", "mark", "also", "slice", "title", "parts", "anchor"}


def headings(path: Path) -> set[str]:
    """The anchors of a Markdown file, made as forges make them."""
    found = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in found}


def test_the_list_holds_all_259_statements_once() -> None:
    ids = [row["id"] for row in ROWS]
    assert len(ids) == len(set(ids)) == 259
    assert Counter(id[:2] for id in ids) == {"S0": 43, "S1": 90, "S2": 72, "S3": 17, "S4": 37}
    assert Counter(row["mark"] for row in ROWS) == {"B": 215, "A": 30, "D": 12, "X": 2}


def test_every_row_is_complete_and_holds_nothing_unknown() -> None:
    for row in ROWS:
        assert {"id", "mark", "slice", "title"} <= row.keys() <= KEYS, row
        assert re.fullmatch(r"S[0-4]-\d{2,3}", row["id"])
        assert row["slice"] in range(1, 9), row["id"]
        assert row.get("also", "") in {"", "B", "A", "D", "X"} - {row["mark"]}, row["id"]
        assert len(set(row.get("parts", []))) == len(row.get("parts", [])) != 1, row["id"]
        assert row["title"][0].isalnum() and not row["title"].endswith("."), row["id"]


def test_titles_tell_the_rows_apart() -> None:
    titles = [row["title"] for row in ROWS]
    assert len(titles) == len(set(titles))


def test_scope_lists_exactly_the_adapted_and_excluded_rows() -> None:
    listed = {
        (row["id"], mark)
        for row in ROWS
        for mark in (row["mark"], row.get("also", ""))
        if mark in {"A", "X"}
    }
    shipped = {(row.row, row.mark) for row in scope()}
    # Of an adapted row one setting of a system that no longer exists is out of scope.
    assert shipped == listed | {("S0-07", "X")}
    assert len(shipped) == len(scope())


def test_every_scope_row_gives_its_reason() -> None:
    for row in scope():
        assert row.reason.endswith("."), row.row
        assert row.mark == "X" or "Here " in row.reason or "remains" in row.reason, row.row


def test_every_anchor_leads_to_a_heading() -> None:
    anchors = [row["anchor"] for row in ROWS if "anchor" in row]
    assert anchors
    for anchor in anchors:
        name, _, heading = anchor.partition("#")
        assert heading in headings(ROOT / name), anchor


def test_an_anchor_stands_only_on_rows_for_documents() -> None:
    for row in ROWS:
        if "anchor" in row:
            assert "D" in (row["mark"], row.get("also")), row["id"]
