"""The rows and columns of docs/interop.md, made from rows.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from culvert.tables.proposal_names import PROPOSAL_NAMES

ENDS = ("client", "gateway")
TABLE = Path(__file__).with_name("rows.toml")
_read: dict[str, Any] = tomllib.loads(TABLE.read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Column:
    """One program; ``proves``: which of our ends is the other one in its runs."""

    id: str
    title: str
    proves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """``section`` is the table it stands in; ``ends``: which of our ends it is about."""

    id: str
    section: str
    title: str
    ends: tuple[str, ...] = ENDS


def phase1(suite: str, mode: str) -> str:
    """A row's id; ``suite`` as in a profile."""
    return f"phase1 {suite} {mode}"


def phase2(suite: str, pfs: str = "none") -> str:
    """A row's id; ``pfs`` is the group of the fresh exchange."""
    return f"phase2 {suite} {pfs}"


def named(proposal: str, mode: str = "") -> str:
    """A row's id; ``proposal`` by the Cisco client's name, ``mode`` of those of phase 1."""
    return f"name {proposal} {mode}".rstrip()


COLUMNS = tuple(Column(**{**row, "proves": tuple(row["proves"])}) for row in _read["column"])
_one, _two = _read["phase1"], _read["phase2"]
PHASE1 = tuple(map("-".join, product(_one["ciphers"], _one["hashes"], _one["groups"])))
MODES = tuple(_one["modes"])
PHASE2 = (*_two["whole"], *map("-".join, product(_two["ciphers"], _two["integrities"])))
PFS = tuple(_two["pfs"])
ROWS = (
    *(
        Row(phase1(suite, mode), f"Phase 1, {mode} mode", suite)
        for mode in MODES
        for suite in PHASE1
    ),
    *(
        Row(
            phase2(suite, pfs),
            "Phase 2, no fresh exchange" if pfs == "none" else f"Phase 2, fresh exchange {pfs}",
            suite,
        )
        for pfs in PFS
        for suite in PHASE2
    ),
    *(
        Row(named(row.name, mode), f"Cisco's names, phase 1, {mode} mode", row.name)
        for mode in MODES
        for row in PROPOSAL_NAMES
        if row.phase == 1
    ),
    *(
        Row(named(row.name), "Cisco's names, phase 2", row.name)
        for row in PROPOSAL_NAMES
        if row.phase == 2
    ),
    *(Row(**{**row, "ends": tuple(row.get("ends", ENDS))}) for row in _read["row"]),
)
