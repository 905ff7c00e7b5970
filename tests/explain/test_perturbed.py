"""The verdict hangs on what the lines say, not on whose addresses, names and times they hold."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from culvert.explain.stamp import Clock
from explain.scoring import Sample, misses, samples
from explain.test_accuracy import KNOWN_MISSES, ids

GOOD = [one for one in samples() if one.name not in KNOWN_MISSES]
ADDRESS = re.compile(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
CLOCK = re.compile(r"(?<![\d:])(\d\d):(\d\d):(\d\d)(?![\d:])")
SERVICE = re.compile(r"\b[\w-]+(?=\.(?:example|corp)\b)")
LEVEL = re.compile(r"Sev=(?:Info|Warning|Critical)/\d|%(?P<box>ASA|PIX)-\d-")
NAMED = re.compile(
    r"(?:[Uu]ser(?:name)?|[Gg]roup|GroupName|[Pp]eer[ _]?[Nn]ame|for peer|site|login|account)"
    r"(?: ?[=:] ?| )[\[<'\"(]?(?P<name>[A-Za-z][\w.-]{1,30}@?[\w.-]{0,20})(?=[\]>'\")]|, | IP)"
    r"|conn(?:ection)? [\"'](?P<conn>[A-Za-z][\w.-]{2,30})[\"']"
    r"|^[^|\n]{0,60}\| ?[\"'](?P<pluto>[A-Za-z][\w.-]{2,30})[\"']\[?"
    r"|^[\"'](?P<bare>[A-Za-z][\w.-]{2,30})[\"'](?=\[| #)"
    r"|<(?P<charon>[a-z][\w-]{2,30})(?=\|\d)"
    r"|IKE_SA (?P<sa>[A-Za-z][\w-]{2,30})(?=\[\d)"
    r"|(?:connecting to|connection for|connected to) (?P<lancom>[A-Z][A-Z0-9_-]{2,30}) \("
)
"""Where logs print the names of users, groups and connections."""

WORDS_OF_LOGS = frozenset({
    "the", "and", "for", "with", "from", "failed", "unknown", "user", "group", "peer", "policy",
    "rejected", "not", "found", "authentication", "any", "none", "default", "accepted", "is", "was",
    "has", "defaultragroup", "defaultwebvpngroup", "dfltgrppolicy",
})  # fmt: skip
"""What stands in such a place without being a name."""

HEX = re.compile(
    r"(?<![/\w.-])(?:0x)?(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8}(?:[0-9a-fA-F]{8})?(?![\w.-])"
)
VENDOR = re.compile(r"vendor|\bvid\b|unity|0x63[0137]|error|reason|code|status", re.IGNORECASE)
"""Lines whose hexadecimal numbers say something by themselves."""

OTHER_NIBBLE = str.maketrans("123456789abcdefABCDEF", "357924681bcdefaBCDEFA")
PRIVATE = ("10.", "192.168.", *(f"172.{part}." for part in range(16, 32)))

FARTHEST = 5
"""Records by which one comes too late."""

Change = Callable[[Sequence[str]], list[str]]


def whole_addresses(lines: Sequence[str]) -> list[str]:
    """Quite another address for the same address; private stays private, a network a network."""
    known: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        text = found.group()
        octets = [int(octet) for octet in found.groups()]
        if max(octets) > 255 or octets[0] in {0, 127, 128, 224, 240, 248, 252, 254, 255}:
            return text
        # Not into a network that another of the log is in: a's hosts would become b's.
        network = f"{octets[0]}.{octets[1]}.{octets[2]}"
        number = known.setdefault(network, str(len(known) + 1))
        start = f"10.{100 + int(number)}.7" if text.startswith(PRIVATE) else f"51.{number}.100"
        return f"{start}.{octets[3]}"

    return [ADDRESS.sub(other, line) for line in lines]


def other_names(lines: Sequence[str]) -> list[str]:
    """Of users, groups and connections, wherever they stand in the log; of hosts as well."""
    names = sorted(
        {
            name
            for line in lines
            for found in NAMED.finditer(line)
            for name in found.groups()
            if name and name.lower() not in WORDS_OF_LOGS and not ADDRESS.fullmatch(name)
        },
        key=len,
        reverse=True,
    )
    changed = [SERVICE.sub("elsewhere-7", line) for line in lines]
    for number, name in enumerate(names):
        whole = re.compile(rf"(?<![A-Za-z0-9_/.]){re.escape(name)}(?![A-Za-z0-9_/])")
        made = f"zq{number}{'X' if name.isupper() else 'x'}y"
        changed = [whole.sub(made.upper() if name.isupper() else made, line) for line in changed]
    return changed


def other_numbers(lines: Sequence[str]) -> list[str]:
    """Cookies and SPIs, each by another that is the same wherever it stands."""

    def other(found: re.Match[str]) -> str:
        text = found.group()
        mark = "0x" if text.startswith("0x") else ""
        return mark + text.removeprefix("0x").translate(OTHER_NIBBLE)

    return [line if VENDOR.search(line) else HEX.sub(other, line) for line in lines]


def other_times(lines: Sequence[str]) -> list[str]:
    """All by the same hours, so that the order stays; within the same day."""
    hours = [int(found[1]) for line in lines for found in CLOCK.finditer(line)]
    later = 3 if max(hours, default=0) < 21 else -3 if min(hours) >= 3 else 0

    def moved(found: re.Match[str]) -> str:
        return f"{int(found[1]) + later:02}:{found[2]}:{found[3]}"

    return [CLOCK.sub(moved, line) for line in lines]


def other_severities(lines: Sequence[str]) -> list[str]:
    def other(found: re.Match[str]) -> str:
        return f"%{found['box']}-5-" if found["box"] else "Sev=Info/6"

    return [LEVEL.sub(other, line) for line in lines]


def out_of_order(lines: Sequence[str]) -> list[str]:
    """As syslog over UDP delivers: records of different moments change places, up to five apart."""
    records: list[list[str]] = []
    times: list[float] = []
    before: list[str] = []
    clock = Clock()
    for line in lines:
        at = clock.read(line)
        if at is not None:
            records.append([line])
            times.append(at.seconds)
        else:
            (records[-1] if records else before).append(line)
    if times != sorted(times):
        return list(lines)
    first = 0
    while first < len(records):
        # Nothing in between may be of the same moment as one of the two: there the order counts.
        after = next(
            (
                place
                for place in range(min(first + FARTHEST, len(records) - 1), first + 1, -1)
                if times[first] < times[first + 1] and times[place - 1] < times[place]
            ),
            first,
        )
        records[first], records[after] = records[after], records[first]
        first = after + 1
    return [*before, *(line for record in records for line in record)]


CHANGES: tuple[Change, ...] = (
    whole_addresses,
    other_names,
    other_numbers,
    other_times,
    other_severities,
    out_of_order,
)


def changed() -> list[Any]:
    """Every sample with every change; one that changes nothing proves nothing and is no case."""
    return [
        pytest.param(one, change, id=f"{change.__name__}-{one.name}")
        for change in CHANGES
        for one in GOOD
        if change(one.lines) != list(one.lines)
    ]


@pytest.mark.parametrize(("one", "change"), changed())
def test_the_verdict_stays(one: Sample, change: Change) -> None:
    assert misses(one, change(one.lines), evidence=False) == []


def test_every_change_changes_many_samples() -> None:
    """Else a pattern fits no log and the test above shows nothing."""
    for change, least in zip(CHANGES, (100, 45, 18, 80, 18, 30), strict=True):
        assert sum(change(one.lines) != list(one.lines) for one in GOOD) >= least, change


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


def dropped() -> list[tuple[str, str, list[str]]]:
    """Every sample with one line left out that is no proof: is the verdict still the same?"""
    found: list[tuple[str, str, list[str]]] = []
    for one in GOOD:
        wanted = one.expect["evidence"]
        for number, line in enumerate(one.lines):
            if line.strip() and not any(proof in line for proof in wanted):
                rest = [*one.lines[:number], *one.lines[number + 1 :]]
                found.append((one.name, line, misses(one, rest, evidence=False)))
    return found


def test_a_lost_line_that_is_no_proof_seldom_changes_the_verdict() -> None:
    """Family, outcome, diagnosis and phase. The phase of a log that names only its last step is
    gone with that line; a diagnosis hardly ever."""
    tried = dropped()
    wrong = [(name, line, what) for name, line, what in tried if what]
    of_cause = [one for one in wrong if any(not miss.startswith("phase") for miss in one[2])]
    assert len(tried) > 1500
    assert len(of_cause) / len(tried) < 0.01, of_cause
    assert len(wrong) / len(tried) < 0.02, wrong
