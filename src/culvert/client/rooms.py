"""Which room the core and data path of a connection get: a worker of their own, or this process.

A service that runs as root has workers (docs/reference/processes.md); one that does not could take
nothing from them that it has itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from culvert.client.apart import Apart, Means
from culvert.client.births import Births
from culvert.client.live import Live
from culvert.client.ports import Ports
from culvert.client.recording import core_of, recorded_to
from culvert.client.running import ClientCore, Here, Running
from culvert.driver.clock import boottime
from culvert.driver.confined import empty_root
from culvert.driver.journal import wall_clock
from culvert.driver.loop import NewKeys
from culvert.driver.user_engine import Choice
from culvert.eventlog.event import LogEvent
from culvert.rng import Random
from culvert.vault.trust import Trust

NO_ROOT = "the service does not run as root: what the gateway says is read in the service itself"
CALM = 5.0
"""Seconds after a connection until a process is started for the next: a service that is stopped, or
asked to connect again, has better things to do before."""

SECRETS = (
    "its record keeps secrets, so they must be where it is written: what the gateway says is read "
    "in the service itself"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one connection needs. ``record``: a file to write a record to, or empty; ``secrets``:
    with the passwords."""

    trust: Trust
    engine: Choice
    bare_esp: bool
    keys: Callable[[NewKeys], None] | None = None
    record: str = ""
    secrets: bool = False


class Rooms:
    """Of one service, on the running loop. ``state``: its directory."""

    def __init__(self, state: Path, rng: Random) -> None:
        self._state = state
        self._rng = rng
        self._births = Births()
        self._root = os.geteuid() == 0
        self._later: asyncio.TimerHandle | None = None
        self.prepare(0.0)

    def prepare(self, after: float = CALM) -> None:
        """For the next connection, ``after`` seconds."""
        if self._root:
            self._forget()
            self._later = asyncio.get_running_loop().call_later(after, self._births.prepare)

    def _forget(self) -> None:
        if self._later is not None:
            self._later.cancel()

    def room(self, live: Live, wish: Wish) -> Running:
        """Raises PlatformError when ports or the file of a record cannot be had."""
        bare_esp = wish.bare_esp and live.link is None
        ports = Ports.open(live.profile, bare_esp=bare_esp)
        try:
            if self._root and not wish.secrets:
                return self._apart(live, wish, ports)
            why = SECRETS if self._root else NO_ROOT
            live.heard(LogEvent("client.less-confined", {"why": why}))
            return self._here(live, wish, ports)
        except BaseException:
            ports.close()
            raise

    async def close(self) -> None:
        self._forget()
        await self._births.close()

    def _apart(self, live: Live, wish: Wish, ports: Ports) -> Apart:
        means = Means(
            self._births,
            ports,
            wish.engine.name,
            wish.trust,
            empty_root(self._state),
            wish.bare_esp,
            wish.keys,
            wish.record,
        )
        hand, link = live.hand, live.link
        kernel = (hand, link) if hand is not None and link is not None else None
        return Apart(live.profile, means, live, live.heard, lambda: live.standing, kernel)

    def _here(self, live: Live, wish: Wish, ports: Ports) -> Here:
        pump = ports.pump(live.profile, wish.engine, self._rng, live.hand)
        return Here(self._core(live, wish), pump, live, live.heard, wish.keys)

    def _core(self, live: Live, wish: Wish) -> ClientCore:
        """The connection's core, with a record if one is wanted."""
        profile, trust = live.profile, wish.trust
        return core_of(
            profile,
            self._rng,
            recorded_to(wish.record, live.heard) if wish.record else None,
            began=(wall_clock(), boottime()),
            bare_esp=wish.bare_esp,
            certificate=trust.own,
            authorities=trust.requests,
            secrets=wish.secrets,
        )
