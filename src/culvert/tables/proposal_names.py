"""The Cisco VPN Client's names of proposals in our tokens: ``CiscoVPNClient-AES256-SHA`` is
``aes256-sha1-modp1024`` with XAUTH behind a group key. Names are found in lower case."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.tables.algorithms import (
    AUTHENTICATIONS,
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
)
from culvert.tables.texts.proposals import phase1_proposals, phase2_proposals

COMPRESSED = "lzs"
"""What ``+IPCOMP`` stands for: the one that concentrators of that time have."""


@dataclass(frozen=True, slots=True)
class ProposalName:
    """``authentication``: the one way that a name of phase 1 stands for; empty in phase 2.
    ``compressed``: the name wants IPComp beside ESP, which is LZS then."""

    phase: int
    number: int
    name: str
    tokens: str
    authentication: str = ""
    compressed: bool = False


def _phase1() -> tuple[ProposalName, ...]:
    ciphers = {(row.number, row.key_bits): row.token for row in IKE_CIPHERS}
    hashes = {row.number: row.token for row in HASHES}
    groups = {row.number: row.token for row in GROUPS}
    ways = {row.number: row.name for row in AUTHENTICATIONS}
    return tuple(
        [
            ProposalName(
                1,
                row.number,
                row.name,
                f"{ciphers[row.encryption, row.key_bits]}-{hashes[row.hash]}-{groups[row.group]}",
                ways[row.authentication],
            )
            for row in phase1_proposals().values()
        ]
    )


def _phase2() -> tuple[ProposalName, ...]:
    ciphers = {(row.number, row.key_bits): row.token for row in ESP_CIPHERS}
    integrities = {row.number: row.token for row in INTEGRITIES}
    return tuple(
        [
            ProposalName(
                2,
                row.number,
                row.name,
                f"{ciphers[row.transform, row.key_bits]}-{integrities[row.integrity]}"
                + (f"-{COMPRESSED}" if row.compressed else ""),
                compressed=row.compressed,
            )
            for row in phase2_proposals()
        ]
    )


PROPOSAL_NAMES = (*_phase1(), *_phase2())
"""All 53 of phase 1 and all 16 of phase 2, each in the order of the document."""

_FOUND = {(row.phase, row.name.lower()): row for row in PROPOSAL_NAMES}


def proposal_name(name: str, phase: int) -> ProposalName | None:
    return _FOUND.get((phase, name.lower()))


def tokens_of(name: str, phase: int) -> str:
    """The tokens that a name stands for; what is no such name stays as it is."""
    row = proposal_name(name, phase)
    return row.tokens if row else name


def way_of(name: str) -> str:
    """The way to authenticate that a name of phase 1 stands for; empty for tokens."""
    row = proposal_name(name, 1)
    return row.authentication if row else ""
