"""From worker to worker: the state of everything, and with it the right to seal packets.

    the old one                                            the new one
    holds its core; IKE, sessions, pairs and keys  ──>
                                                   <──     taken
    stops its engine; how far each key was used,
    and IKE messages that came meanwhile           ──>
                                                   <──     prepared
    go                                             ──>     from here on this one seals

The line between them is a socket that both inherited; nothing of it passes the monitors or a file.
Until "go" the old one can go on as if nothing had been, and after it never seals again: no sequence
number is used twice. Packets that come between the two halves wait in the kernel's queues.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from culvert.driver.clock import boottime
from culvert.driver.descriptors import Inside
from culvert.driver.loop import Driver
from culvert.driver.message import MessageError, object_in
from culvert.driver.pump import Pump
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.taking_over import UnknownSchemaError
from culvert.inet.address import Path

LONGEST = 1 << 28
"""Octets of one line: the table of 100,000 sessions."""
QUIET = 2.0
"""Seconds that logins and handshakes under way may take to come to their end."""
GLANCE = 0.02
"""Seconds between two looks at that."""
TAKEN = 15.0
"""Seconds for the new one to read everything: packets flow meanwhile."""
PREPARED = 2.0
"""Seconds that packets may have to wait, at the worst; then the old one goes on."""

Line = Mapping[str, object]


class Wire:
    """One end of the line between two workers. ``attempt`` tells lines of this hand-over from what
    one that failed has left."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.attempt = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=self._end, limit=LONGEST)

    async def say(self, **line: object) -> None:
        if self._writer is None:
            raise MessageError("the line is not open")
        said = json.dumps({"attempt": self.attempt, **line}, separators=(",", ":"))
        self._writer.write(said.encode() + b"\n")
        await self._writer.drain()

    async def hear(self, patience: float | None = None) -> Line:
        """The next line of this attempt. Raises MessageError, and TimeoutError."""
        async with asyncio.timeout(patience):
            while True:
                line = await self._next()
                if line.get("attempt") == self.attempt:
                    return line

    async def _next(self) -> Line:
        octets = await self._reader.readline() if self._reader is not None else b""
        if not octets.endswith(b"\n"):
            raise MessageError("the other worker is gone")
        return object_in(octets, "the other worker")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@dataclass(frozen=True, slots=True)
class Kept:
    """Nothing was handed over. ``unreadable``: because the state is of another form."""

    why: str
    unreadable: bool = False


# --- the old one -------------------------------------------------------------------------------


async def give(wire: Wire, core: IpsecGateway, driver: Driver, pump: Pump) -> Kept | None:
    """Hand everything over; None when that is done and this process has nothing left to do."""
    await _quiet(core, driver)
    driver.hold()
    try:
        kept = await _give(wire, core, driver, pump)
    except BaseException as error:
        driver.release()
        if isinstance(error, MessageError | TimeoutError | OSError):
            return Kept(str(error) or "it did not answer in time")
        raise
    if kept is not None:
        driver.release()
    return kept


async def _quiet(core: IpsecGateway, driver: Driver) -> None:
    """Who is half way through a handshake or a login gets to its end, if that is soon."""
    for _ in range(int(QUIET / GLANCE)):
        if not (core.half_way or driver.busy_with):
            return
        await asyncio.sleep(GLANCE)


async def _give(wire: Wire, core: IpsecGateway, driver: Driver, pump: Pump) -> Kept | None:
    now = boottime()
    for state in core.handed(now=now):
        await wire.say(state=state)
        await asyncio.sleep(0)  # packets flow on
    for pair in pump.carried.keys(now=now):
        await wire.say(pair=pair)
        await asyncio.sleep(0)
    for peer, port in {*core.peers, *pump.carried.peers.values()}:
        if info := pump.called(peer, port):
            await wire.say(called=[*peer, port, info.hex()])
    await wire.say(whole=True)
    answer = await wire.hear(TAKEN)
    if "refused" in answer:
        return Kept(str(answer["refused"]), answer.get("schema") is True)
    tun = pump.pause()
    paused = boottime()
    try:
        for used in pump.carried.progress(pump.plane, now=boottime()):
            await wire.say(used=used)
        for octets, path in driver.kept:
            await wire.say(came=[octets.hex(), path])
        await wire.say(last=boottime() - paused)
        answer = await wire.hear(PREPARED)
        if "prepared" not in answer:
            raise MessageError(str(answer.get("refused", "it is not prepared")))
        await wire.say(go=boottime() - paused)
    except BaseException:
        pump.go_on(tun)
        raise
    return None


# --- the new one -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Received:
    states: list[Line] = field(default_factory=list[Line])
    pairs: list[Line] = field(default_factory=list[Line])
    used: list[Line] = field(default_factory=list[Line])
    came: list[tuple[bytes, Path]] = field(default_factory=list[tuple[bytes, Path]])


async def take(wire: Wire, core: IpsecGateway, driver: Driver, pump: Pump, tun: Inside) -> float:
    """Go on with what another worker has. Returns for how many seconds no packet was carried.

    Raises MessageError when it does not come to that; the other one goes on then.
    """
    received = _Received()
    try:
        await _gather(wire, pump, received, "whole")
        ended = core.resume(received.states, now=boottime())
        for order in pump.carried.orders(received.pairs, now=boottime()):
            pump.arrange(order)
        await wire.say(taken=True)
        await _gather(wire, pump, received, "last")
        for active in pump.carried.go_on(received.used, pump.plane, now=boottime()):
            pump.arrange(active)
        pump.recounted()
        await wire.say(prepared=True)
    except Exception as error:
        await wire.say(refused=str(error), schema=isinstance(error, UnknownSchemaError))
        raise
    waited = (await wire.hear(PREPARED)).get("go")
    began = boottime()
    if not isinstance(waited, float):
        raise MessageError("it was not told to go on")
    driver.start()
    pump.attach(tun)
    driver.execute(ended)
    for octets, path in received.came:
        driver.ike(octets, path)
    return waited + boottime() - began


async def _gather(wire: Wire, pump: Pump, into: _Received, end: str) -> None:
    while True:
        line = await wire.hear()
        match line:
            case {"state": _}:
                into.states.append(_object(line["state"]))
            case {"pair": _}:
                into.pairs.append(_object(line["pair"]))
            case {"used": _}:
                into.used.append(_object(line["used"]))
            case {"called": [str(host), int(far), int(port), str(info)]}:
                pump.heard((host, far), port, bytes.fromhex(info))
            case {
                "came": [str(octets), [[str(near), int(own)], [str(host), int(far)], bool(natt)]]
            }:
                path = Path((near, own), (host, far), natt)
                into.came.append((bytes.fromhex(octets), path))
            case _ if end in line:
                return
            case _:
                raise MessageError("what the other worker says is not known here")


def _object(found: object) -> Line:
    if not isinstance(found, dict):
        raise MessageError("what the other worker says makes no sense")
    return cast("Line", found)
