"""Every offload may be missing or be lost on the way: all the same bytes arrive without it.

Two machines with an engine each: TCP of both families both ways at once, and datagrams in trains,
through a device inside and a cable outside that lack what the test takes away.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from culvert.datapath.plane import BARE, Plane
from culvert.driver.pump import Pump
from culvert.effects import ActivateSa, InstallSa
from culvert.inet.address import Address
from culvert.inet.lane import LANES
from culvert.netio import udp
from culvert.netio.raw_esp import RawEsp
from culvert.netio.tun import (
    IFF_MULTI_QUEUE,
    IFF_VNET_HDR,
    TUN_F_USO4,
    TUNSETIFF,
    TUNSETOFFLOAD,
    Tun,
)
from culvert.netio.udp import UDP_GRO, UDP_SEGMENT, UdpSocket
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.gateway import DEVICE, PATIENCE, Heard, pumping
from datapath.orders import both_ends
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

OUTSIDE = ("172.31.0.1", "172.31.0.2")
INSIDE = (("192.168.2.1", "fd01::1"), ("10.1.0.5", "fd00::5"))
MTU = 1380
SO_NO_CHECK = 11  # <asm/socket.h>
PAYLOAD = os.urandom(1_000_000)

LOST = (
    "nothing",
    "virtio headers",  # kernels before 2.6.27
    "cutting of UDP",  # TUN_F_USO: before 6.2
    "all cutting",
    "queues of the device",  # before 3.8
    "UDP_SEGMENT",  # before 4.18
    "UDP_GRO",  # before 5.0
    "trains on this path",  # EIO or EINVAL for each
    "UDP",  # plain ESP, a raw socket
)


@dataclass
class End:
    """One machine."""

    name: str
    plane: Plane
    pump: Pump
    tun: Tun
    outside: UdpSocket | RawEsp
    heard: Heard


@dataclass
class Two:
    loop: asyncio.AbstractEventLoop
    ends: tuple[End, End]


@pytest.fixture(params=LOST)
def lost(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    what: str = request.param
    real, accepts = fcntl.ioctl, udp._accepts

    def ioctl(descriptor: int, request: int, argument: Any) -> Any:
        flags = int.from_bytes(argument[16:18], "little") if request == TUNSETIFF else 0
        refused = {"virtio headers": IFF_VNET_HDR, "queues of the device": IFF_MULTI_QUEUE}
        if flags & refused.get(what, 0):
            raise OSError(errno.EINVAL, "Invalid argument")
        if request == TUNSETOFFLOAD and (
            what == "all cutting" or (what == "cutting of UDP" and argument & TUN_F_USO4)
        ):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, request, argument)

    def grudging(opened: socket.socket, option: int, value: int) -> bool:
        missing = {"UDP_SEGMENT": UDP_SEGMENT, "UDP_GRO": UDP_GRO}.get(what)
        return option != missing and accepts(opened, option, value)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(udp, "_accepts", grudging)
    return what


@pytest.fixture(params=["compiled", "python"])
def two(request: pytest.FixtureRequest, lost: str) -> Iterator[Two]:
    engine = "kernel" if request.param == "compiled" else "python"
    with ExitStack() as stack:
        names = [stack.enter_context(namespace(f"o{end}")) for end in "ab"]
        ip("-n", names[0], "link", "add", "v", "type", "veth", "peer", "v", "netns", names[1])
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        ends = tuple(
            end_of(name, at, engine, order, loop, stack, bare=lost == "UDP")
            for at, (name, order) in enumerate(zip(names, orders(lost == "UDP"), strict=True))
        )
        assert isinstance(ends[0].outside, RawEsp) == (lost == "UDP")
        if lost == "trains on this path":
            # Without checksums every kernel refuses UDP_SEGMENT.
            for one in ends:
                assert isinstance(one.outside, UdpSocket)
                one.outside._socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        yield Two(loop, (ends[0], ends[1]))


def orders(bare: bool) -> tuple[InstallSa, InstallSa]:
    port = 0 if bare else 4500
    networks = [tuple(f"{host}/{128 if ':' in host else 32}" for host in one) for one in INSIDE]
    here, there = both_ends(
        suite=("aes-gcm-16", 16, ""),
        near_gateway=networks[0],
        near_client=networks[1],
        client=(OUTSIDE[1], port),
    )
    peer: Address = (OUTSIDE[0], port)
    there = replace(there, peer=peer)
    if bare:
        here, there = (
            replace(one, local_port=BARE, udp_encapsulated=False) for one in (here, there)
        )
    return here, there


def end_of(
    name: str,
    at: int,
    engine: str,
    order: InstallSa,
    loop: asyncio.AbstractEventLoop,
    stack: ExitStack,
    *,
    bare: bool,
) -> End:
    ip("-n", name, "addr", "add", f"{OUTSIDE[at]}/24", "dev", "v")
    ip("-n", name, "link", "set", "v", "up")
    with inside(name):
        tun = Tun.open_lanes(DEVICE, LANES, virtio=True)
        outside: UdpSocket | RawEsp
        if bare:
            outside = RawEsp.open(strangers=True)
            outside.answer(OUTSIDE[1 - at], OUTSIDE[at])
        else:
            outside = UdpSocket.bind(OUTSIDE[at], 4500, encapsulated=True)
    ip("-n", name, "link", "set", DEVICE, "addrgenmode", "none")
    for mine, other in zip(INSIDE[at], INSIDE[1 - at], strict=True):
        ip("-n", name, "addr", "add", mine, "dev", DEVICE, *(("nodad",) if ":" in mine else ()))
        ip("-n", name, "link", "set", DEVICE, "mtu", str(MTU), "up")
        ip("-n", name, "route", "add", other, "dev", DEVICE)
    plane = make(engine, SeededRandom(at))
    pump = (
        Pump(plane, [], [], esp=outside)
        if isinstance(outside, RawEsp)
        else Pump(plane, [], [outside])
    )
    heard = Heard()
    pump.arrange(order)
    pump.arrange(ActivateSa(order.session, order.pair))
    stack.enter_context(pumping(loop, pump, heard, tun))
    return End(name, plane, pump, tun, outside, heard)


async def conversation(two: Two, host: str) -> tuple[bytes, bytes]:
    """Both say all of it at once; what each heard."""
    server_of, caller_of = two.ends
    six = ":" in host
    family = socket.AF_INET6 if six else socket.AF_INET
    with inside(server_of.name):
        listening = socket.create_server((host, 80), family=family)
    with inside(caller_of.name):
        caller = socket.socket(family)
    loop = asyncio.get_running_loop()
    for one in (listening, caller):
        one.setblocking(False)
    with listening, caller:
        accepting = asyncio.ensure_future(loop.sock_accept(listening))
        await loop.sock_connect(caller, (host, 80))
        accepted, _ = await accepting
        with accepted:
            heard = await asyncio.gather(
                *(everything(loop, one) for one in (caller, accepted)),
                *(loop.sock_sendall(one, PAYLOAD) for one in (caller, accepted)),
            )
    first, second, *_ = heard
    assert first is not None
    assert second is not None
    return first, second


async def everything(loop: asyncio.AbstractEventLoop, one: socket.socket) -> bytes:
    found = bytearray()
    while len(found) < len(PAYLOAD):
        octets = await loop.sock_recv(one, 1 << 18)
        if not octets:
            break
        found += octets
    return bytes(found)


async def train(two: Two, host: str) -> list[bytes]:
    """Datagrams that a program of the machine leaves to the kernel to cut."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with inside(two.ends[0].name):
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((host, 53))
    with inside(two.ends[1].name):
        caller = socket.socket(family, socket.SOCK_DGRAM)
    with closing(server), closing(caller):
        server.setblocking(False)
        caller.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
        caller.sendto(PAYLOAD[:40_500], (host, 53))
        loop = asyncio.get_running_loop()
        return [await loop.sock_recv(server, 2000) for _ in range(41)]


