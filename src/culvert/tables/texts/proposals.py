"""The Cisco VPN Client's proposals by name (phase1_proposals.toml, phase2_proposals.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import rows


@dataclass(frozen=True, slots=True)
class Phase1Proposal:
    """A named combination for phase 1, in RFC 2409 numbers."""

    number: int
    name: str
    encryption: int
    hash: int
    authentication: int
    group: int
    key_bits: int = 0
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Phase2Proposal:
    """A named combination for phase 2, in RFC 2407 numbers."""

    number: int
    name: str
    transform: int
    integrity: int
    key_bits: int = 0
    compressed: bool = False


@cache
def phase1_proposals() -> Mapping[str, Phase1Proposal]:
    """All 53 by name, in the order of the document."""
    found = rows("texts/phase1_proposals.toml", "proposal", Phase1Proposal)
    return MappingProxyType({row.name: row for row in found})


@cache
def phase2_proposals() -> tuple[Phase2Proposal, ...]:
    """All 16 in sending order."""
    return rows("texts/phase2_proposals.toml", "proposal", Phase2Proposal)
