"""Tables, figures and errors as people read them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.cli import status
from culvert.cli.gateway_sessions import refusals_told, summary_told
from culvert.cli.output import WIDTH, columns, complain, duration, octets, pairs, table
from culvert.errors import ConfigError, PlatformError

CELLS = st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5)


@given(CELLS)
def test_a_table_fits_its_width_and_never_breaks_a_line(rows: list[tuple[str, str, str]]) -> None:
    lines = table(
        ("ONE", "TWO", "THREE"),
        [(a.replace("\n", ""), b.replace("\n", ""), c.replace("\n", "")) for a, b, c in rows],
        width=60,
    ).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(len(line) <= 60 for line in lines)


def test_the_widest_column_gives_way() -> None:
    lines = table(("A", "B"), [("short", "x" * 80)], width=40).split("\n")
    assert lines[1].startswith("short  xxxx")
    assert lines[1].endswith("…")
    assert len(lines[1]) == 40


def test_without_a_terminal_a_listing_has_a_hundred_columns() -> None:
    assert columns() == WIDTH == 100


def test_control_characters_of_a_peer_reach_no_terminal() -> None:
    assert "\x1b" not in table(("A",), [("\x1b[2J",)])
    assert "\x1b" not in pairs([("name", "\x1b]0;evil\x07")])


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (104_857_600, "104.9 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_octets_are_told_in_powers_of_ten(count: int, told: str) -> None:
    assert octets(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00:00"), (244.9, "0:04:04"), (90061, "1d 01:01:01")]
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_an_error_says_what_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    complain(PlatformError("UDP port 500 is taken by charon", action="Stop it."))
    assert capsys.readouterr() == ("", "culvert: UDP port 500 is taken by charon\n  Stop it.\n")


def test_an_error_as_json_has_code_sentence_and_action(capsys: pytest.CaptureFixture[str]) -> None:
    complain(ConfigError("unknown key", path="a.toml", line=3), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "error": {"code": "config.invalid", "sentence": "a.toml:3: unknown key", "action": ""},
    }


def test_what_a_limit_refused_is_not_called_all_that_was_refused() -> None:
    told = summary_told({"summary": {"limit": 1, "refused": 0}})
    one = {"at": "2026-11-21T10:00:00+00:00", "peer": "192.0.2.1:500", "cause": "wrong-password"}
    assert "refused at a limit  0" in told
    assert "\nrefused  " not in told
    assert refusals_told([one]).startswith("last attempts refused, for whatever cause (1 of 1)\n")


def test_the_status_says_what_carries_the_packets_and_why_that() -> None:
    row = {"name": "office", "state": "up", "engine": "python", "engine_reason": "as asked for"}
    assert "python: as asked for" in status.told([row])
