"""What IpsecGateway counts of callers for the operator, beside its sessions."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping

from culvert.ike.endpoint import Endpoint


class Counted(ABC):
    _endpoint: Endpoint

    @property
    def refused_datagrams(self) -> Mapping[str, int]:
        """Counted by kind, exactly."""
        return dict(self._endpoint.refused)

    @property
    def half_open(self) -> int:
        return self._endpoint.half_open

    @property
    def unproved(self) -> Mapping[str, int]:
        """Octets heard from and sent to callers that had proved nothing, and their limits."""
        return self._endpoint.strangers.counts
