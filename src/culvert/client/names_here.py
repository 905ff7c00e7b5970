"""Split DNS where this system's resolver cannot do it: a stub of our own passes questions on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from culvert.effects import TunnelSettings
from culvert.netio.machine import Machine
from culvert.netio.stub import Branches, Stub


class NamesHere:
    """Of one connection."""

    def __init__(self) -> None:
        self._stub: Stub | None = None

    async def fit(self, settings: TunnelSettings, machine: Machine) -> TunnelSettings:
        """What to tell the system: the stub where it is needed. Raises PlatformError."""
        domains, servers = settings.split_domains, settings.dns_servers
        if not domains or not servers or machine.splits_names:
            return settings
        if self._stub is None:
            outside = await asyncio.to_thread(machine.name_servers)
            stub = Stub(Branches(domains, servers, outside))
            await stub.open()
            self._stub = stub
        self._stub.branches = replace(self._stub.branches, domains=domains, inside=servers)
        return replace(settings, dns_servers=(self._stub.address,), split_domains=())

    async def close(self) -> None:
        """After the system was told otherwise. Closing twice is normal."""
        stub, self._stub = self._stub, None
        if stub is not None:
            await stub.close()
