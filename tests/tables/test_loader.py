"""The loader of tables: rows become values, and strange or missing keys are refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from culvert.errors import ConfigError
from culvert.tables.loader import document, rows


@dataclass(frozen=True, slots=True)
class Exchange:
    number: int
    name: str
    short: str
    remark: str = "none"


@dataclass(frozen=True, slots=True)
class OnlyNumber:
    number: int


@dataclass(frozen=True, slots=True)
class Wanting:
    number: int
    name: str
    short: str
    colour: str


@dataclass(frozen=True, slots=True)
class Hash:
    token: str
    name: str
    number: int
    octets: int
    label: str
    aliases: tuple[str, ...] = ()
    legacy: str = ""
    weak: str = ""


def test_rows_become_values_with_defaults_for_what_is_not_there() -> None:
    first = rows("isakmp.toml", "exchange", Exchange)[0]
    assert first == Exchange(1, "Base", "BASE")


def test_lists_become_tuples() -> None:
    found = {row.token: row.aliases for row in rows("algorithms.toml", "hash", Hash)}
    assert found["sha1"] == ("sha",)
    assert found["md5"] == ()


def test_an_unknown_key_is_refused_with_its_row() -> None:
    with pytest.raises(ConfigError, match=r"isakmp.toml: exchange row 1: unknown \['name', 'sh"):
        rows("isakmp.toml", "exchange", OnlyNumber)


def test_a_missing_key_is_refused_with_its_row() -> None:
    with pytest.raises(ConfigError, match=r"isakmp.toml: exchange row 1: missing \['colour'\]"):
        rows("isakmp.toml", "exchange", Wanting)


def test_a_heading_that_is_not_there_has_no_rows() -> None:
    assert rows("isakmp.toml", "nothing", Exchange) == ()


def test_a_file_is_read_once() -> None:
    assert document("isakmp.toml") is document("isakmp.toml")
