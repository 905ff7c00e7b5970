"""What was taken for something else once: single lines, and files that are no VPN log."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from culvert.explain import explain, explain_ends

ROWS: dict[str, list[list[Any]]] = tomllib.loads(
    Path(__file__).with_name("misread.toml").read_text("utf-8")
)


def name(row: list[Any]) -> str:
    return str(row[0])


@pytest.mark.parametrize("row", ROWS["read"], ids=name)
def test_the_lines_are_read_as_what_they_say(row: list[Any]) -> None:
    _, family, lines, *wanted = row
    told = explain(lines)
    assert told.family == family
    assert told.diagnoses[0].id in wanted
    assert {one.id for one in told.diagnoses} <= set(wanted)


def test_lines_of_a_banner_are_no_attempt() -> None:
    told = explain(["vpnc version 0.5.3", "| Connection refused", "| Authentication failed"])
    assert len(told.attempts) <= 1
    assert told.unknown_lines == 0


def test_the_exact_cause_of_one_end_stands_before_the_vague_one_of_the_other() -> None:
    vague = ("05[IKE] initiating IKE_SA o[1] to 192.0.2.1", "07[IKE] no proposal found")
    exact = ("16/11/20 10:00:00 !! : phase1 DH group size mismatch",)
    for pair in ((vague, exact), (exact, vague)):
        told = explain_ends(("one", pair[0]), ("other", pair[1]))
        assert told is not None
        assert [one.id for one in told.diagnoses][:2] == ["p1.dh-group", "p1.no-proposal"]
