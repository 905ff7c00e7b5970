"""``culvert about scope``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from culvert.cli.about import about
from culvert.tables.scope import scope


@pytest.mark.parametrize("row", [row.row for row in scope() if row.mark == "X"])
def test_text_names_every_excluded_row(row: str) -> None:
    said = CliRunner().invoke(about, ["scope"]).output
    assert f"  {row}" in said.partition("Out of scope")[2]


def test_text_gives_each_reason_under_its_row() -> None:
    result = CliRunner().invoke(about, ["scope"])
    words = " ".join(result.output.split())
    assert result.exit_code == 0
    for row in scope():
        assert f"{row.row} {row.title} {row.reason}".replace("  ", " ") in words


def test_json_holds_the_same_rows() -> None:
    told = json.loads(CliRunner().invoke(about, ["scope", "--json"]).output)
    assert told["schema"] == 1
    assert [(r["row"], r["mark"], r["reason"]) for r in told["scope"]] == [
        (r.row, r.mark, r.reason) for r in scope()
    ]
