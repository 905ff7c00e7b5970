"""DSCP and ECN between a real TUN and real UDP sockets of both families, by the compiled engine."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.inet.checksum import checksum
from culvert.netio.tun import Tun
from culvert.netio.udp import IP_RECVTOS, UdpSocket
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import LEASED, both_ends, octets
from datapath.segments import Flow
from datapath.test_engines_agree import marked
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

INSIDE = "192.168.2.1"
URGENT, CAPABLE, CONGESTED = 0xB8, 2, 3


@dataclass
class Ends:
    engine: KernelEngine
    udp: UdpSocket
    client: Plane
    outside: UdpSocket
    name: str

    def at_client(self, count: int) -> list[int]:
        """The marks of what arrives there, in order."""
        found: list[int] = []
        while len(found) < count and select.select([self.outside], [], [], 5.0)[0]:
            batch = self.outside.read_batch()
            found += self.outside.marks or [0] * len(batch)
        return found


@pytest.fixture(params=["127.0.0.1", "::1"])
def on(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with namespace("m") as name:
        with inside(name):
            tun = Tun.open(virtio=True)
            # What the machine itself says must not come between (router solicitations).
            ip("-n", name, "link", "set", tun.name, "addrgenmode", "none")
            ip("-n", name, "addr", "add", f"{INSIDE}/24", "dev", tun.name)
            ip("-n", name, "link", "set", tun.name, "mtu", "1400", "up")
            ip("-n", name, "route", "add", f"{LEASED}/32", "dev", tun.name)
            udp = UdpSocket.bind(request.param, 4500, encapsulated=True)
            outside = UdpSocket.bind(request.param, 0)
        here, there = both_ends(suite=("aes-gcm-16", 16, ""), client=outside.local)
        engine, client = KernelEngine(kernel(), SeededRandom(1)), make("python", SeededRandom(2))
        for one, order in ((engine, here), (client, there)):
            one.install(order)
            one.activate(1, 1)
        six = ":" in request.param
        engine.attach(
            tun.fileno(), {6 if six else 4: udp.fileno()}, virtio=True, joins_udp=True, trains=True
        )
        with closing(tun), closing(udp), closing(outside):
            yield Ends(engine, udp, client, outside, name)


def test_a_train_ends_where_the_mark_changes(on: Ends) -> None:
    wanted = [0] * 5 + [URGENT] * 5 + [URGENT | CAPABLE] + [0] * 3 + [CONGESTED] * 4
    with inside(on.name):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.bind((INSIDE, 0))
        for mark in wanted:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark)
            sender.sendto(bytes(600), (LEASED, 9))
        on.engine.transmit()
    assert on.at_client(len(wanted)) == wanted


def test_what_a_router_marked_is_marked_inside(on: Ends) -> None:
    with inside(on.name):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow = Flow(octets(LEASED), octets(INSIDE), b"\x1f\x90\x00\x35")
    # inner, outer, what the server is to see; None: nothing
    letters = [
        (CAPABLE, CAPABLE, CAPABLE),
        (CAPABLE, CONGESTED, CONGESTED),
        (0, CONGESTED, None),
        (URGENT, 0, URGENT),
        (0, URGENT, 0),
        (CONGESTED, 0, CONGESTED),
    ]
    with server:
        server.bind((INSIDE, 53))
        server.settimeout(5)
        server.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        for inner, outer, _ in letters:
            packet = resummed(marked(flow.udp(bytes(300)), inner))
            (burst,) = on.client.from_tunnel([packet], 0.0).bursts
            on.outside.send_batch([(one, on.udp.local) for one in burst.datagrams], outer)
        while on.engine.receive(on.udp.fileno(), 1.0).carried:
            pass
        wanted = [seen for _, _, seen in letters if seen is not None]
        assert [server.recvmsg(2000, 64)[1][0][2][0] for _ in wanted] == wanted
    assert on.engine.traffic(1).dropped_in == {"congested": 1}


def resummed(packet: bytes) -> bytes:
    """The IPv4 header's sum made anew."""
    made = bytearray(packet)
    made[10:12] = b"\0\0"
    made[10:12] = checksum(made[:20]).to_bytes(2, "big")
    return bytes(made)
