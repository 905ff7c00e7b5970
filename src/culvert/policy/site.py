"""Site: another gateway with networks behind it, joined to ours (LAN to LAN)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from culvert.ike.outputs import Configuration
from culvert.ike.selector import Network, Selector
from culvert.policy.group import Group

MOST_DYNAMIC = 40
"""Sites whose address changes: an announcement is tried with the key of each."""


@dataclass(frozen=True, slots=True)
class Site:
    """``group`` holds what is set for it as for a group; it has no pool and no people.

    ``peer``: the address that its packets come from, that of its NAT if it is behind one.
    ``transport``: transport mode between the two gateways themselves.
    ``dynamic``: its address changes, or ours does, and whoever has another one says so.
    ``calls``: we call it, and call again when it is lost; else it calls us.
    """

    group: Group
    peer: str
    local: tuple[Network, ...]
    remote: tuple[Network, ...]
    calls: bool = False
    transport: bool = False
    dynamic: bool = False

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def pairs(self) -> Iterator[tuple[Selector, Selector]]:
        """Every pair of networks, ours first: a pair of IPsec SAs for each."""
        for near in self.local:
            for far in self.remote:
                yield Selector(near), Selector(far)

    @property
    def permitted(self) -> Configuration:
        """What its quick modes may ask for."""
        far, near = map(Selector, self.remote), map(Selector, self.local)
        return Configuration(peer_may_use=tuple(far), reachable=tuple(near))
