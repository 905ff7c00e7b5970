"""The table of what is shown of which engine is true, and the page is made of it."""

from __future__ import annotations

from datapath.shown import PAGE, page, problems


def test_each_engine_has_a_test_that_is_there_for_each_row() -> None:
    assert list(problems()) == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "PYTHONPATH=tests python -m datapath.shown"
