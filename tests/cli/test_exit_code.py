"""The exit status table covers every error and every ending."""

from __future__ import annotations

import pytest

import culvert.errors
from culvert.cli.exit_code import FAILED, exit_codes, status_of
from culvert.errors import CulvertError
from culvert.session.ending import endings

ERRORS = [
    kind
    for kind in vars(culvert.errors).values()
    if isinstance(kind, type) and issubclass(kind, CulvertError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_status(kind: type[CulvertError]) -> None:
    assert any(kind.code in row.codes for row in exit_codes())


@pytest.mark.parametrize("reason", endings())
def test_every_ending_has_a_status(reason: str) -> None:
    assert any(reason in row.codes for row in exit_codes())


def test_no_code_and_no_status_stands_twice() -> None:
    codes = [code for row in exit_codes() for code in row.codes]
    statuses = [row.status for row in exit_codes()]
    assert len(codes) == len(set(codes))
    assert len(statuses) == len(set(statuses))


def test_only_success_is_zero_and_all_fit_a_shell() -> None:
    assert status_of("by-user") == 0
    assert [row.status for row in exit_codes() if row.status == 0] == [0]
    assert all(0 <= row.status <= 130 for row in exit_codes())


def test_a_code_without_a_row_fails_all_the_same() -> None:
    assert status_of("something.new") == FAILED != 0
