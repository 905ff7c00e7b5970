"""One live connection of the service: its core, its driver, its TUN, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from culvert.client.echoes import Echoes
from culvert.client.inquiries import inquire
from culvert.client.names_here import NamesHere
from culvert.client.remembered import RememberedWays
from culvert.client.statistics import Statistics
from culvert.datapath.fragmentation import Policy
from culvert.datapath.plane import Plane
from culvert.datapath.xfrm.plane import KernelPlane
from culvert.driver.capture import Watched
from culvert.driver.certificates import CertificateOffice
from culvert.driver.coordinator import Coordinator
from culvert.driver.engine import Choice
from culvert.driver.journal import wall_clock
from culvert.driver.kernel_limits import beyond
from culvert.driver.loop import Driver
from culvert.driver.pump import Pump
from culvert.driver.stream import StreamCall
from culvert.driver.surroundings import NoSurroundings
from culvert.effects import (
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    EchoAnswered,
    Effect,
    HumanAnswered,
    Inquire,
    JudgeCertificate,
    MachineConfigured,
    NetworksWanted,
    OpenStream,
    Replied,
    Resolved,
    RestoreMachine,
    SessionEnded,
    Sign,
    Signed,
    StreamOpened,
    TunnelSettings,
)
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.ike.carriage import UDP_PORT
from culvert.ike.suite import EspSuite
from culvert.inet.marks import ALL, chosen
from culvert.netio.beside import packets_beside
from culvert.netio.ipsec_link import IpsecLink
from culvert.netio.machine import Applied, Machine
from culvert.netio.raw_esp import RawEsp
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.netio.xfrm import KernelIpsec
from culvert.profile.profile import Profile
from culvert.rng import Random
from culvert.secret import Secret
from culvert.vault.trust import Trust

IKE_PORT, NATT_PORT = 500, 4500

FIXED = (
    "Stop that program, or let the connection use another port: "
    'ike_port = "dynamic", natt_port = "dynamic" in its profile.'
)
PORTS = (IKE_PORT, NATT_PORT, UDP_PORT)
"""The gateway's, for a capture."""


class ClientCore(Coordinator, Protocol):
    """The connection's coordinator."""

    @property
    def snapshot(self) -> Mapping[str, object]: ...

    def connect(self, *, now: float) -> Sequence[Effect]: ...

    def disconnect(self, *, now: float) -> Sequence[Effect]: ...


ONCE = frozenset(("passcode", "answer", "next-pin"))
"""Answers that are right one time only; the others serve again when nobody is there to ask."""

MakeCore = Callable[[Profile, Random, Trust], ClientCore]
Ask = Callable[[AskHuman], Awaitable[HumanAnswered]]


@dataclass(frozen=True, slots=True)
class Over:
    """The connection is over; ``reason`` is a row of tables/endings.toml.

    ``words``: the closing message, line by line.
    """

    reason: str
    by_peer: bool
    words: tuple[str, ...] = ()


