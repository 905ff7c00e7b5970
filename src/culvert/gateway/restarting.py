"""``culvert gateway restart``: another process goes on with everything, and this one ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Protocol

from culvert.driver.control import Request, RequestError
from culvert.driver.message import MessageError
from culvert.driver.process import ENDED_BY, Ending, Listening
from culvert.eventlog.event import LogEvent
from culvert.gateway.monitor import Monitor
from culvert.gateway.succession import SERVING, STARTING, Given, Heir, Options, keep_for
from culvert.netio.tun import interfaces

LINGER = 0.3
"""Seconds in which the answer still reaches whoever asked."""


class Estate(Protocol):
    """What a running gateway leaves."""

    def given(self, attempt: int) -> tuple[Given, list[int], int]:
        """What to tell the heir, its sockets and the TUN."""
        ...


class Restarting:
    """``monitor``: of the only worker, without which there is no hot restart; ``warden``: the pipe
    of the process whose id others know, -1 if that is this one."""

    def __init__(
        self,
        estate: Estate,
        monitor: Monitor | None,
        listening: Listening,
        ending: Ending,
        record: Callable[[LogEvent], None],
        *,
        warden: int = -1,
    ) -> None:
        self._estate = estate
        self._monitor = monitor
        self._listening = listening
        self._ending = ending
        self._record = record
        self._warden = warden
        self._kept = -1
        self._attempts = 0
        self._under_way = False
        self._heir = 0
        self._cold = False

    @property
    def handed(self) -> bool:
        """Whether another process has everything now."""
        return self._heir != 0

    async def restart(self, _: Request) -> Mapping[str, object]:
        """The result says whether it was hot, how many sessions went along, and for how many
        seconds no packet was carried. An error means that this process serves on."""
        if self._under_way:
            raise RequestError("cli.already", "the gateway is restarting already")
        self._under_way = True
        try:
            return await self._restart()
        except (MessageError, TimeoutError, OSError) as error:
            raise self._failed(str(error) or "it did not answer in time") from error
        finally:
            self._under_way = self.handed or self._cold

    async def _restart(self) -> Mapping[str, object]:
        self._attempts += 1
        attempt = os.getpid() * 1000 + self._attempts
        given, sockets, tun = self._estate.given(attempt)
        monitor = self._monitor
        if monitor is None:
            raise MessageError("it has several workers")  # the estate has refused that already
        server = self._listening.server
        if server is None:
            raise MessageError("the gateway is not up yet")
        if self._warden < 0:
            self._kept, self._warden = os.pipe()
        heir = await Heir.start(
            given,
            sockets,
            tun=tun,
            control=server.fileno(),
            before=monitor.heir.fileno(),
            warden=self._warden,
        )
        try:
            said = await heir.hear(STARTING)
            if "prepared" not in said:
                raise self._refused(said)
            result = await self._hand_over(monitor, heir, attempt)
            if result.get("handed") is not True:
                await heir.dismiss()
                return self._not_handed(result)
            server.release()
            try:
                over = await heir.hear(SERVING)
            except (MessageError, TimeoutError):
                await heir.dismiss()
                return self.start_cold("the new process died at the moment it took over")
        except BaseException:
            await heir.dismiss()
            raise
        self._heir = heir.pid
        self._point_to(heir.pid)
        self._end_soon()
        return {"hot": True, **over}

    def _point_to(self, heir: int) -> None:
        """Who means the gateway means that one now."""
        if self._kept < 0:
            os.write(self._warden, f"{heir}\n".encode())
        loop = asyncio.get_running_loop()
        for number in ENDED_BY:
            loop.add_signal_handler(number, os.kill, heir, number)

    async def _hand_over(self, monitor: Monitor, heir: Heir, attempt: int) -> Mapping[str, object]:
        """The worker's result. If the heir dies before it has everything, the worker goes on."""
        asked = asyncio.ensure_future(monitor.hand_over(attempt))
        alive = asyncio.ensure_future(heir.ended())
        await asyncio.wait((asked, alive), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            monitor.abandon()
        alive.cancel()
        return await asked

    def _not_handed(self, result: Mapping[str, object]) -> Mapping[str, object]:
        why = str(result.get("why", ""))
        if result.get("unreadable") is not True:
            raise self._failed(why)
        return self.start_cold(why)

    def start_cold(self, why: str) -> Mapping[str, object]:
        """Sessions end, in words, and everything begins again."""
        self._record(LogEvent("gateway.restarted-cold", {"why": why}))
        self._cold = True
        self._end_soon()
        return {"hot": False, "why": why}

    def heard(self, event: LogEvent) -> None:
        """Of a worker. A TUN that was deleted comes back only with addresses, routes and queues of
        its own, and sessions must not wait for that unaware: everything begins again."""
        name = str(event.fields.get("name", ""))
        if event.code != "data.interface-gone" or name in interfaces():
            return
        if not (self._cold or self.handed or self._ending.event.is_set()):
            self.start_cold(f"the interface {name} was deleted")

    def _end_soon(self) -> None:
        asyncio.get_running_loop().call_later(LINGER, self._ending.ask, "restart")

    def _refused(self, said: Mapping[str, object]) -> RequestError:
        match said:
            case {"refused": {"code": str(code), "sentence": str(sentence), "action": str(action)}}:
                self._record(LogEvent("gateway.restart-failed", {"why": sentence}))
                return RequestError(code, sentence, action or SERVES_ON)
            case _:
                return self._failed("the new process says what makes no sense")

    def _failed(self, why: str) -> RequestError:
        self._record(LogEvent("gateway.restart-failed", {"why": why}))
        return RequestError("platform.unavailable", f"not restarted: {why}", SERVES_ON)

    def become(self, options: Options) -> None:
        """At the very end of this process: wait for the heir in its place, or start cold."""
        if self._heir and self._kept >= 0:
            keep_for(self._heir, self._kept)
        elif self._cold:
            os.execv(options.command[0], options.command)  # noqa: S606  # no shell is wanted


SERVES_ON = "The old process serves on, no session was touched. `culvert gateway log` tells more."
