"""Presets: values for keys that a file leaves out (presets.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from culvert.tables.loader import rows

TABLE = "presets.toml"
NONE = "none"
"""How a file says that it wants no preset."""


@dataclass(frozen=True, slots=True)
class Preset:
    """``phase1_names``: phase 1 is all proposals that have a name for the way to authenticate."""

    name: str
    end: str
    meaning: str
    phase1_names: bool = False


@dataclass(frozen=True, slots=True)
class _Value:
    preset: str
    key: str
    value: str
    authentication: tuple[str, ...] = ()


PRESETS = {row.name: row for row in rows(TABLE, "preset", Preset)}


@cache
def preset_values(name: str, authentication: str = "") -> Mapping[str, object]:
    """Key → value of this preset, as a TOML file would give it; empty for an unknown one."""
    return {
        row.key: tomllib.loads(f"v = {row.value}")["v"]
        for row in rows(TABLE, "value", _Value)
        if row.preset == name and (not row.authentication or authentication in row.authentication)
    }
