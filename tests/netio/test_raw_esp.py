"""The raw socket of plain ESP against the real kernel, in namespaces of its own."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from culvert.errors import PlatformError
from culvert.inet.address import Path
from culvert.netio.raw_esp import RawEsp
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

HERE, THERE, SECOND = "192.0.2.1", "192.0.2.2", "192.0.2.3"
FAR = (THERE, 0)


@contextmanager
def two() -> Iterator[tuple[str, str]]:
    """Two namespaces on one cable; the far one has two addresses."""
    with namespace("e1") as here, namespace("e2") as there:
        ip("-n", here, "link", "add", "e0", "type", "veth", "peer", "e0", "netns", there)
        for name, addresses in ((here, (HERE,)), (there, (THERE, SECOND))):
            for address in addresses:
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "e0")
            ip("-n", name, "link", "set", "e0", "up")
        yield here, there


@contextmanager
def pair(*, strangers: bool = True) -> Iterator[tuple[RawEsp, RawEsp]]:
    with two() as (here, there):
        with inside(here):
            left = RawEsp.open(strangers=True)
        with inside(there):
            right = RawEsp.open(strangers=strangers)
        try:
            yield left, right
        finally:
            left.close()
            right.close()


def read(at: RawEsp, count: int) -> list[tuple[bytes, Path]]:
    got: list[tuple[bytes, Path]] = []
    while len(got) < count and select.select([at], [], [], 5.0)[0]:
        got += at.read_batch()
    return got


def test_a_batch_arrives_in_order_without_its_ip_header_and_with_both_hosts() -> None:
    with pair() as (left, right):
        sent = [bytes([number]) * 900 for number in range(30)]
        assert left.send_batch([(octets, FAR) for octets in sent]) == len(sent)
        got = read(right, len(sent))
        assert [octets for octets, _ in got] == sent
        assert {path for _, path in got} == {Path(FAR, (HERE, 0))}
        assert left.counters.packets_out == right.counters.packets_in == len(sent)


def test_a_packet_in_fragments_comes_whole() -> None:
    with pair() as (left, right):
        large = os.urandom(4000)
        assert left.send(large, FAR)
        assert [octets for octets, _ in read(right, 1)] == [large]


def test_the_answer_leaves_from_the_address_that_was_called() -> None:
    with pair() as (left, right):
        left.send(b"question", (SECOND, 0))
        assert read(right, 1)[0][1].local == (SECOND, 0)
        right.send(b"answer", (HERE, 0))
        assert read(left, 1)[0][1].remote == (SECOND, 0)


def test_where_ike_was_called_counts_until_esp_calls_another_address() -> None:
    with pair() as (left, right):
        right.answer(HERE, SECOND)
        right.send(b"first", (HERE, 0))
        assert read(left, 1)[0][1].remote == (SECOND, 0)
        left.send(b"question", FAR)
        read(right, 1)
        right.answer(HERE, SECOND)
        right.send(b"second", (HERE, 0))
        assert read(left, 1)[0][1].remote == FAR


def test_an_address_that_has_left_this_machine_does_not_stop_it() -> None:
    with pair() as (left, right):
        right.answer(HERE, "203.0.113.9")
        assert right.send(b"octets", (HERE, 0))
        assert read(left, 1)[0][1].remote == FAR


def test_packets_of_hosts_nobody_spoke_with_are_left_to_others() -> None:
    with pair(strangers=False) as (left, right):
        left.send(b"unasked", FAR)
        assert select.select([right], [], [], 5.0)[0]
        assert right.read_batch() == []
        assert right.counters.foreign == 1
        right.answer(HERE, THERE)
        left.send(b"expected", FAR)
        assert [octets for octets, _ in read(right, 1)] == [b"expected"]


def test_only_once_it_is_closed_is_the_sender_told_that_nobody_speaks_the_protocol() -> None:
    with two() as (here, there), ExitStack() as stack:
        with inside(here):
            left = stack.enter_context(closing(RawEsp.open(strangers=True)))
            refusals = stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            )
        with inside(there):
            right = stack.enter_context(closing(RawEsp.open(strangers=True)))
        refusals.settimeout(0.3)
        left.send(b"taken", FAR)
        assert len(read(right, 1)) == 1
        with pytest.raises(TimeoutError):
            refusals.recv(100)
        right.close()
        left.send(b"taken by nobody", FAR)
        try:
            assert refusals.recv(100)[20:22] == bytes((3, 2))  # protocol unreachable
        except TimeoutError:
            pytest.skip("this kernel takes ESP itself and is silent without an SA")


def test_what_the_network_does_not_take_is_counted() -> None:
    with pair() as (left, _):
        assert not left.send(b"octets", ("198.51.100.1", 0))
        assert not left.send(bytes(70_000), FAR)
        assert (left.counters.not_sent, left.counters.too_long) == (1, 1)


def test_without_the_right_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(PlatformError, match="Operation not permitted") as caught:
        RawEsp.open()
    assert "CAP_NET_RAW" in caught.value.action


def test_dscp_and_ecn_travel_with_a_packet() -> None:
    with pair() as (left, right):
        for mark in (0, 0xB9, 3, 0):
            left.send_batch([(bytes(100), FAR)], mark)
        marks: list[int] = []
        while len(marks) < 4 and select.select([right], [], [], 5.0)[0]:
            right.read_batch()
            marks += right.marks
        assert marks == [0, 0xB9, 3, 0]
