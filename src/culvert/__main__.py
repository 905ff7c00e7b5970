"""``culvert``, and ``python -m culvert``: the command line, interruptible while it still loads."""

from __future__ import annotations

import sys
from importlib import import_module

INTERRUPTED = 130  # as tables/exit_codes.toml has it, which may not have been read yet


def main() -> None:
    try:
        line = import_module("culvert.cli.main")
    except KeyboardInterrupt:
        sys.stderr.write("culvert: interrupted.\n")
        sys.exit(INTERRUPTED)
    line.main()


if __name__ == "__main__":
    main()
