"""Names of numbers on the wire, and what is said of numbers nobody knows."""

from __future__ import annotations

import pytest

from culvert.tables.loader import document
from culvert.tables.numbers import (
    CONFIG_ATTRIBUTES,
    EXCHANGES,
    NOTIFIES,
    PAYLOADS,
    attribute_name,
    exchange_name,
    notify_name,
    payload_name,
)


def test_known_numbers_have_their_names() -> None:
    assert [exchange_name(n) for n in (2, 4, 5, 6, 32)] == ["MM", "AG", "INFO", "TRANS", "QM"]
    assert [payload_name(n) for n in (1, 4, 10, 13)] == ["SA", "KE", "NON", "VID"]
    assert notify_name(36_136) == "R-U-THERE"
    assert attribute_name(28_676) == "MODECFG_UNITY_SPLIT_INCLUDE"


def test_unknown_numbers_are_named_by_their_number() -> None:
    assert exchange_name(99) == "exchange 99"
    assert payload_name(99) == "payload 99"
    assert notify_name(9_999) == "notify 9999"
    assert attribute_name(9_999) == "attribute 9999"


@pytest.mark.parametrize(
    ("file", "heading", "table"),
    [
        ("isakmp.toml", "exchange", EXCHANGES),
        ("isakmp.toml", "payload", PAYLOADS),
        ("isakmp.toml", "notify", NOTIFIES),
        ("config_attributes.toml", "attribute", CONFIG_ATTRIBUTES),
    ],
)
def test_no_number_stands_in_a_table_twice(
    file: str, heading: str, table: dict[int, object]
) -> None:
    assert len(document(file)[heading]) == len(table)


def test_what_could_be_a_secret_is_marked_as_one() -> None:
    secret = {row.name for row in CONFIG_ATTRIBUTES.values() if row.form == "secret"}
    assert {"XAUTH_USER_PASSWORD", "XAUTH_PASSCODE", "XAUTH_NEXT_PIN", "XAUTH_ANSWER"} <= secret
    forms = {"address", "number", "text", "networks", "octets", "secret"}
    assert {row.form for row in CONFIG_ATTRIBUTES.values()} <= forms
