"""The compiled engine between real descriptors: trains, joined segments, a socket that is full."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import pytest

from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.effects import InstallSa
from culvert.inet.address import Address
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import LEASED, both_ends, octets
from datapath.segments import Flow
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

INSIDE = "192.168.2.1"
AWAY = "10.66.0.2"


@dataclass
class Direct:
    """A gateway's engine with a TUN and a socket; the client's engine has a plain socket."""

    name: str
    engine: KernelEngine
    tun: Tun
    udp: UdpSocket
    client: Plane
    outside: socket.socket

    def at_client(self) -> list[bytes]:
        """Inner packets of whatever has arrived there."""
        found: list[bytes] = []
        while select.select([self.outside], [], [], 0.2)[0]:
            datagram = self.outside.recv(2000)
            found += self.client.from_network([(datagram, self.udp.local)], 0.0).inside
        return found


@pytest.fixture(params=[True, False], ids=["virtio", "plain"])
def on(request: pytest.FixtureRequest) -> Iterator[Direct]:
    with namespace("k") as name:
        with inside(name):
            tun = Tun.open(virtio=request.param)
            ip("-n", name, "addr", "add", f"{INSIDE}/24", "dev", tun.name)
            ip("-n", name, "link", "set", tun.name, "mtu", "1400", "up")
            ip("-n", name, "route", "add", f"{LEASED}/32", "dev", tun.name)
            udp = UdpSocket.bind("127.0.0.1", 4500, encapsulated=True)
            outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            outside.bind(("127.0.0.1", 0))
        here, there = both_ends(suite=("aes-gcm-16", 16, ""), client=outside.getsockname())
        engine = KernelEngine(kernel(), SeededRandom(1))
        client = make("python", SeededRandom(2))
        for one, order in ((engine, here), (client, there)):
            one.install(order)
            one.activate(1, 1)
        engine.attach(
            tun.fileno(),
            {4: udp.fileno()},
            virtio=tun.virtio,
            joins_udp="uso" in tun.offloads,
            trains=udp.splits,
        )
        with closing(tun), closing(udp), outside:
            yield Direct(name, engine, tun, udp, client, outside)


def test_a_datagram_train_of_the_machine_leaves_as_packets_of_its_size(on: Direct) -> None:
    with inside(on.name):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.bind((INSIDE, 0))
        for number in range(40):
            sender.sendto(bytes([number]) * (1000 if number < 39 else 77), (LEASED, 9))
        on.engine.transmit()
        on.engine.transmit()
        on.engine.transmit()
    arrived = [one[28:] for one in on.at_client() if one[9] == 17]
    assert arrived == [bytes([n]) * (1000 if n < 39 else 77) for n in range(40)]


def test_datagrams_of_the_client_arrive_each_by_itself(on: Direct) -> None:
    """Joined for the TUN, if the kernel takes that; a socket that knows of no trains sees none."""
    with inside(on.name):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow = Flow(octets(LEASED), octets(INSIDE), b"\x1f\x90\x00\x35")
    sent = [bytes([n]) * (300 if n % 20 else 150) for n in range(1, 61)]
    with server:
        server.bind((INSIDE, 53))
        server.settimeout(5)
        (burst,) = on.client.from_tunnel([flow.udp(one) for one in sent], 0.0).bursts
        for datagram in burst.datagrams:
            on.outside.sendto(datagram, on.udp.local)
        while on.engine.receive(on.udp.fileno(), 1.0).carried:
            pass
        assert [server.recv(2000) for _ in sent] == sent


def test_bytes_of_a_connection_arrive_whole_both_ways(on: Direct) -> None:
    """A TCP server behind the gateway, and a client that is a second engine with a TUN."""
    with namespace("c") as far:
        with inside(far):
            tun = Tun.open(virtio=on.tun.virtio)
            ip("-n", far, "addr", "add", f"{LEASED}/32", "dev", tun.name)
            ip("-n", far, "link", "set", tun.name, "mtu", "1400", "up")
            ip("-n", far, "route", "add", "192.168.2.0/24", "dev", tun.name)
            caller = socket.socket()
        with inside(on.name):
            udp = UdpSocket.bind("127.0.0.1", 4501, encapsulated=True)
            server = socket.create_server((INSIDE, 80))
        engine = KernelEngine(kernel(), SeededRandom(3))
        here, there = both_ends(
            pair=2, to_gateway=0x1002, to_client=0x2002, client=("127.0.0.1", 4501)
        )
        installed(engine, there, peer=("127.0.0.1", 4500))
        installed(on.engine, here)
        engine.attach(
            tun.fileno(),
            {4: udp.fileno()},
            virtio=tun.virtio,
            joins_udp="uso" in tun.offloads,
            trains=True,
        )
        payload = os.urandom(3_000_000)
        with closing(tun), closing(udp), server, caller:
            got = conversation(caller, server, payload, [(on.engine, on.udp), (engine, udp)])
        assert got == (payload, payload)
        carried = on.engine.traffic(1)
        assert carried.dropped_in == carried.dropped_out == {}
        assert carried.packets_in > 3_000_000 // 1400


def installed(engine: Plane, order: InstallSa, peer: Address | None = None) -> None:
    engine.install(order)
    engine.activate(order.session, order.pair)
    if peer:
        engine.move(order.session, peer, order.local_port)


def conversation(
    caller: socket.socket,
    server: socket.socket,
    payload: bytes,
    ends: list[tuple[KernelEngine, UdpSocket]],
) -> tuple[bytes, bytes]:
    """Both say ``payload`` at once; what each heard."""
    caller.setblocking(False)
    server.setblocking(False)
    caller.connect_ex((INSIDE, 80))
    talking = {caller: (memoryview(payload), bytearray())}
    for _ in range(200_000):
        for engine, udp in ends:
            engine.receive(udp.fileno(), 1.0)
            engine.transmit()
        if len(talking) == 1 and select.select([server], [], [], 0)[0]:
            accepted, _ = server.accept()
            accepted.setblocking(False)
            talking[accepted] = (memoryview(payload), bytearray())
        for one, (left, heard) in tuple(talking.items()):
            talking[one] = (_talk(one, left, heard), heard)
        if len(talking) == 2 and all(len(heard) == len(payload) for _, heard in talking.values()):
            break
    heard_by = [bytes(heard) for _, heard in talking.values()]
    for one in talking:
        one.close()
    return heard_by[0], heard_by[-1]


def _talk(one: socket.socket, left: memoryview, heard: bytearray) -> memoryview:
    with suppress(OSError):
        if left:
            left = left[one.send(left) :]
    with suppress(OSError):
        heard += one.recv(1 << 18)
    return left


def test_a_full_socket_is_told_and_nothing_is_lost(on: Direct) -> None:
    """Datagrams for a neighbour that does not answer ARP fill the small buffer."""
    ip("-n", on.name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    for one in ("v0", "v1"):
        ip("-n", on.name, "link", "set", one, "up")
    ip("-n", on.name, "addr", "add", "10.66.0.1/24", "dev", "v0")
    with inside(on.name):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        narrow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender, narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        narrow.setblocking(False)
        on.engine.move(1, (AWAY, 4500), 4500)
        on.engine.attach(
            on.tun.fileno(),
            {4: narrow.fileno()},
            virtio=on.tun.virtio,
            joins_udp=False,
            trains=False,
        )
        sender.bind((INSIDE, 0))
        sent = 0
        blocked = -1
        while blocked < 0 and sent < 50:
            sender.sendto(bytes(1000), (LEASED, 9))
            sent += 1
            blocked = on.engine.transmit().blocked
        assert blocked == narrow.fileno()
        assert not on.engine.transmit().read
        ip("-n", on.name, "neigh", "replace", AWAY, "lladdr", "02:00:00:00:00:01", "dev", "v0")
        assert select.select([], [narrow], [], 5.0)[1]
        assert on.engine.transmit().blocked == -1
        assert on.engine.traffic(1).packets_out >= sent
