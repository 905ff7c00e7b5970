"""Trust: what an end proves itself with, and by which rules it believes others' certificates."""

from __future__ import annotations

from dataclasses import dataclass, field

from culvert.identity.certificates.own import OwnCertificate, requests
from culvert.identity.certificates.rules import Rules
from culvert.vault.credential import Credential


@dataclass(frozen=True, slots=True)
class Trust:
    """``fetch_targets``: what may be asked about revocation besides public addresses."""

    rules: Rules
    credential: Credential | None = field(default=None, repr=False)
    fetch_targets: tuple[str, ...] = ()

    @property
    def own(self) -> OwnCertificate | None:
        """What may be shown of ourselves."""
        return self.credential.own if self.credential else None

    @property
    def requests(self) -> tuple[bytes, ...]:
        """Whose certificates the other end is asked for."""
        return requests(self.rules.authorities)
