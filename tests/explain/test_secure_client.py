"""What a Secure Client says when it fails, by its code and by its printed text, has a diagnosis."""

from __future__ import annotations

import pytest

from culvert.explain import explain
from culvert.tables.texts.secure_client import always_on_refusals, ssl_errors

TEXTS = [row.text for row in ssl_errors().values() if row.given] + [
    text for row in always_on_refusals() for text in (row.text, *row.spellings)
]


@pytest.mark.parametrize("code", ssl_errors())
def test_every_code_has_a_diagnosis_that_says_what_to_do(code: str) -> None:
    for language in ("en", "de"):
        told = explain([f"Description: {code}"], language=language)
        assert told.family == "anyconnect"
        assert told.outcome in {"failed", "ended"}
        assert told.diagnoses[0].why
        assert told.diagnoses[0].actions


@pytest.mark.parametrize("text", TEXTS)
def test_every_printed_text_has_a_diagnosis(text: str) -> None:
    told = explain([f"[6/14/2022 8:31:02 PM] {text}"])
    assert told.family == "anyconnect"
    assert told.outcome == "failed"


def test_that_always_on_is_switched_on_is_no_failure() -> None:
    assert explain(["[6/14/2022 8:31:02 PM] Always On is enabled"]).outcome == "unknown"
