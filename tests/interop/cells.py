"""Pytest plugin: which cells of docs/interop.md did the tests of this run prove?

A test says so beforehand, ``@pytest.mark.cell(row, column)``, or when it knows, with the fixture
``cell(row, column)``. Ids are those of rows.toml; one that is not there stops the run. Outcomes go
into the same record as those of requirements (requirements/plugin.py).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interop.rows import COLUMNS, ROWS

PROPERTY = "cell"
KNOWN_ROWS = frozenset(row.id for row in ROWS)
KNOWN_COLUMNS = frozenset(column.id for column in COLUMNS)

Proves = Callable[[str, str], None]


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "cell(row, column): the cell of docs/interop.md that this test fills",
        "interop_matrix: one of hundreds of alike runs; only `make interop` does them",
    ):
        config.addinivalue_line("markers", line)


def attach(item: pytest.Item, row: str, column: str) -> None:
    if row not in KNOWN_ROWS or column not in KNOWN_COLUMNS:
        raise pytest.UsageError(f"{item.nodeid}: rows.toml has no cell ({row!r}, {column!r})")
    item.user_properties.append((PROPERTY, [row, column]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("cell"):
            if len(mark.args) != 2 or mark.kwargs:
                raise pytest.UsageError(f"{item.nodeid}: write cell(row, column)")
            attach(item, *mark.args)


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Proves:
    """Call it before what may fail, or the failure is not told."""
    return lambda row, column: attach(request.node, row, column)
