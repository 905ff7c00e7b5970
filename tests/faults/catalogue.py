"""The faults of faults.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("faults.toml")


@dataclass(frozen=True, slots=True)
class Fault:
    """One row; the columns are explained in the table's head."""

    id: str
    section: str
    title: str
    virtual: str = ""
    client: str = ""
    gateway: str = ""
    lab: str = ""
    comes_back: bool = False

    def expected(self, end: str) -> str:
        return self.client if end == "client" else self.gateway


FAULTS = {row["id"]: Fault(**row) for row in tomllib.loads(TABLE.read_text("utf-8"))["fault"]}
VIRTUAL = {id: fault for id, fault in FAULTS.items() if fault.virtual}
LAB = {id: fault for id, fault in FAULTS.items() if fault.lab}
