"""Writes docs/faults.md and docs/results/faults.json from recorded runs. Runs nothing.

Usage: python tools/fault_list [--root DIR] [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # the list of faults is where the tests that provoke are

import page  # noqa: E402
from kept import TableError, merged, read_kept, text  # noqa: E402

KEPT = "docs/results/faults.json"
PAGE = "docs/faults.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="fault_list", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    parser.add_argument(
        "--check", action="store_true", help="only compare the page with what is kept"
    )
    chosen = parser.parse_args()
    kept, shown = chosen.root / KEPT, chosen.root / PAGE
    try:
        if chosen.check:
            made = page.made(read_kept(kept))
            same = shown.is_file() and shown.read_text("utf-8") == made
            print(f"{PAGE} {'is' if same else 'is not'} what {KEPT} says")
            return 0 if same else 1
        record = merged(chosen.root, kept)
    except TableError as problem:
        print(f"fault_list: {problem}", file=sys.stderr)
        return 2
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(text(record), "utf-8")
    shown.write_text(page.made(record), "utf-8")
    print(f"{PAGE}: {page.counted(record)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
