"""The page itself: a table for each section and each of our two ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from interop.rows import COLUMNS, ROWS, Column, Row
from runs import Cannot, Key, Run, TableError

OURSELVES = "ourselves"
ENDS = {"client": "our client", "gateway": "our gateway"}
HEAD = """\
# Interoperability

Written by `make interop` from its runs (`tools/interop_matrix`, from `docs/results/interop.json`);
edits would be lost. Each table is about one of our two ends; its columns are the programs at the
other end. strongSwan and vpnc are unmodified. A cell is

- a date: the last run, and it passed: for a suite, a megabyte came through the tunnel unchanged
  (ike-scan has no tunnel: the gateway took the suite);
- *failed* and a date: that run failed;
- *self only* and a date: it works between our own ends, and no other program has confirmed it in
  either direction;
- *cannot* and a number: the peer has no such thing, see [Peers cannot](#peers-cannot);
- empty: not run.
"""


class Matrix:
    """What is known of every cell."""

    def __init__(self, record: Run, cannot: tuple[Cannot, ...]) -> None:
        self.cells: dict[Key, Run] = {(c["row"], c["column"]): c for c in record["cells"]}
        self.cannot = cannot
        self.reasons = list(dict.fromkeys(one.reason for one in cannot))
        for row, column in self.cells:
            reason = self.reason(row, column)
            if reason and self.passed(row, column):
                raise TableError(f"cannot.toml: {column} did {row!r}, and {reason!r} stands there")

    def passed(self, row: str, column: str) -> bool:
        return self.cells.get((row, column), {}).get("outcome") == "passed"

    def reason(self, row: str, column: str) -> str:
        return next((one.reason for one in self.cannot if one.covers(row, column)), "")

    def confirmed(self, row: str) -> bool:
        """Has another program done it too, with either of our ends?"""
        return any(self.passed(row, one.id) for one in COLUMNS if one.id != OURSELVES)

    def word(self, row: str, column: str) -> str:
        cell = self.cells.get((row, column))
        if cell is None:
            reason = self.reason(row, column)
            return f"cannot {self.reasons.index(reason) + 1}" if reason else ""
        day = str(cell["date"])[:10]
        if cell["outcome"] != "passed":
            return f"failed {day}"
        return f"self only {day}" if column == OURSELVES and not self.confirmed(row) else day


def made(record: Run, cannot: tuple[Cannot, ...]) -> str:
    matrix = Matrix(record, cannot)
    sections = dict.fromkeys(row.section for row in ROWS)
    parts = [HEAD, summary(matrix)]
    for section in sections:
        for end, told in ENDS.items():
            rows = [row for row in ROWS if row.section == section and end in row.ends]
            columns = [column for column in COLUMNS if end in column.proves]
            parts.append(f"## {section}, {told}\n\n{table(matrix, rows, columns)}")
    reasons = "\n".join(f"{number}. {reason}" for number, reason in enumerate(matrix.reasons, 1))
    parts.append(f"## Peers cannot\n\n{reasons}\n")
    return "\n".join(parts)


def summary(matrix: Matrix) -> str:
    """How full the columns are."""
    lines = ["## Summary", "", "| Peer | proves | passed | failed | cannot | not run |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for column in COLUMNS:
        kinds = Counter(
            kind(matrix, row.id, column.id) for row in ROWS if {*row.ends} & {*column.proves}
        )
        counts = " | ".join(str(kinds[name]) for name in ("passed", "failed", "cannot", "not run"))
        ends = " and ".join(ENDS[end] for end in column.proves)
        lines.append(f"| {column.title} | {ends} | {counts} |")
    return "\n".join(lines) + "\n"


def kind(matrix: Matrix, row: str, column: str) -> str:
    if (row, column) in matrix.cells:
        return "passed" if matrix.passed(row, column) else "failed"
    return "cannot" if matrix.reason(row, column) else "not run"


def table(matrix: Matrix, rows: Iterable[Row], columns: list[Column]) -> str:
    lines = ["| | " + " | ".join(column.title for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for row in rows:
        words = " | ".join(matrix.word(row.id, column.id) for column in columns)
        lines.append(f"| {row.title} | {words} |")
    return "\n".join(lines) + "\n"


def counted(record: Run) -> str:
    kinds = Counter(cell["outcome"] for cell in record["cells"])
    return ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
