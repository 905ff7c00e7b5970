"""Which suites a program of the matrix is tried with, and its names for ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, product

import pytest

from interop.rows import MODES, PFS, PHASE1, PHASE2, phase1, phase2

EVERYTHING = (
    "aggressive-psk",
    "3des",
    "des",
    "null",
    "sha1",
    "md5",
    "modp1024",
    "modp1536",
)
"""What must be named to be used although it is weak."""

PLENTY = {"unproved_rate": 10**9, "unproved_burst": 10**9}
"""For a gateway that is called hundreds of times a minute by one who never proves himself."""


@dataclass(frozen=True)
class Dialled:
    """One run: it fills a row of phase 1 and one of phase 2."""

    mode: str
    ike: str
    esp: str
    pfs: str

    @property
    def ike_group(self) -> str:
        return self.ike.rpartition("-")[2]

    @property
    def esp_with_group(self) -> str:
        """Phase 2 with the group of its fresh exchange, if it has one, in the name."""
        return self.esp if self.pfs == "none" else f"{self.esp}-{self.pfs}"

    def __str__(self) -> str:
        return f"{self.mode}-{self.ike}-{self.esp}-{self.pfs}"


def strongswan(suite: str) -> str:
    """Its name for a suite."""
    return suite.replace("sha2_", "sha")


def runs(
    *,
    ike: Sequence[str] = PHASE1,
    modes: Sequence[str] = MODES,
    esp: Sequence[str] = PHASE2,
    pfs: Sequence[str] = PFS,
) -> Iterator[Dialled]:
    """As many as make every row of either phase occur; the shorter list begins anew."""
    first, second = list(product(modes, ike)), list(product(pfs, esp))
    count = max(len(first), len(second))
    for _, (mode, suite), (group, protection) in zip(
        range(count), cycle(first), cycle(second), strict=False
    ):
        yield Dialled(mode, suite, protection, group)


def cases(column: str, all_runs: Iterator[Dialled]) -> list[object]:
    """Parameters of a test, each marked with the cells it fills."""
    return [
        pytest.param(
            one,
            id=str(one),
            marks=[
                pytest.mark.cell(phase1(one.ike, one.mode), column),
                pytest.mark.cell(phase2(one.esp, one.pfs), column),
            ],
        )
        for one in all_runs
    ]
