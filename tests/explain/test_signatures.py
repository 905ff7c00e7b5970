"""The signatures that are known of each log family lead to their diagnosis, or claim nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from culvert.explain import explain

KNOWN: dict[str, list[list[Any]]] = tomllib.loads(
    Path(__file__).with_name("signatures.toml").read_text("utf-8")
)
ROWS, QUIET = KNOWN["signature"], KNOWN["quiet"]
NUMBERED = 244
"""Signatures that the trace specification lists."""


def label(row: list[Any]) -> str:
    return "-".join(map(str, (*row[:2], *row[3:4])))


def test_every_signature_is_here() -> None:
    assert {row[0] for row in (*ROWS, *QUIET)} == set(range(1, NUMBERED + 1))


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_the_signature_leads_to_its_diagnosis(row: list[Any]) -> None:
    _, family, lines, *wanted = row
    told = explain(lines)
    assert told.family == family
    assert told.diagnoses[0].id in wanted


@pytest.mark.parametrize("row", QUIET, ids=label)
def test_a_step_or_a_consequence_is_read_and_no_failure(row: list[Any]) -> None:
    _, family, lines = row
    told = explain(lines)
    assert told.family == family
    assert told.unknown_lines == 0
    assert told.outcome in {"ok", "unknown"}
