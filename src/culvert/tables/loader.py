"""Reads a table of knowledge (TOML rows) into row values, refusing what it does not know."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from importlib.resources import files
from typing import Any, TypeGuard, TypeVar

from culvert.errors import ConfigError

Row = TypeVar("Row")


@cache
def document(name: str) -> Mapping[str, Any]:
    """One file of the tables folder, parsed once."""
    text = files("culvert.tables").joinpath(name).read_text("utf-8")
    return tomllib.loads(text)


def read_all(*folders: str) -> int:
    """Read every file of the tables folder, and of these below it, now: for a process that will not
    be able to later. How many there were."""
    read = 0
    for folder in ("", *folders):
        for one in files("culvert.tables").joinpath(folder).iterdir():
            if one.name.endswith(".toml"):
                document(f"{folder}/{one.name}" if folder else one.name)
                read += 1
    return read


def rows(name: str, heading: str, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of ``[[heading]]`` in ``name`` as ``kind`` (a dataclass).

    Raises ConfigError with the row's number if a key is unknown or missing.
    """
    # kind is a dataclass; typing has no bound that says so without a private import.
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]  # see above
    needed = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    made: list[Row] = []
    for number, row in enumerate(document(name).get(heading, ()), start=1):
        if strange := row.keys() - known.keys():
            raise ConfigError(f"{heading} row {number}: unknown {sorted(strange)}", path=name)
        if missing := needed - row.keys():
            raise ConfigError(f"{heading} row {number}: missing {sorted(missing)}", path=name)
        made.append(kind(**{key: _frozen(value) for key, value in row.items()}))
    return tuple(made)


def _frozen(value: object) -> object:
    return tuple(value) if _is_list(value) else value


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)
