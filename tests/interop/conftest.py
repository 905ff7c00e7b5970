"""Fixtures for tests with real programs: a lab of one's own per test module, and its logs."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path

import pytest

from culvert.lab.lab import Lab, sweep
from interop.peers import pki as authority
from interop.peers.pki import Pki

# A dialogue with a real peer has time-outs of its own; this only ends a test that hangs.
TIMEOUT = 180
LOG_TAIL = 6000
numbers = count()


@pytest.fixture(scope="session")
def swept() -> None:
    """Labs that a crashed run left are gone."""
    sweep()


@pytest.fixture(scope="module")
def lab(swept: None) -> Iterator[Lab]:
    """A lab nobody else uses: its prefix holds our process number."""
    with Lab(f"t{os.getpid()}n{next(numbers)}") as standing:
        yield standing


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return authority.make(Path(tmp_path_factory.mktemp("pki")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("peer") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what every program of its lab logged."""
    report = yield
    standing = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(standing, Lab):
        for log in sorted(standing.state.glob("*.log")):
            said = log.read_text("utf-8", "replace")[-LOG_TAIL:]
            if said.strip():
                report.sections.append((f"lab log {log.name}", said))
    return report
