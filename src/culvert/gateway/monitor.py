"""The monitor's side of the worker: starts it, answers it, relays requests, starts it again.

A worker that dies, or says what makes no sense, takes its own sessions with it and nothing else:
sockets, TUN, routes, keys and the log are here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, cast

from culvert.driver.channel import Channel, Message
from culvert.driver.confined import READY, handed_down, signals_kept_off, told
from culvert.driver.control import Request, RequestError
from culvert.driver.kernel_door import KernelDoor
from culvert.driver.loop import NewKeys
from culvert.driver.message import MessageError
from culvert.driver.process_end import kill
from culvert.driver.process_end import told as end_told
from culvert.effects import (
    CertificateJudged,
    InstallSa,
    Judge,
    JudgeCertificate,
    Judged,
    Sign,
    Signed,
)
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway.config import GatewayConfig
from culvert.gateway.record_file import RecordFile
from culvert.gateway.recorded import FIRST, STOPS, Wanted
from culvert.gateway.worker import Orders
from culvert.ike.outputs import Keyed
from culvert.netio.xfrm import KernelIpsec
from culvert.secret import Secret
from culvert.vault.trust import Trust

WORKER = (sys.executable, "-m", "culvert.gateway.worker")
AGAIN = (0.1, 0.5, 2.0, 5.0)
"""Seconds before a worker is started again; the last for all later times within `CALM`."""
CALM = 60.0
"""Seconds of life after which a worker's end counts as the first."""
ABSENT = "the gateway's worker is starting again"
MOST_ORDERS = 5000
"""Orders of a worker under way; the vault refuses logins long before."""


def without_secrets(config: GatewayConfig) -> GatewayConfig:
    """What everybody but the vault may know of the configuration."""
    trust = Trust(replace(config.trust.rules, authorities=(), known=(), lists=()))
    nothing: Mapping[str, Secret] = {}
    restart = replace(config.restart, accounts=())
    return replace(config, restart=restart, group_keys=nothing, trust=trust)


class House(Protocol):
    """The vault, and who judges certificates (`culvert.gateway.house`)."""

    def serve(self, end: socket.socket) -> None: ...
    async def judge(self, order: Judge) -> Judged: ...
    async def sign(self, order: Sign) -> Signed: ...
    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged: ...


