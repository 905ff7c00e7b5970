"""Every fault, provoked in virtual time: each end's log alone says what it was, however written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

import faults.endings
import faults.on_the_way
import faults.provided
import faults.refused
import faults.troubles  # noqa: F401  # these know how to provoke
from culvert.eventlog.diagnosis import diagnoses
from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.wording import UNKNOWN
from culvert.explain import explain
from culvert.explain.explanation import Diagnosis
from faults.catalogue import LAB
from faults.catalogue import VIRTUAL as FAULTS
from faults.provoked import ENDS, PROVOKED, Provoked, written
from faults.record import PROPERTY, VIRTUAL, run, words

LEVELS = (13, 7)
"""All of it, and what a daemon writes into its file."""

SAID = [(fault, end) for fault in FAULTS for end in ENDS if FAULTS[fault].expected(end)]
SOON = 5.0
"""Seconds in which a connection is back, once it can be."""

SLOWER = {"gateway-moved": 65.0}
"""Nobody says that an address is old: the client finds out when nothing is heard for dpd_timeout,
which is 60 s there."""


@cache
def provoked(fault: str) -> Provoked:
    return PROVOKED[fault]()


def test_every_fault_is_provoked() -> None:
    assert PROVOKED.keys() == FAULTS.keys()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("fault", "end"), SAID)
def test_either_log_alone_names_the_fault(fault: str, end: str, style: str, level: int) -> None:
    told = explain(written(provoked(fault).log(end), style, level))
    assert told.family == "culvert"
    assert told.unknown_lines == 0
    assert told.diagnoses[0].id == FAULTS[fault].expected(end)
    assert told.attempts[0].diagnoses[0].id == told.diagnoses[0].id
    _is_plain(told.diagnoses[0])


@pytest.mark.parametrize(("fault", "end"), SAID)
def test_it_is_told_in_german_too(fault: str, end: str) -> None:
    lines = written(provoked(fault).log(end), "own", 7)
    english, german = explain(lines), explain(lines, language="de")
    assert german.diagnoses[0].id == english.diagnoses[0].id
    assert german.diagnoses[0].title != english.diagnoses[0].title
    _is_plain(german.diagnoses[0])


def _is_plain(told: Diagnosis) -> None:
    """A sentence that says what happened, one that says why, and something to try."""
    assert len(told.why.split()) >= 3
    assert UNKNOWN not in f"{told.title} {told.why} {' '.join(told.causes)}"
    if not told.id.startswith("ok."):
        assert " " in told.title
        assert told.causes
        assert told.actions
        assert all(" " in action.text and action.who for action in told.actions)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_happened_and_what_can_come_back_does(
    fault: str, record_property: Callable[[str, object], None]
) -> None:
    happened, row = provoked(fault), FAULTS[fault]
    said = {end: words(explain(written(happened.log(end), "own", 7))) for end in ENDS}
    record_property(
        PROPERTY,
        run(fault, VIRTUAL, said["client"], said["gateway"], happened.counters, happened.back),
    )
    assert happened.counters
    assert any(happened.counters.values())
    assert (happened.back is not None) is row.comes_back
    if happened.back is not None:
        assert happened.back <= SLOWER.get(fault, SOON)


OURS_TO_FALL_BACK_ON = {"p1.failed", "live.ended", "unknown.incomplete"}
"""For reasons that no table knows: no ending of ours leads there (eventlog/test_diagnosis.py)."""

NOT_FROM_OUR_ENDS = {
    "data.subnet-overlap",  # our client sends from its own address only; see datapath
}


@pytest.mark.requirement("S1-131")
def test_every_failure_of_the_table_is_provoked_and_told_in_plain_words() -> None:
    """Each row that is no success has a fault that leads to it, and its sentences stand alone."""
    told = {
        explain(written(provoked(fault).log(end), "own", 7)).diagnoses[0].id for fault, end in SAID
    }
    bad = [row for row in diagnoses() if not row.id.startswith("ok.")]
    assert {row.id for row in bad} - told == OURS_TO_FALL_BACK_ON | NOT_FROM_OUR_ENDS
    for fault, end in SAID:
        _is_plain(explain(written(provoked(fault).log(end), "own", 7)).diagnoses[0])
    for row in bad:
        if row.id in OURS_TO_FALL_BACK_ON:
            continue
        assert " " in row.title, row.id
        assert " " in row.why, row.id
        assert row.actions or row.outcome == "unfinished", row.id
        assert all(action["text"].count(" ") and action["who"] for action in row.actions), row.id


def test_the_network_faults_are_those_with_a_lab() -> None:
    assert {row.section for row in LAB.values()} == {"On the way", "The gateway"}
