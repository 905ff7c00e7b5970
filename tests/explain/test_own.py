"""Our own log, in both renderings, explains itself as `culvert why` does."""

from __future__ import annotations

import pytest

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.story import tell
from culvert.explain import explain
from eventlog import samples
from eventlog.test_diagnosis import CASES

ROWS = sorted(CASES)


def keyed(entries: tuple[Entry, ...]) -> bool:
    return any(entry.field("connection") or entry.field("session") for entry in entries)


@pytest.mark.parametrize("key", ROWS, ids=lambda key: ".".join(filter(None, key)))
def test_json_lines_give_the_diagnosis_of_why(key: tuple[str, str]) -> None:
    entries = CASES[key][0]
    told = explain([json_lines.render(entry) for entry in entries])
    assert told.family == "culvert"
    assert told.unknown_lines == 0
    assert tell(entries).verdict.id in {one.diagnoses[0].id for one in told.attempts}


def test_a_good_connection_in_our_own_text_is_ok() -> None:
    entries = samples.client(*samples.GOOD)
    told = explain([own.render(entry) for entry in entries])
    assert told.family == "culvert"
    assert told.outcome == "ok"
    assert told.attempts[0].phase == "p2"


def test_a_torn_line_is_counted() -> None:
    lines = [json_lines.render(entry) for entry in samples.client(*samples.GOOD)]
    assert explain([*lines, lines[-1][:40]]).unknown_lines == 1
