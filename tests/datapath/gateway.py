"""A gateway of any engine in a namespace of its own, and the sockets of its clients in another.

One session for each suite. What its clients send is made here, packet by packet, so that it may be
as wrong as a test wants it; what they receive is opened by the pure engine. The gateway's packets
pass a real TUN (or the kernel's IPsec), a real socket and a real cable.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from culvert.crypto.packet import packet_suite
from culvert.datapath.plane import BARE, Plane
from culvert.datapath.xfrm.plane import KernelPlane
from culvert.driver.descriptors import Inside
from culvert.driver.pump import Pump
from culvert.effects import ActivateSa, InstallSa, PairWorn, PeerMoved
from culvert.eventlog.event import LogEvent
from culvert.inet.address import Address, Path
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.raw_esp import RawEsp
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.netio.xfrm import KernelIpsec, why_no_interface, why_not
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import SUITES, both_ends, half
from datapath.segments import Flow
from netio.namespaces import inside, ip, namespace

PROC = pathlib.Path("/proc/thread-self/net")
DEVICE = "in0"
NUMBER = 4242  # of the virtual interface of the kernel's IPsec
NEAR, FAR = {4: "172.31.0.1", 6: "2001:db8::1"}, {4: "172.31.0.2", 6: "2001:db8::2"}
INSIDE = {4: "192.168.2.1", 6: "fd01::1"}
SERVICE, CALLER = 53, 8080
PATIENCE = float(os.environ.get("CULVERT_TEST_PATIENCE", "20"))
ROOM = 8 << 20  # octets in the sockets of the tests: nothing of theirs is to be lost
IP_RECVTOS, IPV6_RECVTCLASS, IPV6_TCLASS = 13, 66, 67  # <linux/in.h>, <linux/in6.h>
_TOS = (socket.IP_TOS, IPV6_TCLASS)
SO_RCVBUFFORCE = 33

ENGINES = tuple(os.environ.get("CULVERT_TEST_ENGINES", "compiled python xfrm").split())
_numbers = count()

Carried = tuple[bytes, int]
"""What came out of the tunnel, and its DSCP and ECN."""


@dataclass(frozen=True)
class Kind:
    """An engine, and what its device and its packets are like."""

    engine: str  # compiled, python or xfrm
    virtio: bool = True
    carriage: str = "udp4"  # udp6, esp4
    mtu: int = 1500
    """Of the cable."""

    def __str__(self) -> str:
        plain = "" if self.virtio or self.engine == "xfrm" else "-plain"
        jumbo = f"-{self.mtu}" if self.mtu != 1500 else ""
        return f"{self.engine}{plain}-{self.carriage}{jumbo}"

    @property
    def inner(self) -> int:
        """The MTU of the device inside: what fits the cable by every way with every suite."""
        return self.mtu - 140

    @property
    def version(self) -> int:
        return int(self.carriage[-1])

    @property
    def bare(self) -> bool:
        return self.carriage.startswith("esp")


@dataclass
class Heard:
    """The coordinator's place."""

    ikes: list[bytes] = field(default_factory=list[bytes])
    faults: list[BaseException] = field(default_factory=list[BaseException])

    def ike(self, octets: bytes, path: Path) -> None:
        self.ikes.append(octets)

    def moved(self, news: PeerMoved) -> None:
        raise AssertionError(news)

    def worn(self, news: PairWorn) -> None:
        raise AssertionError(news)

    def busy(self) -> None: ...

    def note(self, event: LogEvent) -> None: ...

    def fault(self, what: str, error: BaseException) -> None:
        self.faults.append(error)


@dataclass
class Session:
    """One client: its keys, its addresses, and the number its next packet has."""

    number: int
    suite: tuple[str, int, str]
    next: int = 1

    @property
    def leased(self) -> dict[int, str]:
        return {4: f"10.1.0.{self.number}", 6: f"fd00::{self.number:x}"}

    def flow(self, version: int) -> Flow:
        ports = CALLER.to_bytes(2, "big") + SERVICE.to_bytes(2, "big")
        return Flow(packed(self.leased[version]), packed(INSIDE[version]), ports)

    def seal(self, packet: bytes, following: int = 0, *, least: int = 0, number: int = 0) -> bytes:
        """A datagram with any clear text, said to be of the protocol ``following`` (0: what it
        is), with at least so much padding."""
        cipher, size, integrity = self.suite
        keys = half(0x1000 + self.number, "test", cipher, size, integrity)
        found = packet_suite(cipher, integrity)
        if not number:
            number, self.next = self.next, self.next + 1
        padding = least + -(len(packet) + least + 2) % found.cipher.align
        follows = following or (41 if packet[0] >> 4 == 6 else 4)
        clear = packet + bytes(range(1, padding + 1)) + bytes((padding, follows))
        sealer = found.sealer(
            keys.cipher_key, keys.salt, keys.integrity_key, SeededRandom(self.next)
        )
        return sealer.seal(keys.spi.to_bytes(4, "big") + number.to_bytes(4, "big"), number, clear)


def packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


@dataclass
class Gateway:
    kind: Kind
    near: str
    far: str
    loop: asyncio.AbstractEventLoop
    plane: Plane
    pump: Pump
    heard: Heard
    cable: UdpSocket | RawEsp
    clients: Plane
    servers: dict[int, socket.socket]
    sessions: list[Session]
    _marks: Iterator[int] = field(default_factory=lambda: count(1))

    # --- work --------------------------------------------------------------------------------

    def until(self, true: Callable[[], bool], *, seconds: float = PATIENCE) -> bool:
        """Let the gateway work until it is so; whether it became so."""

        async def wait() -> bool:
            end = time.monotonic() + seconds
            while not true():
                if time.monotonic() > end:
                    return False
                await asyncio.sleep(0.0005)
            return True

        return self.loop.run_until_complete(wait())

    def send(self, datagrams: Sequence[bytes], mark: int = 0) -> None:
        """From the clients, one by one."""
        to: Address = (NEAR[self.kind.version], 0 if self.kind.bare else 4500)
        for datagram in datagrams:
            assert self.cable.send_batch([(datagram, to)], mark) == 1

    def arrived(self, session: Session, version: int = 4) -> list[Carried]:
        """What came out inside since the last call, up to what is sent now and surely arrives."""
        last = b"last %d" % next(self._marks)
        server = self.servers[version]
        found: list[Carried] = []

        def mark() -> bool:
            self.send([session.seal(session.flow(version).udp(last))])
            return self.until(ended, seconds=1.0)

        def ended() -> bool:
            while True:
                try:
                    octets, ancillary, _, _ = server.recvmsg(1 << 16, 256)
                except BlockingIOError:
                    return False
                if octets == last:
                    return True
                tos = next((data for _, kind, data in ancillary if kind in _TOS), b"\0")
                if not octets.startswith(b"last "):
                    found.append((octets, tos[0]))

        # Where a flood is still waiting, the first ones find no room.
        arrived = any(mark() for _ in range(int(PATIENCE)))
        assert arrived, f"{self.kind} {session}: the tunnel is dead; {self.heard.faults}"
        assert self.heard.faults == []
        return found

    def answer(self, session: Session, payloads: Sequence[bytes], version: int = 4) -> None:
        """From the server inside to a client."""
        for payload in payloads:
            self.servers[version].sendto(payload, (session.leased[version], CALLER))

    def answered(
        self, packets: int, *, seconds: float = PATIENCE, enough: Callable[[], bool] | None = None
    ) -> list[Carried]:
        """Inner packets that reached the clients, with the marks of what they came in."""
        found: list[Carried] = []
        peer: Address = (NEAR[self.kind.version], 0 if self.kind.bare else 4500)

        def there() -> bool:
            batch = self.cable.read_batch()
            marks = self.cable.marks or [0] * len(batch)
            for (octets, _), mark in zip(batch, marks, strict=True):
                port = BARE if self.kind.bare else 4500
                opened = self.clients.from_network([(octets, peer)], 0.0, port, [mark])
                found.extend((one, mark) for one in opened.inside)
            return len(found) >= packets

        assert self.until(there, seconds=seconds), f"{self.kind}: {len(found)} of {packets}"
        assert self.heard.faults == []
        return found

    # --- what it says ------------------------------------------------------------------------

    def dropped(self, session: Session) -> dict[str, int]:
        if isinstance(self.plane, KernelPlane):
            self.plane.look(0.0)
        found = self.plane.traffic(session.number).dropped_in
        return {str(reason): number for reason, number in found.items() if number}

    def change(self, *words: str) -> None:
        """A link of either end, by `ip`."""
        for name in (self.near, self.far):
            ip("-n", name, *words)

    def fragments_made(self) -> int:
        """By the kernels of both ends, outside and inside."""
        return sum(
            _counted(name, version, "FragCreates")
            for name in (self.near, self.far)
            for version in (4, 6)
        )


def _counted(name: str, version: int, what: str) -> int:
    with inside(name):
        return counted(version, what)


