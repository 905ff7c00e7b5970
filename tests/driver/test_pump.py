"""The pump between a real TUN and real UDP sockets, in a namespace of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from culvert.datapath.python_engine import PythonEngine
from culvert.driver.packet_loop import PacketLoop
from culvert.driver.pump import Pump
from culvert.effects import ActivateSa, MovePeer, PairWorn, PeerMoved, RemoveSa
from culvert.eventlog.event import LogEvent
from culvert.inet.address import Path
from culvert.inet.lane import LANES
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import LEASED, both_ends, udp
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

INSIDE = "192.168.2.1"


@dataclass
class Listener:
    """Remembers what the pump told."""

    heard: list[object] = field(default_factory=list)
    looks: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def ike(self, octets: bytes, path: Path) -> None:
        self._note((octets, path))

    def moved(self, news: PeerMoved) -> None:
        self._note(news)

    def worn(self, news: PairWorn) -> None:
        self._note(news)

    def busy(self) -> None:
        self.looks += 1

    def note(self, event: LogEvent) -> None:
        self._note(event)

    def fault(self, what: str, error: BaseException) -> None:
        self._note(error)

    def _note(self, what: object) -> None:
        self.heard.append(what)
        self.news.set()


@dataclass
class Stage:
    """A gateway's pump; the client's engine with a plain socket; a server behind the gateway."""

    pump: Pump
    listener: Listener
    natt: UdpSocket
    tun: Tun
    client: PythonEngine
    outside: socket.socket
    server: socket.socket
    elsewhere: socket.socket

    async def from_client(self, packet: bytes, via: socket.socket | None = None) -> None:
        (burst,) = self.client.from_tunnel([packet], 0.0).bursts
        for datagram in burst.datagrams:
            (via or self.outside).sendto(datagram, self.natt.local)

    async def at_server(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.server, 2000)

    async def at_client(self) -> list[bytes]:
        datagram = await asyncio.get_running_loop().sock_recv(self.outside, 2000)
        return self.client.from_network([(datagram, self.natt.local)], 0.0).inside


@pytest.fixture(params=["python", "kernel"])
def stage(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[Callable[[Stage], Awaitable[None]]], Stage]]:
    with namespace("p") as name:

        def run(play: Callable[[Stage], Awaitable[None]]) -> Stage:
            with asyncio.Runner(loop_factory=PacketLoop) as runner:
                return runner.run(on_stage(name, play, request.param))

        yield run


async def on_stage(name: str, play: Callable[[Stage], Awaitable[None]], engine: str) -> Stage:
    with inside(name):
        tun = Tun.open_lanes("culvert%d", LANES, virtio=engine == "kernel")
        ip("-n", name, "addr", "add", f"{INSIDE}/24", "dev", tun.name)
        ip("-n", name, "link", "set", tun.name, "mtu", "1400", "up")
        ip("-n", name, "route", "add", f"{LEASED}/32", "dev", tun.name)
        natt = UdpSocket.bind("127.0.0.1", 4500, encapsulated=True)
        outside, elsewhere, server = (plain(host) for host in ("127.0.0.1", "127.0.0.1", INSIDE))
    gateway_order, client_order = both_ends(client=outside.getsockname())
    pump = Pump(make(engine, SeededRandom(1)), [], [natt])
    pump.arrange(gateway_order)
    pump.arrange(ActivateSa(1, 1))
    client = PythonEngine(SeededRandom(2))
    client.install(client_order)
    client.activate(1, 1)
    found = Stage(pump, Listener(), natt, tun, client, outside, server, elsewhere)
    pump.start(found.listener)
    pump.attach(tun)
    try:
        await asyncio.wait_for(play(found), 10)
    finally:
        pump.stop()
        for one in (outside, elsewhere, server):
            one.close()
    return found


def plain(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((host, 53 if host == INSIDE else 0))
    return made


def question(payload: bytes) -> bytes:
    return udp(LEASED, INSIDE, payload)


Run = Callable[[Callable[[Stage], Awaitable[None]]], Stage]


def test_a_packet_crosses_the_tunnel_and_its_answer_comes_back(stage: Run) -> None:
    async def play(on: Stage) -> None:
        await on.from_client(question(b"where?"))
        assert await on.at_server() == b"where?"
        on.server.sendto(b"here", (LEASED, 4000))
        (answer,) = await on.at_client()
        assert answer.endswith(b"here")
        (told,) = on.pump.changed()
        assert (told.session, told.packets_in, told.packets_out) == (1, 1, 1)
        assert (told.octets_in, told.octets_out) == (28 + 6, 28 + 4)
        assert on.pump.changed() == []

    assert stage(play).listener.looks >= 2


def test_every_queue_of_the_device_is_served_though_the_socket_has_no_lanes(stage: Run) -> None:
    async def play(on: Stage) -> None:
        """Flows that begin inside are spread over the queues."""
        flows = 16 * LANES
        for port in range(flows):
            on.server.sendto(b"%d" % port, (LEASED, 5000 + port))
        heard: set[bytes] = set()
        while len(heard) < flows:
            heard |= {one[28:] for one in await on.at_client()}
        assert heard == {b"%d" % port for port in range(flows)}
        assert on.listener.heard == []

    stage(play)


def test_a_client_that_moved_is_told_at_once_and_answered_there(stage: Run) -> None:
    async def play(on: Stage) -> None:
        await on.from_client(question(b"hello"))
        await on.at_server()
        await on.from_client(question(b"moved"), via=on.elsewhere)
        await on.at_server()
        await on.listener.news.wait()
        moved = PeerMoved(1, on.elsewhere.getsockname(), 4500)
        assert on.listener.heard == [moved]
        on.pump.arrange(MovePeer(1, moved.peer, moved.local_port))
        on.server.sendto(b"here", (LEASED, 4000))
        assert await asyncio.get_running_loop().sock_recv(on.elsewhere, 2000)

    stage(play)


def test_forged_and_repeated_packets_are_told_by_the_next_look(stage: Run) -> None:
    async def play(on: Stage) -> None:
        (burst,) = on.client.from_tunnel([question(b"once")], 0.0).bursts
        (datagram,) = burst.datagrams
        forged = datagram[:-1] + bytes([datagram[-1] ^ 1])
        for one in (forged, datagram, datagram, b"\x00\x00\xff\xff" + datagram[4:]):
            on.outside.sendto(one, on.natt.local)
        assert await on.at_server() == b"once"
        await on.from_client(question(b"twice"))
        assert await on.at_server() == b"twice"
        on.pump.changed()

    heard = {
        event.code: event.fields
        for event in stage(play).listener.heard
        if isinstance(event, LogEvent)
    }
    assert heard["data.not-authentic"] == {"count": 1, "session": 1}
    assert heard["data.replayed"] == {"count": 1, "session": 1}
    assert heard["gateway.unknown-spi"]["count"] == 1


def test_a_removed_pair_opens_nothing(stage: Run) -> None:
    async def play(on: Stage) -> None:
        on.pump.arrange(RemoveSa(1, 1))
        await on.from_client(question(b"too late"))
        on.outside.sendto(bytes(4) + b"ike after", on.natt.local)
        await on.listener.news.wait()
        with pytest.raises(BlockingIOError):
            on.server.recv(2000)

    stage(play)


def test_an_interface_that_is_deleted_stops_being_read_and_is_told(stage: Run) -> None:
    async def play(on: Stage) -> None:
        ip("-n", f"cvm{os.getpid()}p", "link", "del", on.tun.name)
        await on.listener.news.wait()

    (event,) = stage(play).listener.heard
    assert isinstance(event, LogEvent)
    assert event.code == "data.interface-gone"


def test_the_sender_speaks_the_family_of_the_peer() -> None:
    four = UdpSocket.bind("127.0.0.1", 0)
    six = UdpSocket.bind("::1", 0)
    pump = Pump(PythonEngine(SeededRandom(1)), [four, six], [])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.bind(("::1", 0))
        peer.settimeout(5)
        pump.send(b"hello", ("::1", peer.getsockname()[1]), 500, marker=True)
        assert peer.recv(100) == bytes(4) + b"hello"
    pump.stop()
