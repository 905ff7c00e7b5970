"""Rows of xfrm.toml: numbers and structures of the kernel's IPsec messages (<linux/xfrm.h>)."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.tables.loader import rows


@dataclass(frozen=True, slots=True)
class Numbered:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class StructureRow:
    name: str
    octets: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelAlgorithm:
    """``icv``: bits of the check value, 0 for a cipher that has none of its own."""

    name: str
    kernel: str
    icv: int = 0


MESSAGES = {row.name: row.number for row in rows("xfrm.toml", "message", Numbered)}
ATTRIBUTES = {row.name: row.number for row in rows("xfrm.toml", "attribute", Numbered)}
STRUCTURES = {row.name: row for row in rows("xfrm.toml", "structure", StructureRow)}
CIPHERS = {row.name: row for row in rows("xfrm.toml", "cipher", KernelAlgorithm)}
INTEGRITIES = {row.name: row for row in rows("xfrm.toml", "integrity", KernelAlgorithm)}
