"""The file ``TunnelEstablished``: ``1`` while a connection works, else ``0`` (S0-40)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MODE = 0o644


def mark_established(path: Path, *, established: bool) -> None:
    """Replace the file atomically; whoever reads it sees one or the other, never neither.

    Nobody's connection fails because a file for other programs could not be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        draft.write_text("1\n" if established else "0\n", encoding="ascii")
        draft.chmod(MODE)
        draft.replace(path)
