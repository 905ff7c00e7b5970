"""Our own logs in every language: each step with the line it stands on."""

from __future__ import annotations

import re

import pytest

from culvert.eventlog.vocabulary import variants, vocabulary
from culvert.eventlog.wording import placeholders, reasons
from culvert.explain import explain
from culvert.explain.own_steps import endings, phrases, wordings
from culvert.tables.loader import document
from explain.test_renderings import logs, written

OTHER = {"They", "they", "them"}
EVERY = sorted(
    {row.why for row in vocabulary().values() if row.why}
    | {one.why for code in vocabulary() for one in variants(code)}
)


@pytest.mark.parametrize("language", ["de", "nl"])
@pytest.mark.parametrize("english", EVERY)
def test_every_wording_of_a_step_is_there_with_the_same_values(english: str, language: str) -> None:
    wording = wordings(language)[english]
    assert placeholders(wording) - OTHER == placeholders(english) - OTHER
    assert wording != english or not re.search(r"[a-z]{4}", re.sub(r"\{.*?\}", "", english))


def test_no_translation_is_left_over() -> None:
    assert set(wordings("de")) == set(EVERY)


@pytest.mark.parametrize("style", ["json", "own"])
@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "The gateway asks who is there"),
        ("de", "Das Gateway fragt, wer da ist"),
        ("nl", "De gateway vraagt wie er is"),
    ],
)
def test_a_time_line_is_in_the_language_and_names_its_lines(
    language: str, says: str, style: str
) -> None:
    lines = written(logs("good")[0], style)
    (attempt,) = explain(lines, language=language).attempts
    assert len(attempt.timeline) > 15
    (asked,) = [step for step in attempt.timeline if step.says.startswith(says)]
    assert "xauth.asked" in lines[asked.line - 1]
    places = [step.line for step in attempt.timeline]
    assert places == sorted(places)
    assert places[0] >= 1


def test_a_gateway_tells_of_its_client_in_german() -> None:
    lines = written(logs("good")[1], "json")
    said = " ".join(step.says for step in explain(lines, language="de").attempts[0].timeline)
    assert "Der Client" in said
    assert "The client" not in said


@pytest.mark.parametrize("language", ["de", "nl"])
def test_every_reason_why_a_session_ends_is_translated(language: str) -> None:
    assert set(endings(language)) == set(reasons())
    for id, sentence in endings(language).items():
        assert sentence.endswith("."), id
        assert sentence != reasons()[id]["sentence"], id


def test_the_reason_of_an_end_is_in_the_readers_language() -> None:
    lines = written(logs("wrong password")[0], "json")
    said = [step.says for step in explain(lines, language="de").attempts[0].timeline]
    assert said[-1].endswith("Die Anmeldung wurde abgelehnt.")


def test_every_weakness_of_the_tables_is_translated() -> None:
    weak = {
        row["weak"]
        for table in ("algorithms.toml", "groups.toml")
        for listed in document(table).values()
        if isinstance(listed, list)
        for row in listed
        if row.get("weak")
    }
    assert len(weak) >= 8
    assert weak <= set(phrases("de"))
    assert all(phrases("de")[text] != text != phrases("nl")[text] for text in phrases("de"))
