"""The signatures that are known of each log family lead to their diagnosis."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from culvert.explain import explain

ROWS: list[list[Any]] = tomllib.loads(
    Path(__file__).with_name("signatures.toml").read_text("utf-8")
)["signature"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[3]}")
def test_the_signature_leads_to_its_diagnosis(row: list[Any]) -> None:
    _, family, lines, *wanted = row
    told = explain(lines)
    assert told.family == family
    assert told.diagnoses[0].id in wanted