def counted(version: int, what: str) -> int:
    """A counter of the network namespace that this thread is in."""
    if version == 6:
        lines = (PROC / "snmp6").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"Ip6{what}"))
    lines = (PROC / "snmp").read_text("ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(values[names.index(what)])


@contextmanager
def pumping(
    loop: asyncio.AbstractEventLoop, pump: Pump, heard: Heard, inside: Inside
) -> Iterator[None]:
    """Packets pass whenever the loop runs."""

    async def start() -> None:
        pump.start(heard)
        pump.attach(inside)

    async def stop() -> None:
        pump.stop()

    loop.run_until_complete(start())
    try:
        yield
    finally:
        loop.run_until_complete(stop())


@contextmanager
def gateway(kind: Kind) -> Iterator[Gateway]:
    """Skips where the kernel has no IPsec and that was wanted."""
    with ExitStack() as stack:
        near, far = (stack.enter_context(namespace(f"g{next(_numbers)}{end}")) for end in "nf")
        _lay_cable(near, far, kind.mtu)
        with inside(near):
            suites = _suites(kind)
            plane, link = _inside(kind, stack)
            servers = {version: _server(host) for version, host in INSIDE.items()}
            sockets = _sockets(kind)
        for one in servers.values():
            stack.callback(one.close)
        with inside(far):
            cable: UdpSocket | RawEsp
            if kind.bare:
                cable = RawEsp.open(strangers=True)
            else:
                cable = UdpSocket.bind(FAR[kind.version], 4500)
                cable.splits = False  # each by itself, as a test made it
        stack.callback(cable.close)
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        pump = Pump(plane, [], [one for one in sockets if isinstance(one, UdpSocket)])
        if kind.bare:
            (raw,) = (one for one in sockets if isinstance(one, RawEsp))
            pump = Pump(plane, [], [], esp=raw)
        heard = Heard()

        stack.enter_context(pumping(loop, pump, heard, link))
        clients = make("python", SeededRandom(2), path_mtu=kind.mtu)
        sessions = [Session(number, suite) for number, suite in enumerate(suites, start=1)]
        for session in sessions:
            here, there = _orders(session, kind)
            pump.arrange(here)
            pump.arrange(ActivateSa(session.number, 1))
            clients.install(there)
        yield Gateway(kind, near, far, loop, plane, pump, heard, cable, clients, servers, sessions)


def _lay_cable(near: str, far: str, mtu: int) -> None:
    ip("-n", near, "link", "add", "v", "mtu", str(mtu), "type", "veth", "peer", "v", "netns", far)
    for name, hosts in ((near, NEAR), (far, FAR)):
        ip("-n", name, "addr", "add", f"{hosts[4]}/24", "dev", "v")
        ip("-n", name, "addr", "add", f"{hosts[6]}/64", "dev", "v", "nodad")
        ip("-n", name, "link", "set", "v", "mtu", str(mtu), "up")


def _suites(kind: Kind) -> list[tuple[str, int, str]]:
    if kind.engine != "xfrm":
        return SUITES
    if why := why_not() or why_no_interface():
        pytest.skip(why)
    return [
        (cipher, key, check) for cipher, key, check in SUITES if not why_not(cipher, check, key)
    ]


def _inside(kind: Kind, stack: ExitStack) -> tuple[Plane, Inside]:
    """The engine and its device, called by a thread in the namespace."""
    plane: Plane
    link: Inside
    if kind.engine == "xfrm":
        hand = stack.enter_context(KernelIpsec(NUMBER))
        stack.callback(hand.flush)
        kernel_plane = KernelPlane(hand)
        kernel_plane.heard(FAR[kind.version], NEAR[kind.version])
        plane, link = kernel_plane, IpsecLink(DEVICE, NUMBER)
        ip("link", "add", DEVICE, "type", "xfrm", "dev", "v", "if_id", str(NUMBER))
    else:
        name = "kernel" if kind.engine == "compiled" else "python"
        plane = make(name, SeededRandom(1))
        link = Tun.open(DEVICE, virtio=kind.virtio)
    # What the machine itself says must not come between (router solicitations).
    ip("link", "set", DEVICE, "addrgenmode", "none")
    ip("addr", "add", f"{INSIDE[4]}/24", "dev", DEVICE)
    ip("addr", "add", f"{INSIDE[6]}/64", "dev", DEVICE, "nodad")
    ip("link", "set", DEVICE, "mtu", str(kind.inner), "up")
    ip("route", "add", "10.1.0.0/24", "dev", DEVICE)
    ip("route", "add", "fd00::/64", "dev", DEVICE)
    return plane, link


def _server(host: str) -> socket.socket:
    six = ":" in host
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
    if six:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
    else:
        made.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    made.setblocking(False)
    made.bind((host, SERVICE))
    return made


def _sockets(kind: Kind) -> list[UdpSocket | RawEsp]:
    if kind.bare:
        raw = RawEsp.open(strangers=True)
        raw.answer(FAR[4], NEAR[4])
        return [raw]
    natt = UdpSocket.bind(NEAR[kind.version], 4500, encapsulated=True)
    if kind.engine == "xfrm":
        natt.leave_esp_to_the_kernel()
    return [natt]


def _orders(session: Session, kind: Kind) -> tuple[InstallSa, InstallSa]:
    leased = session.leased
    here, there = both_ends(
        session=session.number,
        suite=session.suite,
        to_gateway=0x1000 + session.number,
        to_client=0x2000 + session.number,
        near_gateway=("192.168.2.0/24", "fd01::/64"),
        near_client=(f"{leased[4]}/32", f"{leased[6]}/128"),
        client=(FAR[kind.version], 0 if kind.bare else 4500),
    )
    there = replace(there, peer=(NEAR[kind.version], 0 if kind.bare else 4500))
    if kind.bare:
        here, there = (
            replace(one, local_port=BARE, udp_encapsulated=False) for one in (here, there)
        )
    if kind.mtu != 1500:
        here = replace(here, inner_mtu=kind.inner)
    return here, there
