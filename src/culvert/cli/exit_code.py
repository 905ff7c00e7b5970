"""Exit statuses: from the code of an error or of an ending to the number a script sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import rows

FAILED = 1
"""For a code that has no row: something failed and the message says what."""


@dataclass(frozen=True, slots=True)
class ExitCode:
    """A row of tables/exit_codes.toml."""

    status: int
    codes: tuple[str, ...]
    meaning: str


@cache
def exit_codes() -> tuple[ExitCode, ...]:
    return rows("exit_codes.toml", "exit", ExitCode)


@cache
def _by_code() -> Mapping[str, int]:
    return MappingProxyType({code: row.status for row in exit_codes() for code in row.codes})


def status_of(code: str) -> int:
    """The exit status for ``code``."""
    return _by_code().get(code, FAILED)
