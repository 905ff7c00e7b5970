"""Where the core and the data path of a connection run: here, or in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from culvert.datapath.xfrm.orders import News
from culvert.driver.coordinator import Coordinator
from culvert.driver.descriptors import Inside
from culvert.driver.loop import Driver, NewKeys
from culvert.driver.pump import Pump
from culvert.driver.surroundings import Surroundings
from culvert.effects import Effect, NetworksWanted
from culvert.eventlog.event import LogEvent

Snapshot = Mapping[str, object]


class ClientCore(Coordinator, Protocol):
    """The connection's coordinator."""

    @property
    def snapshot(self) -> Snapshot: ...

    def connect(self, *, now: float) -> Sequence[Effect]: ...

    def disconnect(self, *, now: float) -> Sequence[Effect]: ...

    def close(self) -> None:
        """Nothing more will be asked of it."""
        ...


class Running(Protocol):
    @property
    def snapshot(self) -> Snapshot:
        """What `culvert status` shows, as of the last `look` or change of state."""
        ...

    async def look(self) -> None:
        """Bring the snapshot up to date, counters included."""
        ...

    def begin(self) -> None: ...

    def attach(self, tun: Inside) -> None:
        """Packets flow between the network and ``tun`` from now on."""
        ...

    async def detach(self) -> None:
        """No packet leaves or enters any more, and nobody there holds the TUN."""
        ...

    def told(self, news: Sequence[News]) -> None:
        """Of the kernel's IPsec."""
        ...

    def want(self, wanted: NetworksWanted) -> None: ...

    def leave(self) -> None:
        """Say farewell; the core then says that it is over."""
        ...

    async def close(self, patience: float) -> None:
        """What the core still wants done gets ``patience`` seconds."""
        ...


class Here:
    """In this process. ``keys`` is told every key that is made, if somebody wants a key log."""

    def __init__(
        self,
        core: ClientCore,
        pump: Pump,
        surroundings: Surroundings,
        heard: Callable[[LogEvent], None],
        keys: Callable[[NewKeys], None] | None = None,
    ) -> None:
        self._core = core
        self._pump = pump
        self._driver = Driver(core, pump, surroundings, heard, keys=keys)

    @property
    def snapshot(self) -> Snapshot:
        return {**self._core.snapshot, "engine": self._pump.engine}

    async def look(self) -> None:
        self._driver.look()

    def begin(self) -> None:
        self._driver.start()
        self._driver.command(lambda now: self._core.connect(now=now), "connect")

    def attach(self, tun: Inside) -> None:
        self._pump.attach(tun)

    async def detach(self) -> None:
        self._pump.detach()

    def told(self, news: Sequence[News]) -> None:
        self._pump.told(news)

    def want(self, wanted: NetworksWanted) -> None:
        self._driver.command(lambda now: self._core.step(wanted, now=now), "networks")

    def leave(self) -> None:
        self._driver.command(lambda now: self._core.disconnect(now=now), "disconnect")

    async def close(self, patience: float) -> None:
        await self._driver.stop(patience)
        self._core.close()
