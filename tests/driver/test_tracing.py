"""Live traces: on, off, one of several, and when somebody hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import cast

import pytest

from culvert.driver.control import Request, RequestError
from culvert.driver.tracing import MOST, Tracing
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.netio.control_socket import PeerCredentials

AT = datetime(2026, 7, 2, 10, tzinfo=UTC)


def on_a_loop(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


class Console:
    """One asker, and what it was told."""

    def __init__(self, tracing: Tracing, **params: object) -> None:
        self.told: list[str] = []
        self.is_on = False
        self._tracing = tracing
        self._params = params

    def _tell(self, kind: str, value: object) -> None:
        if kind == "rows":
            self.is_on = True
            return
        assert kind == "event"
        self.told.append(str(cast("Mapping[str, object]", value)["code"]))

    async def ask(self) -> Mapping[str, object]:
        peer = PeerCredentials(0, 0, 0)
        return await self._tracing.trace(Request(self._params, peer, self._tell))


def happens(log: EventLog, code: str, connection: str) -> None:
    log.record(LogEvent(code, {"connection": connection}), at=AT, now=0.0)


@on_a_loop
async def test_nothing_is_told_before_it_is_on_and_nothing_after_it_is_off() -> None:
    log = EventLog()
    tracing = Tracing(log)
    console = Console(tracing, on=True)
    happens(log, "client.up", "office")
    running = asyncio.ensure_future(console.ask())
    await asyncio.sleep(0)
    assert console.told == []
    assert console.is_on
    happens(log, "client.reconnecting", "office")
    assert await Console(tracing, on=False).ask() == {"ended": 1}
    assert await running == {"told": 1}
    happens(log, "client.down", "office")
    assert console.told == ["client.reconnecting"]
    assert await Console(tracing, on=False).ask() == {"ended": 0}


@on_a_loop
async def test_each_console_traces_and_ends_its_own() -> None:
    log = EventLog()
    tracing = Tracing(log)
    office, home = Console(tracing, on=True, name="office"), Console(tracing, on=True, name="home")
    running = [asyncio.ensure_future(one.ask()) for one in (office, home)]
    await asyncio.sleep(0)
    happens(log, "client.up", "office")
    happens(log, "client.down", "home")
    assert (office.told, home.told) == (["client.up"], ["client.down"])
    assert await Console(tracing, on=False, name="home").ask() == {"ended": 1}
    assert await running[1] == {"told": 1}
    assert not running[0].done()
    running[0].cancel()  # hung up
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    assert await Console(tracing, on=False).ask() == {"ended": 0}


@on_a_loop
async def test_there_is_a_most_and_an_only_topic() -> None:
    tracing = Tracing(EventLog())
    running = [asyncio.ensure_future(Console(tracing, on=True).ask()) for _ in range(MOST)]
    await asyncio.sleep(0)
    with pytest.raises(RequestError, match="the most at once"):
        await Console(tracing, on=True).ask()
    assert await Console(tracing, on=False).ask() == {"ended": MOST}
    await asyncio.gather(*running)
    with pytest.raises(RequestError, match="nothing is called"):
        await Console(tracing, on=True, topic="ppp").ask()