class Monitor:
    """``orders`` makes those of the next worker; ``counted`` hears how many sessions there were;
    ``keys`` those that are made, if somebody asked for a key log; ``recorded`` the record.
    ``worker``: its number, from 0 on. ``ledger`` makes a line to what several workers count
    together, if there are several."""

    def __init__(
        self,
        orders: Callable[[], Orders],
        descriptors: Sequence[int],
        house: House,
        record: Callable[[LogEvent], None],
        counted: Callable[[int], None],
        clock: Callable[[], float],
        keys: Callable[[NewKeys], None] | None = None,
        kernel: KernelDoor | None = None,
        ledger: Callable[[], socket.socket] | None = None,
        recorded: RecordFile | None = None,
        worker: int = 0,
    ) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._recorded = recorded
        self._records = FIRST  # the number of that one
        self._orders = orders
        self._descriptors = tuple(descriptors)
        self._house = house
        self._record = record
        self._counted = counted
        self._clock = clock
        self._keys = keys
        self._channel: Channel | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[tuple[str, ...]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._ends = 0
        self._started = 0.0
        self._heir: socket.socket | None = None
        self._taken: asyncio.Future[tuple[float, int]] | None = None
        self._worker = worker
        self._doubt = ""
        self.watch: Callable[[bool], None] = _nobody
        """Is told when the worker is gone (False), and when another one serves (True)."""

    # --- life --------------------------------------------------------------------------------

    async def start(self, before: int = -1, attempt: int = 0) -> tuple[str, ...]:
        """A worker that is ready; what its confinement lacks on this system. Raises MessageError
        when it does not come up. ``before``: the line to a worker that it takes over from."""
        self._started, self._doubt = self._clock(), ""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._taken = loop.create_future() if before >= 0 else None
        ours, theirs = socket.socketpair()
        door, their_door = socket.socketpair()
        hand, their_hand = socket.socketpair()
        if self._heir is not None:
            self._heir.close()
        self._heir, their_heir = socket.socketpair()
        count = self._ledger() if self._ledger is not None else None
        orders = told(self._orders())
        self._channel = Channel(self._heard, self._lost)
        try:
            ends = (theirs, their_door, their_hand, their_heir)
            counted = -1 if count is None else count.fileno()
            handed = (orders, *[one.fileno() for one in ends], before, counted)
            await self._channel.open(ours)
            with signals_kept_off():
                self._process = await asyncio.create_subprocess_exec(
                    *WORKER,
                    *map(str, (*handed, attempt)),
                    pass_fds=tuple([one for one in (*handed, *self._descriptors) if one >= 0]),
                    stdout=asyncio.subprocess.DEVNULL,
                    env=handed_down(),
                )
        except OSError:  # no process, no memory, no descriptors: nothing of this attempt stays
            self._channel.cut()
            for one in (ours, door, hand):
                one.close()
            raise
        finally:
            os.close(orders)
            theirs.close()
            their_door.close()
            their_hand.close()
            their_heir.close()
            if count is not None:
                count.close()
        self._house.serve(door)
        self._serve_kernel(hand)
        return await asyncio.wait_for(self._ready, READY)

    def _serve_kernel(self, end: socket.socket) -> None:
        if self._kernel is None:
            end.close()
            return
        self._kernel.serve(end)
        hand = self._kernel.hand
        asyncio.get_running_loop().add_reader(hand.listen(), self._kernel_says, hand)

    def _kernel_says(self, hand: KernelIpsec) -> None:
        if (news := hand.news()) and self._channel is not None:
            self._channel.say({"kernel": tuple(news)})

    # --- hot restart -------------------------------------------------------------------------

    @property
    def heir(self) -> socket.socket:
        """The line to this worker, for the one that takes over from it; without what an attempt
        that failed has left in it."""
        if self._heir is None:
            raise _absent()
        self._heir.setblocking(False)
        with suppress(BlockingIOError):
            while self._heir.recv(1 << 20):
                pass
        return self._heir

    async def hand_over(self, attempt: int) -> Mapping[str, object]:
        """The worker hands everything to its heir: ``handed``, or ``why`` not."""
        if self._channel is None:
            raise _absent()
        self._stopping = True  # its end is expected now
        try:
            answer = await self._channel.ask({"hand_over": attempt})
        except MessageError:
            self._stopping = False
            self._lost("it died while it handed over")
            raise
        result = cast("Mapping[str, object]", answer.get("result", {}))
        if result.get("handed") is not True:
            self._stopping = False
        return result

    def replaced(self, number: int) -> None:
        """Somebody else has this session now."""
        if self._channel is not None:
            self._channel.say({"replaced": number})

    def sibling(self, worker: int, *, up: bool) -> None:
        """Of another worker: its process is gone, or another one serves."""
        if self._channel is not None:
            self._channel.say({"sibling": worker, "up": up})

    def distrust(self, why: str) -> None:
        """The worker must not serve on: it is ended, and another one begins."""
        self._doubt = why
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            kill(self._process)

    def abandon(self) -> None:
        """The heir is gone: the worker goes on, unless it is too late for that."""
        if self._channel is not None:
            self._channel.say({"abandon": ""})

    async def taken(self) -> tuple[float, int]:
        """When this worker has taken over: seconds without packets, and its sessions. Raises
        MessageError when it does not."""
        if self._taken is None:
            raise MessageError("there is nobody to take over from")
        return await self._taken

    def expect_end(self) -> None:
        """The gateway stops: a worker that is gone from now on is no loss."""
        self._stopping = True

    async def stop(self, patience: float, reason: str = "peer-shutdown") -> None:
        """Farewells with this ``reason`` are sent; after ``patience`` seconds it is ended."""
        self.expect_end()
        if self._channel is not None:
            self._channel.say({"stop": reason})
        try:
            if self._process is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), patience)
        finally:  # also when a second signal cuts the wait short
            await self._ended()
            if self._channel is not None:
                self._channel.close()
            if self._recorded is not None:
                self._recorded.end(STOPS, 0)
            if self._heir is not None:
                self._heir.close()

    async def _ended(self) -> None:
        self._kill()
        if self._process is not None:
            await self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def _lost(self, why: str) -> None:
        if self._ready is not None and not self._ready.done():
            self._begin(self._not_up(self._ready, why))
            return
        if self._taken is not None and not self._taken.done():
            self._taken.set_exception(MessageError(f"the new worker did not take over: {why}"))
            return
        if not self._stopping:
            self._begin(self._again(why))

    async def _not_up(self, ready: asyncio.Future[tuple[str, ...]], why: str) -> None:
        why = await self._end_told(why)
        if not ready.done():
            ready.set_exception(MessageError(f"the worker did not come up: {why}"))

    def _stops(self) -> bool:
        """Asked anew after each wait."""
        return self._stopping

    async def _end_told(self, why: str) -> str:
        """With the signal or exit code, and with what made us end it, if we did."""
        why = await end_told(why, self._process)
        return f"{why} ({self._doubt})" if self._doubt else why

    async def _again(self, why: str) -> None:
        """Another worker; the sessions of this one are gone, and their clients find out by DPD."""
        self.watch(False)
        if self._recorded is not None:
            self._recorded.lost()
        why = await self._end_told(why)
        if self._channel is not None:
            self._channel.cut()  # or its end, when the process is killed, would count again
        await self._ended()
        if self._stops():
            return
        self._ends = 1 if self._clock() > self._started + CALM else self._ends + 1
        wait = AGAIN[min(self._ends, len(AGAIN)) - 1]
        self._record(LogEvent("gateway.worker-lost", {**self._named, "why": why, "wait": wait}))
        await asyncio.sleep(wait)
        if self._stops():
            return
        try:
            await self.start()
        except (MessageError, TimeoutError, OSError) as error:
            if self._stops():
                return
            self._begin(self._again(str(error) or "it did not come up in time"))
            return
        self.watch(True)
        self._record(LogEvent("gateway.worker-started", {**self._named, "times": self._ends}))

    @property
    def _named(self) -> dict[str, Field]:
        return {"worker": self._worker + 1}

    # --- what it says ------------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        match message:
            case {"event": LogEvent() as event}:
                self._record(event)
                if isinstance(count := message.get("cumulative"), int):
                    self._counted(count)
            case {"order": Judge() | Sign() | JudgeCertificate() as order, "number": int(number)}:
                if len(self._tasks) >= MOST_ORDERS:
                    raise MessageError("too many orders at once")
                self._begin(self._carry_out(order, number))
            case {"keys": Keyed() | InstallSa() as made} if self._keys is not None:
                self._keys(made)
            case {"ready": missing} if isinstance(missing, tuple):
                if self._ready is not None and not self._ready.done():
                    found = cast("tuple[object, ...]", missing)
                    self._ready.set_result(tuple(map(str, found)))
            case {"serving": float(waited), "sessions": int(count)}:
                if self._taken is not None and not self._taken.done():
                    self._taken.set_result((waited, count))
            case {"not_taken": str(why)}:
                if self._taken is not None and not self._taken.done():
                    self._taken.set_exception(MessageError(why))
            case _:
                self._of_record(message)

    def _of_record(self, message: Message) -> None:
        """A record may have filled its file and another be asked for before the worker knows."""
        recorded = self._recorded
        match message:
            case {"record": str(), "of": int(of)} | {"recorded": str(), "of": int(of)} if (
                FIRST <= of < self._records
            ):
                pass
            case {"record": str(piece), "of": self._records} if recorded is not None:
                if not recorded.add(piece) and self._channel is not None:
                    self._channel.say({"record": "end", "of": self._records})
            case {"recorded": str(why), "inputs": int(inputs), "of": self._records} if (
                recorded is not None
            ):
                recorded.end(why, inputs)
            case _:
                raise MessageError("a worker may not say that")

    async def _carry_out(self, order: Judge | Sign | JudgeCertificate, number: int) -> None:
        channel = self._channel
        match order:
            case Judge():
                answer: object = await self._house.judge(order)
            case Sign():
                answer = await self._house.sign(order)
            case _:
                answer = await self._house.judge_certificate(order)
        if channel is not None:
            channel.say({"answers": number, "answer": answer})

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def record(self, path: str, wanted: Wanted) -> None:
        """The next session of that caller, into that file. Raises RequestError, and PlatformError
        when the file cannot be made."""
        if self._recorded is not None and self._recorded.open:
            raise RequestError(
                "cli.already",
                "a record is being made already",
                "Wait for its end (`culvert gateway log` tells it), or stop the gateway.",
            )
        if self._channel is None:
            raise _absent()
        self._recorded = RecordFile(path, wanted, self._record)
        self._recorded.take_wanted()
        self._records += 1
        said = {"record": "begin", "caller": wanted.caller, "secrets": wanted.secrets}
        self._channel.say({**said, "of": self._records})

    # --- what administrators ask -------------------------------------------------------------

    async def ask(self, method: str, request: Request) -> Mapping[str, object]:
        """Let the worker answer; its rows go on as they come."""

        def meanwhile(message: Message) -> None:
            if message.get("kind") == "rows":
                rows = cast("tuple[Mapping[str, object], ...]", message.get("value", ()))
                request.rows(rows)

        params = dict(request.params)
        return await self.answer(method, params, meanwhile)

    async def answer(
        self,
        method: str,
        params: Mapping[str, object],
        meanwhile: Callable[[Message], None] | None = None,
    ) -> Mapping[str, object]:
        """The result; what the worker refuses is refused in its words."""
        if self._channel is None:
            raise _absent()
        asked = {"request": method, "params": params}
        try:
            answer = await self._channel.ask(asked, meanwhile)
        except MessageError as error:
            raise _absent() from error
        match answer:
            case {"result": result} if isinstance(result, dict):
                return cast("Mapping[str, object]", result)
            case {"error": {"code": str(code), "sentence": str(said), "action": str(action)}}:
                raise RequestError(code, said, action)
            case _:
                raise _absent()


def _nobody(_: bool) -> None:
    return


def _absent() -> RequestError:
    return RequestError(
        "cli.not-found",
        ABSENT,
        "Ask again in a moment; `culvert gateway log` tells what happened.",
    )
