"""Pytest plugin: where random simulations begin, and what the run tells about its seeds.

Every run draws fresh seeds. ``--simulation-seed N`` begins at N instead, to see a failure again:

    pytest tests/simulation/test_random_connections.py -k fifty --simulation-seed 8410
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings

PROPERTY = "simulation"
OFTENER = 50  # times as many examples where `make fuzz` asks for many: each is a conversation
RANGE = 1 << 40  # short enough to type, long enough never to come twice


def examples(usual: int) -> settings:
    """How many examples a property tries whose every example is a whole conversation."""
    default = settings.get_profile("default").max_examples
    return settings(max_examples=usual * (OFTENER if settings().max_examples > default else 1))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--simulation-seed", type=int, default=None, help="first seed of random simulations"
    )


@pytest.fixture
def first_seed(request: pytest.FixtureRequest) -> int:
    """The first seed of this test."""
    given: int | None = request.config.getoption("--simulation-seed")
    return secrets.randbelow(RANGE) if given is None else given


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines: list[str] = []
    total: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY and getattr(report, "when", "") == "call":
                    seeds, counts = value
                    lines.append(seeds)
                    total.update(counts)
    if lines:
        terminalreporter.section("random connections")
        told = ", ".join(f"{count} {what}" for what, count in sorted(total.items()))
        terminalreporter.line(f"{told}; seeds {', '.join(sorted(lines))}")
