#!/usr/bin/env python3
"""Writes requirements.lock anew: the newest of everything pyproject.toml asks for, pinned.

Usage: python3 tools/lock.py   (or: make lock)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
HEAD = "# Runtime and development, pinned; written by `make lock`.\n"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *project["dependency-groups"]["dev"],
    ]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder) / "bin" / "pip"), "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
        frozen = subprocess.run(
            [*pip, "freeze", "--all", "--exclude", "pip"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    rows = frozen.splitlines()
    if places := [row for row in rows if "==" not in row]:
        sys.exit(f"installed from a place instead of a registry: {places}")
    LOCK.write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
    print(f"{LOCK.name}: {len(rows)} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
