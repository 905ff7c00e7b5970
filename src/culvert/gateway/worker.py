"""The worker: everything of a gateway that parses strangers' octets, in a process that can do
nothing else (docs/reference/processes.md).

    monitor ── orders, sockets, TUN ──> worker: IKE, sessions, data path
            <── events, questions to the vault ──
            ── requests of administrators ──>

It holds no long-term secret, opens no file, starts no process (`culvert.driver.confine`).
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from culvert.datapath.plane import Plane
from culvert.datapath.xfrm.orders import News
from culvert.datapath.xfrm.plane import KernelPlane
from culvert.driver.channel import Channel, Message
from culvert.driver.clock import boottime
from culvert.driver.collector import collect_seldom
from culvert.driver.confine import confine
from culvert.driver.confined import (
    FarVault,
    ShownCertificate,
    TunEnd,
    heard,
    leave_signals_to_the_monitor,
)
from culvert.driver.control import Request, RequestError, problem
from culvert.driver.descriptors import Inside
from culvert.driver.keys_door import RemoteKeys
from culvert.driver.line import Line
from culvert.driver.loop import Driver, NewKeys, PacketListener
from culvert.driver.message import MessageError
from culvert.driver.packet_loop import PacketLoop
from culvert.driver.process import STOP_SECONDS
from culvert.driver.prompt import take_short_turns
from culvert.driver.pump import Pump
from culvert.driver.remote_hand import RemoteHand
from culvert.driver.user_engine import user_engine
from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import GatewayConfig
from culvert.gateway.handover import Wire, give, take
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.ledger_door import RemoteLedger, SharedTable
from culvert.gateway.neighbours import OtherWorkers, Sorted
from culvert.gateway.recorded import RecordedGateway, Recorder, Wanted
from culvert.gateway.service import GatewayService
from culvert.netio.control_socket import PeerCredentials
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.raw_esp import RawEsp
from culvert.netio.udp import UdpSocket
from culvert.rng import SystemRandom
from culvert.session.table import SessionTable
from culvert.tables import loader

PIECE = 1 << 18
"""Characters of a record in one message: quoted, they fit into it."""

FAREWELLS = ("peer-shutdown", "peer-reboot")  # why the monitor ends us

Hook = Callable[[], None]
"""Runs in the confined worker: for tests of what is left possible to it."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the monitor tells a worker at its start; without any secret. ``ike``, ``natt``,
    ``beside`` (ESP in UDP by Cisco's own way), ``esp`` (-1: none) and ``tun`` are open descriptors.
    ``tell_keys``: the monitor writes a key log; ``record``: a record of that caller, too. Of
    ``natt`` and ``beside`` each socket has those of its lanes behind it. ``ipsec``: the number of
    the kernel's interface that stands in the TUN's place (0: none does). ``others``: the line to
    each other worker of this gateway, by number; -1 in its own place.
    """

    config: GatewayConfig
    began: tuple[datetime, float]
    cumulative: int
    engine: str
    ike: tuple[int, ...]
    natt: tuple[tuple[int, ...], ...]
    beside: tuple[tuple[int, ...], ...]
    esp: int
    tun: TunEnd
    empty: str
    listening: tuple[str, ...]
    certificate: ShownCertificate | None
    authorities: tuple[bytes, ...]
    tell_keys: bool = False
    ipsec: int = 0
    others: tuple[int, ...] = ()
    record: Wanted | None = None
    engine_reason: str = ""


@dataclass(frozen=True, slots=True)
class Wires:
    """Lines to other workers: the one after this, and the one before, if there is one; to the
    kernel's IPsec, for which the monitor has the right; and to what several workers count together,
    where there are several."""

    heir: Wire
    before: Wire | None
    kernel: socket.socket
    ledger: socket.socket | None = None


class _SortedPump(Pump):
    """Of one of several workers: what comes goes past the ``others``."""

    others: OtherWorkers | None = None

    def start(self, listener: PacketListener) -> None:
        super().start(listener if self.others is None else Sorted(listener, self.others))


class _Vault(FarVault):
    async def judge(self, order: Judge) -> Judged:
        return await self._ask(order, Judged)


class Worker:
    """One life of it. ``hook`` runs after confinement: for tests of what is left possible."""

    def __init__(
        self,
        orders: Orders,
        control: socket.socket,
        door: socket.socket,
        wires: Wires,
        hook: Hook | None = None,
    ) -> None:
        self._orders = orders
        self._control = control
        self._wires = wires
        self._giving: asyncio.Task[None] | None = None
        self._hook = hook
        self._rng = SystemRandom()
        config, self._ended = orders.config, asyncio.Event()
        self._others = _others(orders)
        self._table = self._sessions()
        self._recorder: Recorder | None = None
        self._core = self._gateway(config, RemoteKeys(Line(door), self._rng))
        self._channel = Channel(self._heard, lambda _: self._ended.set())
        self._pump = self._data_path()
        self._driver = Driver(
            self._core,
            self._pump,
            _Vault(self._channel),
            self._record,
            keys=self._tell_keys if orders.tell_keys else None,
        )
        self._service = GatewayService(
            config,
            self._table,
            self._core,
            self._driver,
            self._pump,
            began=orders.began[0],
            listening=orders.listening,
            clock=boottime,
            engine_reason=orders.engine_reason,
            others=self._others,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def _sessions(self) -> SessionTable:
        orders = self._orders
        if self._wires.ledger is None or self._others is None:
            limit = orders.config.live.session_limit
            return SessionTable(limit=limit, cumulative=orders.cumulative)
        return SharedTable(RemoteLedger(self._wires.ledger), self._others)

    def _gateway(self, config: GatewayConfig, keys: RemoteKeys) -> IpsecGateway:
        orders, bare_esp = self._orders, self._orders.esp >= 0 or self._orders.ipsec != 0
        if self._others is not None:
            return IpsecGateway(
                config,
                self._table,
                keys,
                self._rng,
                began=orders.began,
                bare_esp=bare_esp,
                certificate=orders.certificate,
                authorities=orders.authorities,
            )
        self._recorder = Recorder(self._rng, self._write_record, self._end_record, self._record)
        if orders.record is not None:
            self._recorder.begin(orders.record)
        return RecordedGateway(
            config,
            self._table,
            keys,
            self._rng,
            recorder=self._recorder,
            began=orders.began,
            bare_esp=bare_esp,
            certificate=orders.certificate,
            authorities=orders.authorities,
        )

    @staticmethod
    def _about_record(recorder: Recorder, message: Message) -> None:
        match message:
            case {"record": "begin", "caller": str(caller), "secrets": bool(secrets)}:
                recorder.begin(Wanted(caller, secrets), cast("int", message["of"]))
            case _ if message["of"] == recorder.number:
                recorder.end("it takes no more")
            case _:
                pass  # that one has ended already

    def _write_record(self, line: bytes, number: int) -> None:
        for at in range(0, len(line), PIECE):
            self._channel.say({"record": line[at : at + PIECE].decode(), "of": number})

    def _end_record(self, why: str, inputs: int, number: int) -> None:
        self._channel.say({"recorded": why, "inputs": inputs, "of": number})

    def _data_path(self) -> Pump:
        orders, restart = self._orders, self._orders.config.restart
        ike = [UdpSocket(socket.socket(fileno=one), encapsulated=False) for one in orders.ike]
        natt, over_udp = _with_lanes(orders.natt), _with_lanes(orders.beside)
        esp = None
        if orders.esp >= 0:
            esp = RawEsp(socket.socket(fileno=orders.esp), strangers=True)
        pump = _SortedPump(
            self._plane(natt),
            ike,
            natt,
            esp=esp,
            beside=(restart.udp_port, over_udp),
            ports=(restart.ike_port, restart.natt_port),
        )
        pump.others = self._others
        return pump

    def _plane(self, natt: Sequence[UdpSocket]) -> Plane:
        orders, restart = self._orders, self._orders.config.restart
        if not orders.ipsec:
            engine = user_engine(orders.engine)
            return engine.make(
                self._rng, copied=restart.copied, cut=restart.cut, largest=restart.mtu
            )
        for one in natt:
            one.leave_esp_to_the_kernel()
        return KernelPlane(RemoteHand(self._wires.kernel))

    def _inside(self) -> Inside:
        orders, end = self._orders, self._orders.tun
        if orders.ipsec:
            return IpsecLink(end.name, orders.ipsec)
        return end.opened()

    async def live(self) -> None:
        """Until the monitor says so, or is gone."""
        await self._channel.open(self._control)
        tun = self._inside()
        await self._wires.heir.open()
        if self._wires.before is not None:
            await self._wires.before.open()
        else:
            self._driver.start()
            self._pump.attach(tun)
            if self._others is not None:
                self._others.join(self._driver, self._pump, self._load)
            self._driver.command(lambda now: self._core.tick(now=now), "calling sites")
        loader.read_all("texts")
        missing = confine(Path(self._orders.empty))
        self._channel.say({"ready": missing})
        if self._hook is not None:
            self._hook()
        if self._wires.before is not None:
            self._begin(self._take(self._wires.before, tun))
        await self._ended.wait()
        self._pump.stop()
        if self._others is not None:
            self._others.leave()
        self._channel.close()

    def _load(self) -> int:
        """Sessions, and who may become one."""
        return len(self._table) + self._core.half_open

    # --- hot restart -------------------------------------------------------------------------

    async def _take(self, before: Wire, tun: Inside) -> None:
        """Go on with the sessions of the worker before."""
        try:
            waited = await take(before, self._core, self._driver, self._pump, tun)
        except Exception as error:  # whatever it was: the other one goes on
            self._channel.say({"not_taken": str(error) or type(error).__name__})
            self._ended.set()
            return
        before.close()
        self._channel.say({"serving": waited, "sessions": len(self._table)})

    async def _give(self, attempt: int, number: int) -> None:
        self._wires.heir.attempt = attempt
        if self._recorder is not None:
            self._recorder.end("the gateway restarts")
        try:
            kept = await give(self._wires.heir, self._core, self._driver, self._pump)
        finally:
            self._giving = None
        if kept is None:
            self._channel.say({"answers": number, "result": {"handed": True}})
            await asyncio.sleep(0)
            self._ended.set()
            return
        result = {"handed": False, "why": kept.why, "unreadable": kept.unreadable}
        self._channel.say({"answers": number, "result": result})

    def _record(self, event: LogEvent) -> None:
        said: dict[str, object] = {"event": event}
        if event.code == "session.started":
            said["cumulative"] = self._table.cumulative
        self._channel.say_soon(said)

    def _tell_keys(self, made: NewKeys) -> None:
        self._channel.say({"keys": made})

    def _heard(self, message: Message) -> None:
        match message:
            case {"request": str(method), "number": int(number)}:
                self._begin(self._answer(method, message, number))
            case {"hand_over": int(attempt), "number": int(number)} if self._giving is None:
                self._giving = asyncio.get_running_loop().create_task(self._give(attempt, number))
            case {"abandon": str()}:
                if self._giving is not None:
                    self._giving.cancel()
            case {"record": _, "of": int()} if self._recorder is not None:
                self._about_record(self._recorder, message)
            case {"kernel": news} if isinstance(news, tuple):
                self._pump.told(cast("tuple[News, ...]", news))
            case {"sibling": int(worker), "up": bool(up)} if self._others is not None:
                self._others.sibling(worker, up=up)
            case {"replaced": int(number)}:
                end = partial(self._core.logout, number, "replaced")
                self._driver.command(lambda now: end(now=now), "replacing")
            case {"stop": str(reason)} if reason in FAREWELLS:
                self._begin(self._stop(reason))
            case _:
                raise MessageError("the monitor says what a worker does not know")

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, name: str, message: Message, number: int) -> None:
        """A request of an administrator that only the worker can meet."""

        def tell(kind: str, value: object) -> None:
            self._channel.say({"about": number, "kind": kind, "value": value})

        method = self._service.methods.get(name)
        params = cast("Mapping[str, object]", message.get("params", {}))
        try:
            if method is None:
                raise MessageError(f"no such method: {name}")
            if self._giving is not None:
                raise RequestError("cli.not-found", "the gateway is just restarting", "Ask again.")
            result = await method(Request(params, PeerCredentials(0, 0, 0), tell))
            self._channel.say({"answers": number, "result": dict(result)})
        except Exception as error:  # a defect here ends the request, nothing else
            self._channel.say({"answers": number, "error": problem(error)})

    async def _stop(self, reason: str) -> None:
        self._driver.command(lambda now: self._core.shutdown(reason, now=now), "shutdown")
        await self._driver.stop(STOP_SECONDS / 2)
        if self._recorder is not None:
            self._recorder.stop()
        self._ended.set()


def _others(orders: Orders) -> OtherWorkers | None:
    share = orders.config.share
    if share.workers == 1:
        return None
    ends = {
        number: socket.socket(fileno=one) for number, one in enumerate(orders.others) if one >= 0
    }
    return OtherWorkers(share, ends)


def _with_lanes(groups: tuple[tuple[int, ...], ...]) -> list[UdpSocket]:
    found: list[UdpSocket] = []
    for descriptors in groups:
        for lane, one in enumerate(descriptors):
            made = UdpSocket(socket.socket(fileno=one), encapsulated=True, lane=lane)
            if lane:
                made.remember_with(found[-1])
            found.append(made)
    return found


def main(words: list[str] | None = None, hook: Hook | None = None) -> None:
    """Entry of the process; the monitor alone starts it."""
    parser = argparse.ArgumentParser()
    for name in ("orders", "control", "door", "kernel", "heir", "before", "ledger", "attempt"):
        parser.add_argument(name, type=int)
    given = parser.parse_args(words)
    leave_signals_to_the_monitor()
    orders = cast("Orders", heard(given.orders))
    ends = (given.control, given.door, given.kernel, given.heir)
    control, door, kernel, heir = (socket.socket(fileno=one) for one in ends)
    before = None
    if given.before >= 0:
        before = Wire(socket.socket(fileno=given.before))
        before.attempt = given.attempt
    ledger = socket.socket(fileno=given.ledger) if given.ledger >= 0 else None
    wires = Wires(Wire(heir), before, kernel, ledger)
    take_short_turns()
    with asyncio.Runner(loop_factory=PacketLoop) as runner:
        runner.run(_lived(orders, control, door, wires, hook))


async def _lived(
    orders: Orders, control: socket.socket, door: socket.socket, wires: Wires, hook: Hook | None
) -> None:
    collect_seldom(asyncio.get_running_loop().call_later)
    await Worker(orders, control, door, wires, hook).live()


if __name__ == "__main__":
    main()