def test_all_bytes_arrive_without_what_is_missing(two: Two, lost: str) -> None:
    async def play() -> None:
        for host in INSIDE[0]:
            assert await conversation(two, host) == (PAYLOAD, PAYLOAD)
            wanted = [PAYLOAD[at : at + 1000] for at in range(0, 40_000, 1000)]
            assert await train(two, host) == [*wanted, PAYLOAD[40_000:40_500]]

    two.loop.run_until_complete(asyncio.wait_for(play(), 3 * PATIENCE))
    for one in two.ends:
        assert one.heard.faults == []
        counted = one.plane.traffic(1)
        assert counted.dropped_in == {}
        assert counted.dropped_out == {}
        missing(one, lost)


def missing(end: End, lost: str) -> None:
    """It was really not there, and what was there was used."""
    cuts = {"virtio headers": (), "all cutting": ()}
    assert end.tun.virtio == (lost != "virtio headers")
    assert bool(end.tun.lanes) == (lost != "queues of the device")
    assert {"tso4", "tso6"} <= set(end.tun.offloads) or lost in cuts
    assert "uso" not in end.tun.offloads or lost not in (*cuts, "cutting of UDP")
    if isinstance(end.outside, UdpSocket):
        assert end.outside.joins == (lost != "UDP_GRO")
        if lost == "UDP_SEGMENT":
            assert not end.outside.splits
        if lost == "trains on this path" and end.plane.name == "python":
            assert not end.outside.splits
            assert end.outside.counters.trains_refused == 1
