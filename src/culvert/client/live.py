"""One live connection of the service: this machine, its TUN, the person, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from culvert.client.echoes import Echoes
from culvert.client.inquiries import inquire
from culvert.client.names_here import NamesHere
from culvert.client.ports import IKE_PORT, NATT_PORT
from culvert.client.remembered import RememberedWays
from culvert.client.running import Running, Snapshot
from culvert.client.statistics import Statistics
from culvert.datapath.fragmentation import Policy
from culvert.driver.capture import Watched
from culvert.driver.certificates import CertificateOffice
from culvert.driver.journal import wall_clock
from culvert.driver.kernel_limits import beyond
from culvert.driver.resolving import resolve
from culvert.driver.stream import StreamCall
from culvert.driver.surroundings import NoSurroundings
from culvert.driver.user_engine import Choice
from culvert.effects import (
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    EchoAnswered,
    HumanAnswered,
    Inquire,
    JudgeCertificate,
    MachineConfigured,
    NetworksWanted,
    OpenStream,
    Replied,
    Resolve,
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
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.machine import Applied, Machine
from culvert.netio.tun import Tun
from culvert.netio.xfrm import KernelIpsec
from culvert.profile.profile import Profile
from culvert.secret import Secret
from culvert.vault.trust import Trust

PORTS = (IKE_PORT, NATT_PORT, UDP_PORT)
"""The gateway's, for a capture."""


ONCE = frozenset(("passcode", "answer", "next-pin"))
"""Answers that are right one time only; the others serve again when nobody is there to ask."""

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
    """One connection between `connect` and its end; what surrounds its core.

    ``run`` makes what holds core and data path (`culvert.client.running`). ``link``: the kernel's
    IPsec carries it. ``engine_reason``: why this engine carries it, for the status.
    """

    def __init__(
        self,
        profile: Profile,
        run: Callable[[Live], Running],
        machine: Machine,
        alone: asyncio.Lock,
        record: Callable[[LogEvent], None],
        trust: Trust,
        *,
        watched: Watched | None = None,
        ways: RememberedWays | None = None,
        link: IpsecLink | None = None,
        engine_reason: str = "",
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
        self._machine = machine
        self._alone = alone
        self._record = record
        self._tun: Tun | IpsecLink | None = link
        self.link = link
        self._engine_reason = engine_reason
        self.hand = KernelIpsec(link.number) if link is not None else None
        """To the kernel's IPsec, if that carries it."""
        self._standing: TunnelSettings | None = None
        self._statistics = Statistics()
        self._given: dict[str, Secret] = {}
        self._watched = watched
        self._certificates = CertificateOffice(trust, record)
        self._stream: StreamCall | None = None
        self._echoes = Echoes(record)
        self._names = NamesHere()
        self._running = run(self)

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def snapshot(self) -> Snapshot:
        """What `culvert status` shows, as of the last `look`."""
        return {**self._running.snapshot, "engine_reason": self._engine_reason}

    @property
    def standing(self) -> tuple[TunnelSettings | None, str]:
        """How this machine is set up for the tunnel, and its interface."""
        return self._standing, self._tun.name if self._tun is not None else ""

    async def look(self) -> None:
        """Count anew, for someone who wants to see it."""
        if not self.over.done():
            await self._running.look()

    def statistics(self, row: Mapping[str, object], *, reset: bool) -> Mapping[str, object]:
        """What was counted; after a reset, from now on. ``row``: that of the status."""
        if reset:
            self._statistics.reset(row, packets_beside(), wall_clock())
        lan = self.profile.allow_local_lan
        return self._statistics.of(row, packets_beside(), local_lan=lan)

    def begin(self) -> None:
        if self.hand is not None:
            loop = asyncio.get_running_loop()
            loop.add_reader(self.hand.listen(), self._kernel_says, self.hand)
        self._running.begin()

    def _kernel_says(self, hand: KernelIpsec) -> None:
        self._running.told(hand.news())

    def want(self, profile: Profile) -> None:
        """Go on with this profile, which differs in what counts at once (`scope`) alone."""
        if profile.remote_networks != self.profile.remote_networks:
            self._running.want(NetworksWanted(profile.remote_networks))
        self.profile = profile

    def leave(self) -> None:
        """Say farewell and restore the machine; `over` tells when it is done."""
        self._running.leave()

    async def close(self, patience: float) -> None:
        """End it; what the core still wanted done gets ``patience`` seconds."""
        self._echoes.close()
        await self._running.close(patience)
        if self._standing is not None:  # its core has died
            await self.restore(RestoreMachine(self.name))
        if self.hand is not None and self.link is not None:
            asyncio.get_running_loop().remove_reader(self.hand.listen())
            self.hand.close()
            async with self._alone:
                await asyncio.to_thread(self._machine.close_tun, self.link)
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
            self._standing = order.settings
            if self._tun is not None:
                self._running.attach(self._tun)
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

    async def resolve(self, order: Resolve) -> Resolved:
        found = await resolve(order)
        known = self._ways.way(self.name, found.network) if self._ways is not None else ""
        return replace(found, way=known)

    async def restore(self, order: RestoreMachine) -> None:
        async with self._alone:
            # Not before it is our turn: a set-up still under way would attach it again.
            await self._running.detach()
            self._standing = None
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
        if self._tun is not None and self.link is None:
            self._machine.close_tun(self._tun)
            self._tun = None
        return (*undone.notes, *undone.failed)

    def _note(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._record(LogEvent("client.machine-note", {"note": note}))

    # --- what the core says --------------------------------------------------------------------

    def heard(self, event: LogEvent) -> None:
        """Events go to the log; some of them are what somebody may be waiting for, and one is for
        the next connection."""
        self._record(event)
        match event.code:
            case "client.up":
                self._statistics.begin(packets_beside())
                self.up.set()
                self.on_up()
            case "client.reconnecting" | "client.worker-lost":
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
