"""The tables of the explainer: every row reads its example, and every name in them exists."""

from __future__ import annotations

import pytest

from culvert.eventlog.diagnosis import diagnoses
from culvert.explain import explain
from culvert.explain.catalogue import catalogue, words
from culvert.explain.grammar.family import Reading, families, listed, own_rows
from culvert.explain.lint import problems, row_problems
from culvert.explain.reader import Reader

ROWS = [
    reading
    for name, family in families().items()
    for reading in family.readings
    if reading.row in own_rows(name)
]


def label(reading: Reading) -> str:
    return f"{reading.family}: {listed(reading.row.text)[0][:50]}"


@pytest.mark.parametrize("reading", ROWS, ids=label)
def test_the_row_reads_its_examples(reading: Reading) -> None:
    assert list(row_problems(reading)) == []


@pytest.mark.parametrize("reading", ROWS, ids=label)
def test_the_examples_make_the_fact_of_the_row(reading: Reading) -> None:
    row = reading.row
    for example in listed(row.example):
        reader = Reader(reading.family)
        facts = list(reader.facts([example]))
        if reading.silent:
            assert reader.tally.unknown == 0
            continue
        made = {(fact.id, fact.value("of")) for fact in facts}
        assert (row.fact or "sign", row.sign) in made, (example, made)


def test_the_tables_have_no_problem() -> None:
    assert problems() == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_diagnosis_has_words(language: str) -> None:
    for row in catalogue().values():
        assert words(row.id, language).title
        assert words(row.id, language).actions or row.good


def test_german_is_complete_and_not_english() -> None:
    same = [row.id for row in catalogue().values() if words(row.id, "de") == words(row.id, "en")]
    assert same == []


def test_our_own_programs_use_no_id_that_is_not_in_the_catalogue() -> None:
    assert {row.id for row in diagnoses()} <= catalogue().keys()


def test_a_family_can_be_named() -> None:
    assert explain(["no response from target"], family="vpnc").family == "vpnc"


@pytest.mark.parametrize("address", ["192.0.2.x", "xx.xx.xx.xx", "X.X.X.X", "192.0.*.*"])
def test_addresses_that_people_hide_are_addresses_still(address: str) -> None:
    lines = [
        f"10[IKE] initiating Main Mode IKE_SA office[1] to {address}",
        "10[ENC] generating ID_PROT request 0 [ SA V V V V ]",
        f"10[NET] sending packet: from 10.0.0.2[500] to {address}[500] (216 bytes)",
        "11[ENC] parsed INFORMATIONAL_V1 request 0 [ N(NO_PROP) ]",
        "11[IKE] received NO_PROPOSAL_CHOSEN error notify",
    ]
    told = explain(lines)
    assert told.attempts[0].peer == address
    assert told.diagnoses[0].id == "p1.no-proposal"
