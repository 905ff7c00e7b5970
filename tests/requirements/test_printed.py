"""What the sources print stands in the program's tables, word for word (printed.toml)."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from culvert.tables.loader import document
from culvert.tables.texts.anyconnect import headers, portal_addresses, session_cookies
from culvert.tables.texts.client_tools import setmtu_switches, vpngui_switches
from culvert.tables.texts.nvm import profile_elements

HERE = Path(__file__).parent
RECORD: dict[str, list[dict[str, Any]]] = tomllib.loads((HERE / "printed.toml").read_text("utf-8"))
IDS = {r["id"] for r in tomllib.loads((HERE / "list.toml").read_text("utf-8"))["requirement"]}

PLACEHOLDER = re.compile(r"\{[a-z_0-9]+\}")
ENOUGH_LETTERS = 6
"""A form with fewer letters of its own, or with a placeholder at its head, would match nearly
anything; what it stands for must be named as elided."""


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


@cache
def texts_of(table: str) -> frozenset[str]:
    """Every text of a table, and the words its rows put together of two fields."""
    joined: list[str] = []
    if table == "texts/anyconnect.toml":
        joined += [row.line for row in headers()]
        joined += [f"{row.method} {row.path}" for row in portal_addresses()]
        joined += [f"{row.name}={{token}}" for row in session_cookies()]
    if table == "texts/nvm.toml":
        joined += [row.opening for row in profile_elements()]
    if table == "texts/client_tools.toml":
        joined += [f"{row.switch} {row.argument}" for row in vpngui_switches().values()]
        joined += [f"{row.switch} {row.argument}" for row in setmtu_switches().values()]
    return frozenset([*strings(document(table)), *joined])


@cache
def forms_of(table: str) -> tuple[re.Pattern[str], ...]:
    made: list[re.Pattern[str]] = []
    for text in texts_of(table):
        own = PLACEHOLDER.split(text)
        if len(own) > 1 and own[0] and len(re.sub(r"\W", "", "".join(own))) >= ENOUGH_LETTERS:
            made.append(re.compile(".+".join(re.escape(piece) for piece in own)))
    return tuple(made)


def holds(table: str, text: str) -> bool:
    return text in texts_of(table) or any(form.fullmatch(text) for form in forms_of(table))


PRINTED = [(e["row"], e["table"], text) for e in RECORD["printed"] for text in e["texts"]]


@pytest.mark.parametrize("table", sorted({table for _, table, _ in PRINTED}))
def test_every_printed_text_stands_in_its_table(table: str) -> None:
    lacking = [(row, text) for row, t, text in PRINTED if t == table and not holds(table, text)]
    assert lacking == []


def test_a_changed_letter_is_noticed() -> None:
    unnoticed = [
        (row, text)
        for row, table, text in PRINTED
        if text.isascii() and len(text) > 3 and holds(table, f"{text[:2]}~{text[3:]}")
    ]
    assert unnoticed == []


@pytest.mark.parametrize("entry", RECORD["elided"], ids=lambda e: f"{e['row']} {e['printed']}"[:40])
def test_every_elided_text_stands_in_its_table_in_full(entry: dict[str, str]) -> None:
    assert entry["text"] in texts_of(entry["table"])


def test_every_exception_has_a_reason_that_is_used() -> None:
    reasons = {entry["id"] for entry in RECORD["reason"]}
    assert {entry["why"] for entry in RECORD["explained"]} == reasons


def test_the_record_covers_554_texts_once_each() -> None:
    covered = Counter(
        [(row, text) for row, _, text in PRINTED]
        + [(entry["row"], entry["printed"]) for entry in RECORD["elided"]]
        + [(entry["row"], text) for entry in RECORD["explained"] for text in entry["texts"]]
    )
    assert max(covered.values()) == 1
    assert len(covered) == 554
    assert {row for row, _ in covered} <= IDS
