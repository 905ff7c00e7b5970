"""``python -m culvert``: the same as the command ``culvert``."""

from __future__ import annotations

from culvert.cli.main import main

if __name__ == "__main__":
    main()
