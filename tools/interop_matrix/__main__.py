"""Writes docs/interop.md and docs/results/interop.json from recorded runs. Runs nothing.

Usage: python tools/interop_matrix [--root DIR] [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Rows are where the tests that fill them are, and named as in our tables.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import page  # noqa: E402
from runs import TableError, merged, read_cannot, read_kept, text  # noqa: E402

KEPT = "docs/results/interop.json"
PAGE = "docs/interop.md"
CANNOT = "tests/interop/cannot.toml"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="interop_matrix", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    parser.add_argument(
        "--check", action="store_true", help="only compare the page with what is kept"
    )
    chosen = parser.parse_args()
    kept, shown = chosen.root / KEPT, chosen.root / PAGE
    try:
        cannot = read_cannot(chosen.root / CANNOT)
        if chosen.check:
            made = page.made(read_kept(kept), cannot)
            same = shown.is_file() and shown.read_text("utf-8") == made
            print(f"{PAGE} {'is' if same else 'is not'} what {KEPT} says")
            return 0 if same else 1
        record = merged(chosen.root, kept)
        made = page.made(record, cannot)
    except TableError as problem:
        print(f"interop_matrix: {problem}", file=sys.stderr)
        return 2
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(text(record), "utf-8")
    shown.write_text(made, "utf-8")
    print(f"{PAGE}: {page.counted(record)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
