"""What got through in which network, kept in a file for the next connection of the same profile."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import cast

from culvert.client.ways import REMEMBERED

MODE = 0o600


class RememberedWays:
    """By profile and network, the latest last. A file that cannot be read is an empty one, and
    nobody's connection fails because it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def way(self, profile: str, network: str) -> str:
        return self._read().get(profile, {}).get(network, "")

    def keep(self, profile: str, network: str, way: str) -> None:
        known = self._read()
        mine = known.setdefault(profile, {})
        if not network or mine.get(network) == way:
            return
        mine.pop(network, None)
        mine[network] = way
        if len(mine) > REMEMBERED:
            del mine[next(iter(mine))]
        self._write(known)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            return ways_in(self._path.read_bytes())
        except OSError:
            return {}

    def _write(self, known: dict[str, dict[str, str]]) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            draft.touch(MODE)
            draft.write_text(json.dumps(known), encoding="utf-8")
            draft.replace(self._path)


def ways_in(octets: bytes) -> dict[str, dict[str, str]]:
    """What such a file holds; nothing, if it is none."""
    try:
        found = cast("object", json.loads(octets))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: _texts(cast("dict[str, object]", kept))
        for name, kept in cast("dict[str, object]", found).items()
        if isinstance(kept, dict)
    }


def _texts(kept: dict[str, object]) -> dict[str, str]:
    return {network: str(way) for network, way in kept.items()}
