"""Sockets of one port by SPI, and queues of one TUN by session, in the real kernel."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack, closing

import pytest

from culvert.errors import PlatformError
from culvert.inet.lane import LANES, lane_of
from culvert.netio.lanes import with_lanes
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from datapath.orders import udp
from netio.namespaces import inside, ip, namespace


def laned(stack: ExitStack, host: str) -> list[UdpSocket]:
    opened = with_lanes(UdpSocket.bind(host, 0, encapsulated=True), lambda _: None)
    for one in opened:
        stack.enter_context(closing(one))
    return opened


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_spi_has_its_lane_and_ike_has_its_own(host: str) -> None:
    with ExitStack() as stack:
        lanes = laned(stack, host)
        assert [one.lane for one in lanes] == list(range(1 + LANES))
        sender = stack.enter_context(closing(UdpSocket.bind(host, 0)))
        sent = [(0x1000 + n).to_bytes(4, "big") + bytes(60) for n in range(40)]
        for octets in [*sent, bytes(4) + b"isakmp", b"ab"]:
            sender.send(octets, lanes[0].local)
        arrived = [
            (one.lane, octets)
            for one in lanes
            if select.select([one], [], [], 1.0)[0]
            for octets, _ in one.read_batch()
        ]
    assert sorted(arrived) == sorted(
        [(lane_of(int.from_bytes(one[:4], "big")), one) for one in sent]
        + [(0, bytes(4) + b"isakmp"), (0, b"ab")]
    )


def test_a_lane_that_overflows_takes_nothing_from_another() -> None:
    with ExitStack() as stack:
        lanes = laned(stack, "127.0.0.1")
        for one in lanes:
            inner = socket.socket(fileno=one.fileno())
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
            inner.detach()
        sender = stack.enter_context(closing(UdpSocket.bind("127.0.0.1", 0)))
        flood, quiet = (0x1000).to_bytes(4, "big"), (0x1001).to_bytes(4, "big")
        for _ in range(500):
            sender.send(flood + bytes(1000), lanes[0].local)
        sender.send(quiet + b"here", lanes[0].local)
        full, other = (lanes[lane_of(0x1000)], lanes[lane_of(0x1001)])
        assert [octets for octets, _ in other.read_batch()] == [quiet + b"here"]
        assert 0 < len(full.read_batch(1000)) < 500


def test_a_lane_answers_from_where_another_was_called() -> None:
    with ExitStack() as stack:
        lanes = laned(stack, "0.0.0.0")  # noqa: S104  # a port of our own
        caller = stack.enter_context(closing(UdpSocket.bind("127.0.0.1", 0)))
        caller.send((0x1002).to_bytes(4, "big"), ("127.0.0.9", lanes[0].local[1]))
        heard = lanes[lane_of(0x1002)]
        assert select.select([heard], [], [], 5.0)[0]
        heard.read_batch()
        lanes[0].send(b"answer", caller.local)
        assert select.select([caller], [], [], 5.0)[0]
        ((_, path),) = caller.read_batch()
        assert path.remote == ("127.0.0.9", lanes[0].local[1])


def test_another_program_finds_the_port_taken() -> None:
    with ExitStack() as stack:
        lanes = laned(stack, "127.0.0.1")
        with pytest.raises(PlatformError, match="taken"):
            UdpSocket.bind(*lanes[0].local)


@pytest.mark.root
def test_an_answer_comes_on_the_queue_that_was_written_to() -> None:
    with namespace("l") as name:
        with inside(name):
            tun = Tun.open_lanes("lanes%d", LANES)
            ip("-n", name, "link", "set", tun.name, "addrgenmode", "none")
            ip("-n", name, "addr", "add", "192.168.2.1/24", "dev", tun.name)
            ip("-n", name, "link", "set", tun.name, "up")
            ip("-n", name, "route", "add", "10.1.0.0/24", "dev", tun.name)
            echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with closing(tun), echo:
            echo.bind(("192.168.2.1", 53))
            echo.settimeout(5)
            for lane, queue in enumerate(tun.lanes):
                queue.write_batch([udp(f"10.1.0.{lane + 2}", "192.168.2.1", b"?")])
                _, peer = echo.recvfrom(100)
                echo.sendto(b"!", peer)
                readable, _, _ = select.select([tun, *tun.lanes], [], [], 5.0)
                assert readable == [queue]
                queue.read_batch()
    assert len(tun.lanes) == LANES