class Live(NoSurroundings):
    """One connection between `connect` and its end.

    ``ended`` is called once, when it is over for good. ``link``: the kernel's IPsec carries it.
    """

    def __init__(
        self,
        profile: Profile,
        core: ClientCore,
        machine: Machine,
        alone: asyncio.Lock,
        rng: Random,
        record: Callable[[LogEvent], None],
        engine: Choice,
        trust: Trust,
        *,
        bare_esp: bool = False,
        watched: Watched | None = None,
        ways: RememberedWays | None = None,
        link: IpsecLink | None = None,
    ) -> None:
        self.profile = profile
        self._ways = ways
        self.uid = -1
        self.ask_with: Ask | None = None
        """How to ask whoever started it; None when nobody is there any more."""
        self.on_up: Callable[[], None] = _nobody_cares
        self.up = asyncio.Event()
        self.logged_in = asyncio.Event()
        self.over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()
        self._core = core
        self._machine = machine
        self._alone = alone
        self._record = record
        self._tun: Tun | IpsecLink | None = link
        self._link = link
        self._engine = engine
        self._statistics = Statistics()
        self._given: dict[str, Secret] = {}
        ike, natt = open_ports(profile)
        self._hand = KernelIpsec(link.number) if link is not None else None
        self._pump = Pump(
            self._plane(engine, rng, natt),
            ike,
            natt,
            esp=RawEsp.open() if bare_esp and link is None else None,
            beside=(UDP_PORT, [_bind("0.0.0.0", UDP_PORT)] if profile.ipsec_over_udp else []),  # noqa: S104
            ports=(IKE_PORT, NATT_PORT),
        )
        self._watched = watched
        keys = watched.add if watched is not None and watched.wants_keys else None
        self._driver = Driver(core, self._pump, self, self._heard, keys=keys)
        self._certificates = CertificateOffice(trust, record)
        self._stream: StreamCall | None = None
        self._echoes = Echoes(record)
        self._names = NamesHere()

    def _plane(self, engine: Choice, rng: Random, natt: Sequence[UdpSocket]) -> Plane:
        if self._hand is None:
            copied = chosen(dscp=self.profile.copy_dscp, ecn=self.profile.copy_ecn)
            return engine.make(rng, copied=copied, cut=Policy(self.profile.fragmentation))
        for one in natt:
            one.leave_esp_to_the_kernel()
        return KernelPlane(self._hand, {NATT_PORT: natt[0].local[1]})

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def snapshot(self) -> Mapping[str, object]:
        """What `culvert status` shows, with the counters of this moment."""
        if not self.over.done():
            self._driver.look()
        about = {"engine": self._pump.engine, "engine_reason": self._engine.reason}
        return {**self._core.snapshot, **about}

    def statistics(self, row: Mapping[str, object], *, reset: bool) -> Mapping[str, object]:
        """What was counted; after a reset, from now on. ``row``: that of the status."""
        if reset:
            self._statistics.reset(row, packets_beside(), wall_clock())
        lan = self.profile.allow_local_lan
        return self._statistics.of(row, packets_beside(), local_lan=lan)

    def begin(self) -> None:
        self._driver.start()
        if self._hand is not None:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._hand.listen(), self._kernel_says, self._hand)
        self._driver.command(lambda now: self._core.connect(now=now), "connect")

    def _kernel_says(self, hand: KernelIpsec) -> None:
        self._pump.told(hand.news())

    def want(self, profile: Profile) -> None:
        """Go on with this profile, which differs in what counts at once (`scope`) alone."""
        wanted = NetworksWanted(profile.remote_networks)
        if profile.remote_networks != self.profile.remote_networks:
            self._driver.command(lambda now: self._core.step(wanted, now=now), "networks")
        self.profile = profile

    def leave(self) -> None:
        """Say farewell and restore the machine; `over` tells when it is done."""
        self._driver.command(lambda now: self._core.disconnect(now=now), "disconnect")

    async def close(self, patience: float) -> None:
        """End the driver; what the core still wanted done gets ``patience`` seconds."""
        self._echoes.close()
        await self._driver.stop(patience)
        if self._hand is not None and self._link is not None:
            asyncio.get_running_loop().remove_reader(self._hand.listen())
            self._hand.close()
            async with self._alone:
                await asyncio.to_thread(self._machine.close_tun, self._link)
        await self._names.close()
        if self._watched is not None:
            self._watched.close()
        if self._stream is not None:
            self._stream.close()
        await asyncio.to_thread(self._certificates.close)

    # --- what the core asks for ----------------------------------------------------------------

    async def ask(self, order: AskHuman) -> HumanAnswered:
        """Ask whoever started the connection.

        With nobody there any more (a login renewed after a day), what was right before serves
        again, once; a gateway that asks again has refused it, and the login is given up.
        """
        if self.ask_with is not None:
            answer = await self.ask_with(order)
            given = answer.values or {}
            self._given.update({want: given[want] for want in given if want not in ONCE})
            return answer
        known = {want: self._given[want] for want in order.wants if want in self._given}
        usable = not order.repeated and len(known) == len(order.wants)
        return HumanAnswered(order.ticket, known if usable else None)

    async def sign(self, order: Sign) -> Signed:
        return await self._certificates.sign(order)

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged:
        return await self._certificates.judge(order)

    async def configure(self, order: ConfigureMachine) -> MachineConfigured:
        async with self._alone:
            try:
                settings = await self._names.fit(order.settings, self._machine)
                applied = await asyncio.to_thread(self._configure, settings)
            except PlatformError as error:
                return MachineConfigured(order.ticket, problem=str(error))
            if self._tun is not None:
                self._pump.attach(self._tun)
        self._note(applied.notes)
        return MachineConfigured(order.ticket, interface=applied.interface)

    async def open_stream(self, order: OpenStream) -> StreamOpened:
        if self._stream is not None:
            self._stream.close()
        self._stream = called = StreamCall(order.to, self._record)
        try:
            await called.open()
        except TimeoutError:
            return StreamOpened(order.ticket, None, problem="no answer")
        except OSError as error:
            return StreamOpened(order.ticket, None, problem=(error.strerror or str(error)).lower())
        return StreamOpened(order.ticket, called.address)

    async def ask_echo(self, order: AskEcho) -> EchoAnswered | None:
        return await self._echoes.ask(order)

    async def inquire(self, order: Inquire) -> Replied | None:
        return await inquire(order)

    def ended(self, order: SessionEnded) -> None:
        """The next tunnel may have another address to ask from."""
        self._echoes.close()

    def resolved(self, found: Resolved) -> Resolved:
        known = self._ways.way(self.name, found.network) if self._ways is not None else ""
        return replace(found, way=known)

    async def restore(self, order: RestoreMachine) -> None:
        async with self._alone:
            # Not before it is our turn: a set-up still under way would attach it again.
            self._pump.detach()
            notes = await asyncio.to_thread(self._restore, order.connection)
        await self._names.close()
        self._note(notes)

    def _configure(self, settings: TunnelSettings) -> Applied:
        """In a thread. A connection that comes back keeps its device."""
        fresh = self._tun is None
        if self._tun is None:
            self._tun = self._machine.open_tun(virtio=True)
        try:
            return self._machine.apply(settings, self._tun.name)
        except PlatformError:
            if fresh:
                self._machine.close_tun(self._tun)
                self._tun = None
            raise

    def _restore(self, connection: str) -> tuple[str, ...]:
        """In a thread. Routes and DNS before the device, so that no packet leaves in clear."""
        undone = self._machine.restore(connection)
        if self._tun is not None and self._link is None:
            self._machine.close_tun(self._tun)
            self._tun = None
        return (*undone.notes, *undone.failed)

    def _note(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._record(LogEvent("client.machine-note", {"note": note}))

    # --- what the core says --------------------------------------------------------------------

    def _heard(self, event: LogEvent) -> None:
        """Events go to the log; three of them are what somebody may be waiting for, and one is for
        the next connection."""
        self._record(event)
        match event.code:
            case "client.up":
                self._statistics.begin(packets_beside())
                self.up.set()
                self.on_up()
            case "client.reconnecting":
                self.up.clear()
                self.on_up()
            case "xauth.accepted":
                self.logged_in.set()
            case "client.way-found" if self._ways is not None:
                network, way = event.fields.get("network"), event.fields.get("transport")
                self._ways.keep(self.name, str(network or ""), str(way or ""))
            case "client.down" if not self.over.done():
                reason = str(event.fields.get("reason", "error"))
                words = event.fields.get("words")
                said = words if isinstance(words, tuple) else ()
                self.over.set_result(Over(reason, event.fields.get("by_peer") is True, said))
            case _:
                pass


def _nobody_cares() -> None:
    return


def engine_for(profile: Profile, engine: Choice) -> Choice:
    """``engine``, or another where that cannot carry what the profile may come to."""
    suites = [EspSuite.named(name) for name in profile.phase2]
    if engine.ipsec:
        usual = Policy(profile.fragmentation) == Policy.BEFORE_WITH_ICMP
        marks = chosen(dscp=profile.copy_dscp, ecn=profile.copy_ecn)
        engine = engine.beside(
            beyond(
                suites,
                profile.legacy,
                tcp=profile.ipsec_over_tcp,
                udp=profile.ipsec_over_udp,
                transport=profile.transport_mode,
                itself=profile.topology == "host",
                closed=profile.topology == "everywhere" and profile.fail_closed,
                cut=not usual or marks != ALL,
            )
        )
    compression = any(suite.compression for suite in suites)
    return engine.able(transport=profile.transport_mode, compression=compression)


def open_ports(profile: Profile) -> tuple[list[UdpSocket], list[UdpSocket]]:
    """Sockets for IKE and for NAT-T, at the ports that the profile wants.

    IPv6 ones where this machine has IPv6. Raises PlatformError if they cannot be had.
    """
    wishes = (IKE_PORT, profile.ike_port), (NATT_PORT, profile.natt_port)
    ike, natt = ([_bind("0.0.0.0", *wish)] for wish in wishes)  # noqa: S104  # any way leads out
    try:
        six = [_bind("::", *wish) for wish in wishes]
    except PlatformError:
        return [*ike], [*natt]  # a machine without IPv6
    return [*ike, six[0]], [*natt, six[1]]


def _bind(host: str, port: int, wish: str = "prefer-fixed") -> UdpSocket:
    """``wish``: that of a profile's ``ike_port`` and ``natt_port``."""
    encapsulated = port in (NATT_PORT, UDP_PORT)
    if wish == "dynamic":
        return UdpSocket.bind(host, 0, encapsulated=encapsulated)
    try:
        return UdpSocket.bind(host, port, encapsulated=encapsulated)
    except PlatformError as error:
        if wish == "fixed":
            raise PlatformError(error.what, action=FIXED) from error
        # Another connection or another VPN program has it; gateways take any (RFC 3947 §3).
        return UdpSocket.bind(host, 0, encapsulated=encapsulated)
