"""The monitor's side of a connection that runs in a process of its own (`culvert.client.worker`).

Sockets, TUN, routes, names, the undo log and all long-term secrets are here, and stay as they are
when the worker dies: a tunnel that lets nothing pass beside it goes on to do so.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from culvert.client.births import Births, Born
from culvert.client.checked import Asked, Known, elsewhere, objection
from culvert.client.ports import Ports
from culvert.client.recording import recorded_to
from culvert.client.running import Snapshot
from culvert.client.vault import Vault
from culvert.client.worker import Orders
from culvert.datapath.xfrm.orders import News
from culvert.driver.channel import Channel, Message
from culvert.driver.clock import boottime
from culvert.driver.confined import READY, ShownCertificate, told
from culvert.driver.descriptors import Inside
from culvert.driver.journal import fault, wall_clock
from culvert.driver.kernel_door import KernelDoor
from culvert.driver.line import serve
from culvert.driver.loop import LongOrder, NewKeys
from culvert.driver.message import MessageError
from culvert.driver.process_end import kill
from culvert.driver.process_end import told as end_told
from culvert.driver.surroundings import Surroundings
from culvert.effects import (
    Answer,
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    Inquire,
    InstallSa,
    JudgeCertificate,
    MachineConfigured,
    NetworksWanted,
    OpenStream,
    Resolve,
    Resolved,
    RestoreMachine,
    SessionEnded,
    Sign,
    StreamOpened,
    TunnelSettings,
)
from culvert.eventlog.event import Field, LogEvent
from culvert.ike.outputs import Keyed
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.xfrm import KernelIpsec
from culvert.profile.profile import NO_FOREIGN, Profile
from culvert.profile.toml import write
from culvert.session.ending import closing_words
from culvert.vault.trust import Trust

AGAIN = (0.1, 0.5, 2.0)
"""Seconds before a worker is followed by another one; when it has died once more, the connection
is over."""
CALM = 60.0
"""Seconds of life after which a worker's end counts as the first."""
MOST_ORDERS = 256
"""Orders of a worker under way: line polling asks as many hosts at once as a profile may name."""
PATIENCE = 5.0
"""Seconds for a worker to say what it is asked; one that does not is ended."""
FAREWELL = 1.0
"""Seconds for a worker to end once it has nothing to do any more."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker needs of the service. ``empty``: its root directory. ``record``: a file to
    write a record to, or empty."""

    births: Births
    ports: Ports
    engine: str
    trust: Trust
    empty: str
    bare_esp: bool
    keys: Callable[[NewKeys], None] | None = None
    record: str = ""


