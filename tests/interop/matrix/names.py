"""The Cisco client's proposals by name, and what a program needs to be tried with one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from culvert.lab import topology
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName
from interop.peers.pki import Pki
from interop.rows import MODES, named
from interop.test_certificates import bundle

PHASE1 = tuple(row for row in PROPOSAL_NAMES if row.phase == 1)
PHASE2 = tuple(row for row in PROPOSAL_NAMES if row.phase == 2)
PLAIN = tuple(row for row in PHASE2 if not row.compressed)

SWITCHES = (
    "aggressive-psk",
    *("3des", "des", "null", "sha1", "md5", "ipcomp", "modp768", "modp1024", "modp1536"),
)


def cases(rows: Iterable[ProposalName], column: str) -> list[object]:
    """Parameters of a test of phase 2, each marked with the cell it fills."""
    return [
        pytest.param(row, id=row.name, marks=pytest.mark.cell(named(row.name), column))
        for row in rows
    ]


def in_modes(
    rows: Iterable[ProposalName], column: str, modes: Sequence[str] = MODES
) -> list[object]:
    """The same of phase 1: name and mode."""
    return [
        pytest.param(
            row,
            mode,
            id=f"{row.name}-{mode}",
            marks=pytest.mark.cell(named(row.name, mode), column),
        )
        for mode in modes
        for row in rows
    ]


def strongswan(tokens: str) -> str:
    """Its name for the tokens of a proposal."""
    return tokens.replace("sha2_", "sha")


def person(pki: Pki, way: str, user: str, mode: str) -> dict[str, object]:
    """A profile with the preset; somebody who can prove himself in this way."""
    profile: dict[str, object] = {
        "preset": "cisco-4.6-exact",
        "authentication": way,
        "exchange_mode": mode,
        "remote_networks": [topology.PRIVATE],
        "ca": [str(pki.certificate("ca"))],
        "revocation": "off",
        "legacy": SWITCHES,
        # strongSwan forgets the first quick mode when it refuses one that came right behind it.
        "use_two_phase2": False,
    }
    if way in ("rsa", "xauth-rsa"):
        profile["certificate"] = str(bundle(pki, user))
    return profile
