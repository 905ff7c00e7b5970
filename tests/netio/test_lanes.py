"""Sockets of one port by SPI, and queues of one TUN by session, in the real kernel."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack, closing
from itertools import chain

import pytest

from culvert.errors import PlatformError
from culvert.ike.phase1 import new_cookie
from culvert.ike.spis import Spis
from culvert.inet.lane import LANES, MOST_WORKERS, Share, lane_of
from culvert.netio.lanes import with_lanes, with_workers
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.rng import SeededRandom
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


def arrived(groups: list[list[UdpSocket]]) -> list[tuple[int, int, bytes]]:
    """Worker, lane and octets of everything that waits."""
    return [
        (worker, one.lane, octets)
        for worker, group in enumerate(groups)
        for one in group
        for octets, _ in one.read_batch()
    ]


def shared(stack: ExitStack, host: str, workers: int, *, lanes: bool) -> list[list[UdpSocket]]:
    first = stack.enter_context(closing(UdpSocket.bind(host, 0, encapsulated=lanes)))
    groups = with_workers(first, workers, lanes=lanes)
    for one in chain(*groups):
        stack.enter_context(closing(one))
    return groups


@pytest.mark.parametrize("workers", [2, 3, MOST_WORKERS])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("lanes", [True, False], ids=["natt", "ike"])
def test_each_worker_gets_what_its_own_cookies_and_spis_say(
    host: str, workers: int, *, lanes: bool
) -> None:
    shares = [Share(worker, workers) for worker in range(workers)]
    rng = SeededRandom(workers)
    marker = bytes(4 if lanes else 0)
    expected: list[tuple[int, int, bytes]] = []
    for share in shares:
        for _ in range(10):
            caller = rng.octets(8)
            with_ours = marker + caller + new_cookie(rng, share) + b"isakmp"
            expected.append((share.worker, 0, with_ours))
            first = marker + new_cookie(rng, share) + bytes(8) + b"isakmp"
            expected.append((share.worker, 0, first))
            spi = Spis(share).draw(rng)
            early = bytes(0 if lanes else 8)  # ESP on port 500, by the first drafts of NAT-T
            esp = early + spi.to_bytes(4, "big") + bytes(60)
            expected.append((share.worker, lane_of(spi) if lanes else 0, esp))
    expected += [(0, 0, b"ab"), (0, 0, bytes(4) + b"short")]
    with ExitStack() as stack:
        groups = shared(stack, host, workers, lanes=lanes)
        sender = stack.enter_context(closing(UdpSocket.bind(host, 0)))
        for *_, octets in expected:
            sender.send(octets, groups[0][0].local)
        assert sorted(arrived(groups)) == sorted(expected)


def test_a_port_with_workers_is_taken_for_others() -> None:
    with ExitStack() as stack:
        groups = shared(stack, "127.0.0.1", 2, lanes=True)
        with pytest.raises(PlatformError, match="taken"):
            UdpSocket.bind(*groups[0][0].local)


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
