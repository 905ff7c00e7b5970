"""The worker of a connection: all of it that parses strangers' octets, in a process that can do
nothing else (docs/reference/processes.md).

    monitor ── orders, sockets, TUN ──> worker: IKE, ESP, Mode Config, DHCP, answers to DNS probes
            <── events, questions, what is to be done to the machine ──

It waits for its orders unconfined, knowing nobody. Then it holds no long-term secret, opens no
file and starts no process (`culvert.driver.confine`).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from culvert.client.connection import Connection
from culvert.client.person import PLACEHOLDER, FarPerson
from culvert.client.ports import Ports
from culvert.client.recording import core_of
from culvert.client.running import ClientCore
from culvert.client.vault import FarVault as Secrets
from culvert.datapath.xfrm.orders import News
from culvert.driver.channel import Channel, Message
from culvert.driver.collector import collect_seldom
from culvert.driver.confine import confine
from culvert.driver.confined import (
    FarVault,
    ShownCertificate,
    TunEnd,
    heard,
    leave_signals_to_the_monitor,
)
from culvert.driver.descriptors import Inside
from culvert.driver.line import Line
from culvert.driver.loop import Driver, NewKeys
from culvert.driver.message import MessageError
from culvert.driver.packet_loop import PacketLoop
from culvert.driver.privatefile import PrivateFile
from culvert.driver.prompt import take_short_turns
from culvert.driver.record import MOST as LONGEST_RECORD
from culvert.driver.remote_hand import RemoteHand
from culvert.driver.user_engine import Choice, user_engine
from culvert.effects import (
    AskEcho,
    AskHuman,
    ConfigureMachine,
    EchoAnswered,
    HumanAnswered,
    Inquire,
    MachineConfigured,
    NetworksWanted,
    OpenStream,
    Replied,
    Resolve,
    Resolved,
    RestoreMachine,
    SessionEnded,
    StreamOpened,
    TunnelSettings,
)
from culvert.eventlog.event import LogEvent
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.raw_esp import RawEsp
from culvert.netio.udp import UdpSocket
from culvert.profile.toml import read
from culvert.rng import SystemRandom
from culvert.tables import loader

AT_ONCE = 32
"""Descriptors in one message of the monitor's: sockets, lines and files of one connection."""

TELLING = frozenset(("client.up", "client.down", "client.reconnecting"))
"""Events that the status goes with: the last one of all has no later moment to be asked in."""

Hook = Callable[[], None]
"""Runs in the confined worker: for tests of what is left possible to it."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the monitor tells a worker, without any secret: ``group_key`` and ``password`` say which
    of them the vault has. Numbers of descriptors are places in the message that brings them; -1:
    none. ``link``: the kernel's interface that stands in a TUN's place. ``record``: a file to write
    a record to, called ``record_name``.
    """

    name: str
    profile: str
    group_key: bool
    password: bool
    began: tuple[datetime, float]
    engine: str
    bare_esp: bool
    certificate: ShownCertificate | None
    authorities: tuple[bytes, ...]
    empty: str
    control: int
    vault: int
    kernel: int
    ike: tuple[int, ...]
    natt: tuple[int, ...]
    beside: tuple[int, ...]
    esp: int
    record: int = -1
    record_name: str = ""
    tell_keys: bool = False
    link: tuple[str, int] | None = None


class _Monitor(FarVault):
    """Everything around the core is the monitor's."""

    async def ask(self, order: AskHuman) -> HumanAnswered:
        return await self._ask(order, HumanAnswered)

    async def configure(self, order: ConfigureMachine) -> MachineConfigured:
        return await self._ask(order, MachineConfigured)

    async def restore(self, order: RestoreMachine) -> None:
        await self._channel.ask({"order": order})

    async def open_stream(self, order: OpenStream) -> StreamOpened:
        return await self._ask(order, StreamOpened)

    async def resolve(self, order: Resolve) -> Resolved:
        return await self._ask(order, Resolved)

    async def ask_echo(self, order: AskEcho) -> EchoAnswered | None:
        answer = (await self._channel.ask({"order": order})).get("answer")
        return answer if isinstance(answer, EchoAnswered) else None

    async def inquire(self, order: Inquire) -> Replied | None:
        answer = (await self._channel.ask({"order": order})).get("answer")
        return answer if isinstance(answer, Replied) else None

    def ended(self, order: SessionEnded) -> None:
        self._channel.say({"ended": order})


