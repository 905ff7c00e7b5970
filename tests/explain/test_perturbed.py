"""The verdict hangs on what the lines say, not on whose addresses, names and times they hold."""

from __future__ import annotations

import random
import re

import pytest

from culvert.explain import explain
from explain.scoring import Sample, misses, samples
from explain.test_accuracy import KNOWN_MISSES, ids

GOOD = [one for one in samples() if one.name not in KNOWN_MISSES]
ADDRESS = re.compile(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.])")
CLOCK = re.compile(r"(?<!\d)(\d\d):(\d\d):(\d\d)(?!\d)")
SERVICE = re.compile(r"\b[\w-]+(?=\.(?:example|corp)\b)")
LEVEL = re.compile(r"Sev=(?:Info|Warning|Critical)/\d|%(?P<box>ASA|PIX)-\d-")


def other_address(found: re.Match[str]) -> str:
    """Another address of the same network for the same address; 0.0.0.0 and masks stay."""
    octets = [int(octet) for octet in found.groups()]
    if octets[0] in {0, 127, 255} or octets[3] in {0, 255}:
        return found.group()
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3] % 200 + 23}"


def moved(found: re.Match[str]) -> str:
    """Three hours later, if that is the same day."""
    hour = int(found[1])
    return f"{hour + 3 if hour < 21 else hour:02}:{found[2]}:{found[3]}"


def other_level(found: re.Match[str]) -> str:
    return f"%{found['box']}-5-" if found["box"] else "Sev=Info/6"


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_other_addresses(one: Sample) -> None:
    lines = [ADDRESS.sub(other_address, line) for line in one.lines]
    assert misses(one, lines, evidence=False) == []


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_other_names(one: Sample) -> None:
    lines = [SERVICE.sub("elsewhere-7", line) for line in one.lines]
    assert misses(one, lines, evidence=False) == []


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_other_times(one: Sample) -> None:
    assert misses(one, [CLOCK.sub(moved, line) for line in one.lines], evidence=False) == []


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_other_severities(one: Sample) -> None:
    lines = [LEVEL.sub(other_level, line) for line in one.lines]
    assert misses(one, lines, evidence=False) == []


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_lines_that_say_nothing_in_between(one: Sample) -> None:
    if one.expect["family"] in {"cisco-client", "vpn3000", "lancom", "windows-ras"}:
        lines = [*one.lines, "", "-- end of the file --"]
    else:
        lines = [part for line in one.lines for part in (line, "some words of another program")]
    assert misses(one, lines, evidence=False) == []


@pytest.mark.parametrize("one", GOOD, ids=ids)
def test_windows_line_ends_and_forum_quotes(one: Sample) -> None:
    assert misses(one, [f"{line}\r\n" for line in one.lines]) == []
    assert misses(one, [f"> {line}" for line in one.lines], evidence=False) == []


@pytest.mark.parametrize(
    "one",
    [
        one
        for one in GOOD
        if one.expect["family"] in {"asa", "ios", "strongswan", "libreswan"}
        and not one.name.startswith("mixed")
    ],
    ids=ids,
)
def test_neighbours_of_the_same_moment_in_another_order(one: Sample) -> None:
    """Lines with the same time stamp that are no proof may stand in any order.

    Not so where two connections share a log: there the order tells whose a nameless line is.
    """
    wanted = one.expect["evidence"]
    lines = list(one.lines)
    chance = random.Random(one.name)
    for number in range(len(lines) - 1):
        here, after = lines[number], lines[number + 1]
        independent = not any(proof in line for proof in wanted for line in (here, after))
        if here[:20] == after[:20] and independent and chance.random() < 0.5:
            lines[number], lines[number + 1] = after, here
    assert misses(one, lines, evidence=False) == []


def dropped() -> list[tuple[str, str, bool]]:
    """Every sample with one line left out that is no proof: is the diagnosis still the same?"""
    found: list[tuple[str, str, bool]] = []
    for one in GOOD:
        wanted = one.expect["evidence"]
        right = {one.expect["diagnosis"], *one.expect.get("also_ok", ())}
        for number, line in enumerate(one.lines):
            if len(one.lines) > 60 or any(proof in line for proof in wanted):
                continue
            told = explain([*one.lines[:number], *one.lines[number + 1 :]])
            found.append((one.name, line, told.diagnoses[0].id in right))
    return found


def test_a_lost_line_that_is_no_proof_seldom_changes_the_diagnosis() -> None:
    tried = dropped()
    wrong = [(name, line) for name, line, right in tried if not right]
    assert len(tried) > 500
    assert len(wrong) / len(tried) < 0.03, wrong
