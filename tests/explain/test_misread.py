"""What was taken for something else once: single lines, and files that are no VPN log."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from culvert.explain import explain, explain_ends
from culvert.explain.decode import lines as decoded
from culvert.rng import SeededRandom
from explain.scoring import sample

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


@pytest.mark.parametrize("row", ROWS["foreign"], ids=name)
def test_what_other_programs_say_of_themselves_is_no_vpn_log(row: list[Any]) -> None:
    told = explain(row[1])
    assert (told.family, told.diagnoses[0].id) == ("unknown", "unknown.not-vpn")
    assert told.attempts == ()


def test_among_other_programs_the_vpn_is_heard() -> None:
    lines = [line for row in ROWS["foreign"] for line in row[1]] * 20
    told = explain([*lines, "Nov 20 03:01:02 pc vpnc[7]: vpnc: no response from target"])
    assert (told.family, told.diagnoses[0].id) == ("vpnc", "p1.no-response")


def test_a_few_words_in_a_long_text_make_no_vpn_log() -> None:
    text = [f"Chapter {number} tells of other things." for number in range(40)]
    assert explain([*text, "Connection refused"]).family == "unknown"
    assert explain(["Connection refused"]).family == "openconnect"
    assert explain(["The user's auth word is asked for."] * 3).family == "unknown"


def test_programs_and_packed_files_are_no_text() -> None:
    """Whatever words stand in them."""
    chance = SeededRandom(3)
    noise = b"".join(chance.octets(64) + b"\nvpnc: no response from target\n" for _ in range(50))
    told = explain(decoded([noise]))
    assert (told.family, told.diagnoses[0].id) == ("unknown", "unknown.not-vpn")


def test_a_block_of_zeros_that_a_crash_left_hides_no_log() -> None:
    told = explain(decoded([b"vpnc: no response from target\n" * 99 + bytes(128) + b"\n"]))
    assert told.family == "vpnc"


@pytest.mark.parametrize("row", ROWS["again"], ids=name)
def test_every_try_is_an_attempt_of_its_own(row: list[Any]) -> None:
    _, lines, *wanted = row
    assert [one.diagnoses[0].id for one in explain(lines).attempts] == wanted


def test_logs_of_three_runs_one_after_the_other_are_three_attempts() -> None:
    runs = (
        "ciscoclient-03-group-password",
        "ciscoclient-08-dpd-lost",
        "ciscoclient-06-idle-timeout",
    )
    lines = [line for run in runs for line in sample(run).lines]
    told = {one.diagnoses[0].id for one in explain(lines).attempts}
    assert told == {"p1.psk-mismatch", "live.dpd-timeout", "live.idle"}