class Worker:
    """One life of it. ``descriptors``: those that came with the orders; ``line``: where TUN devices
    come from later."""

    def __init__(
        self, orders: Orders, descriptors: Sequence[int], line: socket.socket, hook: Hook | None
    ) -> None:
        self._orders = orders
        self._line = line
        self._hook = hook
        self._rng = SystemRandom()
        self._ended = asyncio.Event()
        self._channel = Channel(self._heard, lambda _: self._ended.set())
        self._control = socket.socket(fileno=descriptors[orders.control])
        profile = read(orders.profile, name=orders.name, path="the monitor's profile")
        self._profile = replace(
            profile,
            group_key=PLACEHOLDER if orders.group_key else None,
            password=PLACEHOLDER if orders.password else None,
        )
        end = socket.socket(fileno=descriptors[orders.vault])
        self._core = self._made(Secrets(Line(end), profile.group, self._rng), descriptors)
        hand = None
        if orders.kernel >= 0:
            hand = RemoteHand(socket.socket(fileno=descriptors[orders.kernel]))
        ports = _ports(orders, descriptors)
        engine = (
            user_engine(orders.engine) if hand is None else Choice(None, orders.engine, ipsec=True)
        )
        self._pump = ports.pump(self._profile, engine, self._rng, hand)
        self._driver = Driver(
            self._core,
            self._pump,
            _Monitor(self._channel),
            self._record,
            keys=self._tell_keys if orders.tell_keys else None,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def _made(self, vault: Secrets, descriptors: Sequence[int]) -> ClientCore:
        orders = self._orders
        file: PrivateFile | None = None
        if orders.record >= 0:
            given, name = descriptors[orders.record], Path(orders.record_name)
            file = PrivateFile(name, LONGEST_RECORD, self._record, given)
        return core_of(
            self._profile,
            self._rng,
            file,
            began=orders.began,
            bare_esp=orders.bare_esp,
            certificate=orders.certificate,
            authorities=orders.authorities,
            derive=vault.derive,
            person=FarPerson(self._profile, vault.password),
        )

    async def live(self) -> None:
        """Until the monitor says so, or is gone."""
        await self._channel.open(self._control)
        loader.read_all("texts")
        missing = confine(Path(self._orders.empty))
        if self._hook is not None:
            self._hook()
        self._channel.say({"ready": missing})
        await self._ended.wait()
        self._pump.stop()
        self._channel.close()

    # --- what the monitor says -----------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        match message:
            case {"begin": None}:
                self._driver.start()
                self._driver.command(lambda now: self._core.connect(now=now), "connect")
            case {
                "resume": (None | TunnelSettings()) as standing,
                "interface": str(name),
                "why": str(why),
            }:
                self._resume(standing, name, why)
            case {"tun": str(name), "virtio": bool(virtio), "offloads": given}:
                named = cast("tuple[str, ...]", given)
                self._pump.attach(self._tun(name, virtio=virtio, offloads=named))
            case {"look": None, "number": int(number)}:
                self._driver.look()
                self._channel.say({"answers": number, "snapshot": self._snapshot})
            case {"detach": None, "number": int(number)}:
                if (tun := self._pump.detach()) is not None:
                    tun.close()
                self._channel.say({"answers": number})
            case {"kernel": news}:
                self._pump.told(cast("tuple[News, ...]", news))
            case {"networks": networks}:
                wanted = NetworksWanted(cast("tuple[str, ...]", networks))
                self._driver.command(lambda now: self._core.step(wanted, now=now), "networks")
            case {"leave": None}:
                self._driver.command(lambda now: self._core.disconnect(now=now), "disconnect")
            case {"close": float(patience)}:
                self._begin(self._close(patience))
            case _:
                raise MessageError("the monitor says what a worker does not know")

    def _resume(self, standing: TunnelSettings | None, interface: str, why: str) -> None:
        core = self._core
        if not isinstance(core, Connection):
            raise MessageError("a record has no second beginning")
        self._driver.start()
        self._driver.command(lambda now: core.resume(standing, interface, why, now=now), "resume")

    def _tun(self, name: str, *, virtio: bool, offloads: tuple[str, ...]) -> Inside:
        """Its descriptor was sent before the message that tells of it."""
        if self._orders.link is not None:
            return IpsecLink(*self._orders.link)
        _, (descriptor,), _, _ = socket.recv_fds(self._line, 1, 1)
        return TunEnd(descriptor, name, virtio, offloads).opened()

    async def _close(self, patience: float) -> None:
        await self._driver.stop(patience)
        self._core.close()
        self._ended.set()

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what it says --------------------------------------------------------------------------

    @property
    def _snapshot(self) -> dict[str, object]:
        return {**self._core.snapshot, "engine": self._pump.engine}

    def _record(self, event: LogEvent) -> None:
        said: dict[str, object] = {"event": event}
        if event.code in TELLING:
            said["snapshot"] = self._snapshot
        self._channel.say(said)

    def _tell_keys(self, made: NewKeys) -> None:
        self._channel.say({"keys": made})


def _ports(orders: Orders, descriptors: Sequence[int]) -> Ports:
    def opened(places: tuple[int, ...], *, encapsulated: bool) -> list[UdpSocket]:
        given = [socket.socket(fileno=descriptors[place]) for place in places]
        return [UdpSocket(one, encapsulated=encapsulated) for one in given]

    esp = None
    if orders.esp >= 0:
        esp = RawEsp(socket.socket(fileno=descriptors[orders.esp]), strangers=False)
    return Ports(
        opened(orders.ike, encapsulated=False),
        opened(orders.natt, encapsulated=True),
        opened(orders.beside, encapsulated=True),
        esp,
    )


def main(words: list[str] | None = None, hook: Hook | None = None) -> None:
    """Entry of the process; the monitor alone starts it, perhaps long before there are orders."""
    (end,) = words if words is not None else sys.argv[1:]
    leave_signals_to_the_monitor()
    line = socket.socket(fileno=int(end))
    _, descriptors, _, _ = socket.recv_fds(line, 1, AT_ONCE)
    if not descriptors:
        return  # the monitor ended first
    told, *others = descriptors
    orders = cast("Orders", heard(told))

    async def lived() -> None:
        collect_seldom(asyncio.get_running_loop().call_later)
        await Worker(orders, others, line, hook).live()

    take_short_turns()
    with asyncio.Runner(loop_factory=PacketLoop) as runner:
        runner.run(lived())


if __name__ == "__main__":
    main()
