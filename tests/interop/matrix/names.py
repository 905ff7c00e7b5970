"""The Cisco client's proposals by name, and what a program needs to be tried with one of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from culvert.lab import topology
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName
from interop.peers.pki import Pki
from interop.rows import named
from interop.test_certificates import bundle

PHASE1 = tuple(row for row in PROPOSAL_NAMES if row.phase == 1)
PHASE2 = tuple(row for row in PROPOSAL_NAMES if row.phase == 2)
PLAIN = tuple(row for row in PHASE2 if not row.compressed)

SWITCHES = (
    "aggressive-psk",
    *("3des", "des", "null", "sha1", "md5", "ipcomp", "modp768", "modp1024", "modp1536"),
)


def cases(rows: Iterable[ProposalName], column: str) -> list[object]:
    """Parameters of a test, each marked with the cell it fills."""
    return [
        pytest.param(row, id=row.name, marks=pytest.mark.cell(named(row.name), column))
        for row in rows
    ]


def strongswan(tokens: str) -> str:
    """Its name for the tokens of a proposal."""
    return tokens.replace("sha2_", "sha")


def person(pki: Pki, way: str, user: str) -> dict[str, object]:
    """A profile with the preset; somebody who can prove himself in this way."""
    profile: dict[str, object] = {
        "preset": "cisco-4.6-exact",
        "authentication": way,
        "remote_networks": [topology.PRIVATE],
        "ca": [str(pki.certificate("ca"))],
        "revocation": "off",
        "legacy": SWITCHES,
        # strongSwan forgets the first quick mode when it refuses one that came right behind it.
        "use_two_phase2": False,
    }
    if way in ("rsa", "xauth-rsa"):
        profile["certificate"] = str(bundle(pki, user))
    if way == "psk":
        profile["exchange_mode"] = "main"  # the only one that strongSwan is set up for
    return profile
