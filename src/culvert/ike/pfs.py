"""PFS that fits at one end only, by name: what is said of it in a refusal between our own kind.

The text is the data of the notify NO-PROPOSAL-CHOSEN, in a message that proves its sender.
"""

from __future__ import annotations

import re

from culvert.errors import NegotiationError
from culvert.ike.proposal import Difference
from culvert.tables.algorithms import GROUPS

NO_PFS = "none"
LONGEST = 256
"""Octets of a refusal that are looked at: enough for every group there is."""

_WORDS = frozenset((NO_PFS, *(row.token for row in GROUPS)))
_SAID = re.compile(rb"PFS group: ([a-z0-9]+) offered, ([a-z0-9 ]+) accepted")


class PfsMismatch(NegotiationError):
    """All else would fit. ``offered`` by the peer, ``accepted`` here."""

    def __init__(self, difference: Difference, comparisons: tuple[Difference, ...]) -> None:
        self.offered, self.accepted = difference.remote, difference.local
        super().__init__(
            f"PFS group {self.offered} is offered, {self.accepted} is accepted", comparisons
        )

    @property
    def data(self) -> bytes:
        return f"PFS group: {self.offered} offered, {self.accepted} accepted".encode()


def heard(data: bytes) -> tuple[str, str] | None:
    """What we offered and the peer accepts, by its refusal; None if that says nothing of PFS."""
    found = _SAID.fullmatch(data) if len(data) <= LONGEST else None
    if found is None:
        return None
    offered, accepted = found[1].decode(), found[2].decode()
    words = {offered, *accepted.split(" or ")}
    return (offered, accepted) if words <= _WORDS else None