class Apart:
    """``heard`` gets the worker's events; ``standing``: how the machine is set up at the moment,
    and by which interface."""

    def __init__(
        self,
        profile: Profile,
        means: Means,
        around: Surroundings,
        heard: Callable[[LogEvent], None],
        standing: Callable[[], tuple[TunnelSettings | None, str]],
        kernel: tuple[KernelIpsec, IpsecLink] | None,
    ) -> None:
        self._profile = profile
        self._means = means
        self._around = around
        self._tell = heard
        self._standing = standing
        self._door = KernelDoor(kernel[0]) if kernel is not None else None
        self._link = kernel[1] if kernel is not None else None
        self._vault = Vault(profile, boottime)
        self._record = recorded_to(means.record, heard) if means.record else None
        self._snapshot: Snapshot = {"state": "connecting", "step": "resolving"}
        self._resolved: dict[str, Resolved] = {}
        self._born: Born | None = None
        self._channel: Channel | None = None
        self._ready: asyncio.Future[tuple[object, ...]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: dict[asyncio.Task[None], LongOrder] = {}
        self._tun: Inside | None = None
        self._leaving = self._closing = self._down = False
        self._started = 0.0
        self._ends = 0

    # --- what the service wants ----------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def orders_under_way(self) -> int:
        """Of the worker there is, or of the one that is gone."""
        return len(self._under_way)

    async def look(self) -> None:
        self._seen(await self._ask({"look": None}))

    def begin(self) -> None:
        self._begin(self._first())

    def attach(self, tun: Inside) -> None:
        self._tun = tun
        if self._born is None or self._channel is None:
            return
        if not isinstance(tun, IpsecLink):
            with suppress(OSError):
                socket.send_fds(self._born.line, [b"."], [tun.fileno()])
        offloads = tuple(tun.offloads)
        self._say({"tun": tun.name, "virtio": tun.virtio, "offloads": offloads})

    async def detach(self) -> None:
        self._tun = None
        await self._ask({"detach": None})

    def told(self, news: Sequence[News]) -> None:
        if news:
            self._say({"kernel": tuple(news)})

    def want(self, wanted: NetworksWanted) -> None:
        self._profile = replace(self._profile, remote_networks=wanted.remote_networks)
        self._say({"networks": wanted.remote_networks})

    def leave(self) -> None:
        self._leaving = True
        self._leave_now()

    async def close(self, patience: float) -> None:
        self._closing = True
        self._say({"close": patience})
        if self._born is not None:
            await self._born.end(patience + FAREWELL)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=patience)
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if self._channel is not None:
            self._channel.close()
        if self._record is not None:
            self._record.close()
        self._means.ports.close()

    # --- life ----------------------------------------------------------------------------------

    async def _first(self) -> None:
        if await self._start():
            self._say({"begin": None})
            self._leave_now()

    async def _start(self) -> bool:
        """A worker that is ready, or the end of the connection."""
        self._started = boottime()
        try:
            missing = await self._another()
        except (MessageError, TimeoutError, OSError) as error:
            self._tell(LogEvent("client.worker-lost", {"why": str(error) or "it did not come up"}))
            self._over("error")
            return False
        for sentence in missing:
            self._tell(LogEvent("client.less-confined", {"why": str(sentence)}))
        if self._tun is not None:
            self.attach(self._tun)
        return True

    async def _another(self) -> tuple[object, ...]:
        self._ready = asyncio.get_running_loop().create_future()
        born = await self._means.births.take()
        self._born = born
        control, their_control = socket.socketpair()
        vault, their_vault = socket.socketpair()
        kernel, their_kernel = socket.socketpair()
        with their_control, their_vault, their_kernel:
            given = (their_control, their_vault, their_kernel)
            self._channel = Channel(self._heard, self._lost)
            await self._channel.open(control)
            orders = told(self._orders())
            try:
                socket.send_fds(born.line, [b"."], [orders, *self._descriptors(given)])
            finally:
                os.close(orders)
        serve(vault, self._vault.answer, "client-vault")
        if self._door is not None:
            self._door.serve(kernel)
        else:
            kernel.close()
        return await asyncio.wait_for(self._ready, READY)

    def _descriptors(self, lines: Sequence[socket.socket]) -> list[int]:
        """In the order in which `_orders` numbers them."""
        ports = self._means.ports
        bare = (ports.esp,) if ports.esp else ()
        sockets = (*lines, *ports.ike, *ports.natt, *ports.beside, *bare)
        files = (self._record,) if self._record is not None else ()
        return [one.fileno() for one in (*sockets, *files)]

    def _orders(self) -> Orders:
        profile, means, ports = self._profile, self._means, self._means.ports
        places = iter(range(3, 64))
        own = means.trust.own
        return Orders(
            name=profile.name,
            profile=write(replace(profile, group_key=None, password=None, extra=NO_FOREIGN)),
            group_key=profile.group_key is not None,
            password=profile.password is not None,
            began=(wall_clock(), boottime()),
            engine=means.engine,
            bare_esp=means.bare_esp,
            certificate=ShownCertificate(own.key, own.payloads, own.identity) if own else None,
            authorities=means.trust.requests,
            empty=means.empty,
            control=0,
            vault=1,
            kernel=2 if self._door is not None else -1,
            ike=tuple([next(places) for _ in ports.ike]),
            natt=tuple([next(places) for _ in ports.natt]),
            beside=tuple([next(places) for _ in ports.beside]),
            esp=next(places) if ports.esp else -1,
            record=next(places) if self._record is not None else -1,
            record_name=means.record,
            tell_keys=means.keys is not None,
            link=(self._link.name, self._link.number) if self._link else None,
        )

    def _lost(self, why: str) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(MessageError(why))
        elif not (self._closing or self._down):
            self._begin(self._again(why))

    async def _again(self, why: str) -> None:
        """The worker is gone with its keys. What it had set up stands, and is come back to where
        the profile wants that."""
        if self._born is not None:
            why = await end_told(why, self._born.process)
            await self._born.end(0.0)
        self._ends = 1 if boottime() > self._started + CALM else self._ends + 1
        self._tell(LogEvent("client.worker-lost", {"why": why}))
        self._around.ended(SessionEnded(0, "error"))
        if self._record is not None:
            self._record.end("the process that wrote it is gone")
            self._record = None
        await self._settle()
        known = self._snapshot.get("state") in ("up", "reconnecting")
        if not (known and self._profile.reconnect) or self._ends > len(AGAIN):
            self._over("error")
            return
        self._snapshot = {**self._snapshot, "state": "reconnecting", "step": "reconnecting"}
        await asyncio.sleep(AGAIN[self._ends - 1])
        if self._leaving:
            self._over("by-user")
        elif await self._start():
            standing, interface = self._standing()
            self._say({"resume": standing, "interface": interface, "why": "error"})
            self._leave_now()

    async def _settle(self) -> None:
        """The orders of a worker that is gone. What changes the machine is seen through, so that
        the next one hears what stands; the rest answers nobody any more."""
        orders = self._under_way
        for task, order in orders.items():
            if not isinstance(order, ConfigureMachine | RestoreMachine):
                task.cancel()
        if orders:
            await asyncio.wait(tuple(orders))

    def _leave_now(self) -> None:
        if self._leaving:
            self._say({"leave": None})

    def _over(self, reason: str) -> None:
        self._down = True
        fields: dict[str, Field] = {"profile": self._profile.name, "reason": reason}
        fields |= {"by_peer": False, "words": closing_words(reason)}
        self._tell(LogEvent("client.down", fields))

    # --- what the worker says ------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        match message:
            case {"event": LogEvent() as event}:
                self._seen(message)
                self._down = self._down or event.code == "client.down"
                self._tell(event)
            case {
                "order": (
                    Sign()
                    | JudgeCertificate()
                    | AskHuman()
                    | ConfigureMachine()
                    | RestoreMachine()
                    | Resolve()
                    | OpenStream()
                    | AskEcho()
                    | Inquire()
                ) as order,
                "number": int(number),
            }:
                if len(self._under_way) >= MOST_ORDERS:
                    raise MessageError("too many orders at once")
                task = self._begin(self._carry_out(order, number))
                self._under_way[task] = order
                task.add_done_callback(self._under_way.pop)
            case {"keys": Keyed() | InstallSa() as made} if self._means.keys is not None:
                self._means.keys(made)
            case {"ended": SessionEnded() as order}:
                self._around.ended(order)
            case {"ready": missing} if isinstance(missing, tuple):
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(cast("tuple[object, ...]", missing))
            case _:
                raise MessageError("a worker may not say that")

    async def _carry_out(self, order: LongOrder, number: int) -> None:
        channel = self._channel
        try:
            answer = await self._answer(order)
        except Exception as error:  # as in the loop: whatever it was, the worker has an answer
            self._tell(fault("carrying out an order", error))
            answer = None
        if channel is not None:
            channel.say({"answers": number, "answer": answer})

    async def _answer(self, order: LongOrder) -> Answer | None:
        around = self._around
        match order:
            case (
                ConfigureMachine()
                | RestoreMachine()
                | Resolve()
                | OpenStream()
                | AskEcho()
                | Inquire()
            ):
                return await self._if_allowed(order)
            case AskHuman():
                return self._vault.told(await around.ask(order))
            case Sign():
                return await around.sign(order)
            case JudgeCertificate():
                return self._noted(await around.judge_certificate(order))
            case _:
                raise MessageError("a client judges no person")

    async def _if_allowed(self, order: Asked) -> Answer | None:
        around = self._around
        problem = objection(order, self._profile, self._known)
        match order:
            case ConfigureMachine():
                refused = MachineConfigured(order.ticket, problem=problem)
                return refused if problem else await self._configure(order)
            case RestoreMachine():
                if problem:
                    self._note(f"nothing was undone: {problem}")
                else:
                    await around.restore(RestoreMachine(self._profile.name))
                return None
            case Resolve():
                unknown = Resolved(order.ticket, (), problem=problem)
                return unknown if problem else self._found(order, await around.resolve(order))
            case OpenStream():
                closed = StreamOpened(order.ticket, None, problem=problem)
                return closed if problem else await around.open_stream(order)
            case AskEcho():
                return None if problem else await around.ask_echo(order)
            case Inquire():
                return None if problem else await around.inquire(order)

    @property
    def _known(self) -> Known:
        found = {host: resolved.addresses for host, resolved in self._resolved.items()}
        standing, _ = self._standing()
        return Known(found, standing, leaving=self._leaving, down=self._down)

    async def _configure(self, order: ConfigureMachine) -> MachineConfigured:
        gateway = order.settings.gateway
        if elsewhere(order.settings, self._profile, self._known):
            self._note(
                f"packets to {gateway} pass beside the tunnel: the gateway is said to be there"
            )
        return await self._around.configure(order)

    def _found(self, order: Resolve, found: Resolved) -> Resolved:
        """A resolver that lies behind the lost tunnel answers nothing, and a new worker knows no
        earlier answer."""
        if found.addresses:
            self._resolved[order.host] = found
        elif known := self._resolved.get(order.host):
            return replace(known, ticket=order.ticket)
        return found

    def _note(self, note: str) -> None:
        self._tell(LogEvent("client.machine-note", {"note": note}))

    def _noted(self, judged: CertificateJudged) -> CertificateJudged:
        if judged.accepted:
            self._vault.proved()
        return judged

    def _seen(self, message: Message) -> None:
        found = message.get("snapshot")
        if isinstance(found, dict):
            self._snapshot = cast("Snapshot", found)

    def _say(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.say(message)

    async def _ask(self, message: Message) -> Message:
        """Empty when nobody is there. One that does not answer is ended."""
        channel = self._channel
        if channel is None:
            return {}
        try:
            return await asyncio.wait_for(channel.ask(message), PATIENCE)
        except MessageError:
            return {}
        except TimeoutError:
            if self._born is not None:
                kill(self._born.process)
            return {}

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
