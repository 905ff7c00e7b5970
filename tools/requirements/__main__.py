"""``make requirements``: what of the list is proved, from recorded runs. Runs nothing.

Usage: python tools/requirements [--slice N] [--state NAME] [--root DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ledger import Evidence, read_evidence, read_list, read_reasons
from states import STATES, Verdict, judge

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="requirements", description=__doc__.splitlines()[0])
    parser.add_argument("--slice", type=int, default=0, help="only this part of the product")
    parser.add_argument("--state", choices=STATES, help="only rows in this state")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    chosen = parser.parse_args()

    wanted = read_list(chosen.root)
    evidence, notes = read_evidence(chosen.root)
    reasons = read_reasons(chosen.root)
    verdicts = [judge(row, evidence.get(row.id, ()), reasons, chosen.root) for row in wanted]
    shown = [
        v for v in verdicts if chosen.slice in (0, v.row.slice) and chosen.state in (None, v.state)
    ]
    for verdict in shown:
        print(told(verdict))
    for note in notes:
        print(f"note: {note}")
    counts = ", ".join(f"{sum(v.state == s for v in shown)} {s}" for s in STATES)
    print(f"{len(shown)} requirements: {counts}")


def told(verdict: Verdict) -> str:
    row = verdict.row
    lines = [f"{row.id:<7} {verdict.state:<13} [{row.mark}] part {row.slice}  {row.title}"]
    lines += [f"        {note}" for note in verdict.notes]
    lines += [f"        {line(found)}" for found in verdict.evidence]
    return "\n".join(lines)


def line(found: Evidence) -> str:
    part = f" ({found.part})" if found.part else ""
    changed = "+changes" if found.dirty else ""
    return f"{found.outcome:<7} {found.node}{part}  {found.commit[:10]}{changed} {found.suite}"


if __name__ == "__main__":
    main()
