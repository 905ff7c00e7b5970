"""UDP sockets against the real kernel: loopback everywhere, namespaces where addresses matter."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import PlatformError
from culvert.inet.address import Address, Path
from culvert.netio import udp
from culvert.netio.udp import MAX_TRAIN, MAX_TRAIN_OCTETS, Fragmentation, UdpSocket
from netio.namespaces import inside, ip, namespace

ANYWHERE = "0.0.0.0"  # noqa: S104 - namespaces of our own


@contextmanager
def pair(host: str = "127.0.0.1") -> Iterator[tuple[UdpSocket, UdpSocket]]:
    left, right = UdpSocket.bind(host, 0), UdpSocket.bind(host, 0)
    try:
        yield left, right
    finally:
        left.close()
        right.close()


def read(at: UdpSocket, count: int) -> list[tuple[bytes, Path]]:
    """Until ``count`` have come; a failing kernel shows as a failing count, not as a hang."""
    got: list[tuple[bytes, Path]] = []
    while len(got) < count and select.select([at], [], [], 5.0)[0]:
        got += at.read_batch()
    return got


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_batch_arrives_in_order_with_both_addresses(host: str) -> None:
    with pair(host) as (left, right):
        sizes = [1, 700, 700, 700, 30, 1400, 1400, 1400, 5]
        sent = [bytes([number]) * size for number, size in enumerate(sizes)]
        assert left.send_batch([(octets, right.local) for octets in sent]) == len(sent)
        got = read(right, len(sent))
        assert [octets for octets, _ in got] == sent
        assert {path for _, path in got} == {Path(right.local, left.local, False)}
        assert left.counters.datagrams_out == right.counters.datagrams_in == len(sent)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_keepalives_end_in_the_kernel_and_nothing_else_does(host: str) -> None:
    with pair(host) as (client, ike):
        natt = UdpSocket.bind(host, 0, encapsulated=True)
        try:
            sent = [b"\xff", b"\xff\xff", b"\xff", b"\xfe", b"", bytes(1400), b"\xff", b"end"]
            for octets in sent:
                client.send(octets, natt.local)
                client.send(octets, ike.local)
            others = [octets for octets in sent if octets != b"\xff"]
            assert [octets for octets, _ in read(natt, len(others))] == others
            assert [octets for octets, _ in read(ike, len(sent))] == sent
        finally:
            natt.close()


def test_trains_cross_the_kernel_border_and_are_split_again() -> None:
    with pair() as (left, right):
        assert left.splits
        assert right.joins
        sent = [os.urandom(1000) for _ in range(60)] + [b"tail"]
        left.send_batch([(octets, right.local) for octets in sent])
        assert [octets for octets, _ in read(right, len(sent))] == sent
        assert left.counters.trains_refused == 0


def test_without_the_offloads_the_same_arrives() -> None:
    with pair() as (left, right):
        left.splits = False
        right._socket.setsockopt(socket.SOL_UDP, udp.UDP_GRO, 0)
        sent = [os.urandom(1000) for _ in range(60)]
        assert left.send_batch([(octets, right.local) for octets in sent]) == 60
        assert [octets for octets, _ in read(right, 60)] == sent


def test_a_kernel_that_refuses_trains_is_not_asked_again() -> None:
    with pair() as (left, right):
        # UDP_SEGMENT with checksums switched off is refused with EIO or EINVAL by every kernel.
        left._socket.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        sent = [bytes([number]) * 100 for number in range(10)]
        assert left.send_batch([(octets, right.local) for octets in sent]) == 10
        assert [octets for octets, _ in read(right, 10)] == sent
        assert not left.splits
        left.send_batch([(octets, right.local) for octets in sent])
        assert left.counters.trains_refused == 1


def test_one_read_stops_at_its_limit_give_or_take_a_train() -> None:
    with pair() as (left, right):
        left.splits = False
        left.send_batch([(b"x" * (1 + number % 2), right.local) for number in range(200)])
        assert 10 <= len(right.read_batch(10)) <= 10 + MAX_TRAIN
        left_over = 200 - right.counters.datagrams_in
        assert len(read(right, left_over)) == left_over


def test_the_nat_t_port_is_noted_in_the_path() -> None:
    with pair() as (left, _):
        right = UdpSocket.bind("127.0.0.1", 0, encapsulated=True)
        left.send(bytes(4) + b"IKE", right.local)
        assert [path.encapsulated for _, path in read(right, 1)] == [True]
        right.close()


def test_empty_and_largest_datagrams_pass_and_longer_ones_are_counted() -> None:
    with pair() as (left, right):
        largest = os.urandom(65507)
        assert left.send_batch([(b"", right.local), (largest, right.local)]) == 2
        assert [octets for octets, _ in read(right, 2)] == [b"", largest]
        assert not left.send(largest + b"x", right.local)
        assert left.counters.too_long == 1


def test_nothing_to_read_is_an_empty_batch() -> None:
    with pair() as (left, _):
        assert left.read_batch() == []


def test_an_unreachable_peer_is_counted_not_raised() -> None:
    with pair() as (left, right):
        # A loopback socket cannot reach another network: EINVAL or ENETUNREACH, by kernel.
        assert left.send_batch([(b"x", ("192.0.2.1", 9)), (b"y", right.local)]) == 1
        assert left.counters.not_sent == 1
        assert [octets for octets, _ in read(right, 1)] == [b"y"]


@pytest.mark.root
def test_a_full_buffer_is_counted_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "SOCKET_BUFFER", 1)
    with two_machines(()) as (first, _):
        with inside(first):
            sender = UdpSocket.bind(ANYWHERE, 0)
        # Nobody has that address: what waits for its neighbour entry fills the smallest buffer.
        sent = sender.send_batch([(bytes(1000 + size), ("10.9.0.77", 9)) for size in range(50)])
        assert 0 < sent < 50
        assert sender.counters.full == 50 - sent
        sender.close()


def test_a_taken_port_names_its_holder() -> None:
    with pair() as (left, _):
        with pytest.raises(PlatformError) as caught:
            UdpSocket.bind("127.0.0.1", left.local[1])
        assert f"port {left.local[1]}" in str(caught.value)
        assert f"(process {os.getpid()})" in str(caught.value)
        assert "another port" in caught.value.action


def test_an_address_of_another_machine_says_so() -> None:
    with pytest.raises(PlatformError, match="does not have that address"):
        UdpSocket.bind("192.0.2.1", 0)


sizes_and_peers = st.lists(st.tuples(st.sampled_from([0, 5, 700, 1400, 65000]), st.integers(0, 1)))


@given(sizes_and_peers)
def test_runs_keep_order_and_obey_the_kernels_rules(plan: list[tuple[int, int]]) -> None:
    peers: list[Address] = [("192.0.2.1", 4500), ("192.0.2.2", 4500)]
    batch = [(bytes(size), peers[peer]) for size, peer in plan]
    runs = list(udp._runs(batch))
    assert [(octets, to) for run, to in runs for octets in run] == batch
    for run, _ in runs:
        assert len(run) <= MAX_TRAIN
        assert len(run) == 1 or sum(map(len, run)) <= MAX_TRAIN_OCTETS
        assert {len(octets) for octets in run[:-1]} <= {len(run[0])}
        assert len(run) == 1 or 0 < len(run[-1]) <= len(run[0])


@contextmanager
def two_machines(addresses: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The second one has several addresses."""
    with namespace("a") as first, namespace("b") as second:
        ip("-n", first, "link", "add", "v", "type", "veth", "peer", "name", "v", "netns", second)
        ip("-n", first, "addr", "add", "10.9.0.1/24", "dev", "v")
        ip("-n", first, "addr", "add", "2001:db8::1/64", "dev", "v", "nodad")
        for address in addresses:
            nodad = ("nodad",) if ":" in address else ()
            ip("-n", second, "addr", "add", address, "dev", "v", *nodad)
        for name in (first, second):
            ip("-n", name, "link", "set", "v", "up")
        yield first, second


@pytest.mark.root
@pytest.mark.parametrize(("anywhere", "called"), [(ANYWHERE, "10.9.0.3"), ("::", "2001:db8::3")])
def test_answers_leave_from_the_address_that_was_called(anywhere: str, called: str) -> None:
    here = ("10.9.0.2/24", "10.9.0.3/24", "2001:db8::2/64", "2001:db8::3/64")
    with two_machines(here) as (first, second):
        with inside(first):
            client = UdpSocket.bind(anywhere, 0)
        with inside(second):
            gateway = UdpSocket.bind(anywhere, 4500)
        client.send(b"question", (called, 4500))
        [(_, path)] = read(gateway, 1)
        assert path.local == (called, 4500)
        gateway.send_batch([(b"answer", path.remote)] * 3)
        assert {path.remote for _, path in read(client, 3)} == {(called, 4500)}
        client.close()
        gateway.close()


@pytest.mark.root
def test_an_address_that_left_the_machine_does_not_silence_the_socket() -> None:
    with two_machines(("10.9.0.2/24", "10.9.0.3/32")) as (first, second):
        with inside(first):
            client = UdpSocket.bind(ANYWHERE, 0)
        with inside(second):
            moved = UdpSocket.bind(ANYWHERE, 4500)
        ip("-n", first, "route", "add", "10.9.0.3/32", "dev", "v")
        client.send(b"question", ("10.9.0.3", 4500))
        [(_, path)] = read(moved, 1)
        ip("-n", second, "addr", "del", "10.9.0.3/32", "dev", "v")
        assert moved.send_batch([(b"answer", path.remote)] * 2) == 2
        assert {path.remote for _, path in read(client, 2)} == {("10.9.0.2", 4500)}
        client.close()
        moved.close()


@pytest.mark.root
def test_who_may_cut_decides_whether_a_long_datagram_leaves() -> None:
    with two_machines(("10.9.0.2/24",)) as (first, second):
        with inside(second):
            peer = UdpSocket.bind(ANYWHERE, 4500)
        with inside(first):
            cutting = UdpSocket.bind(ANYWHERE, 0)
            whole = UdpSocket.bind(ANYWHERE, 0, fragmentation=Fragmentation.NOBODY)
        assert not whole.send(bytes(2000), ("10.9.0.2", 4500))
        assert whole.counters.too_long == 1
        assert cutting.send(bytes(2000), ("10.9.0.2", 4500))
        assert [len(octets) for octets, _ in read(peer, 1)] == [2000]
        for each in (peer, cutting, whole):
            each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_dscp_and_ecn_travel_with_trains_and_single_datagrams(host: str) -> None:
    with pair(host) as (left, right):
        for mark, count in ((0xB9, 20), (0, 20), (3, 1), (0xFF, 2)):
            left.send_batch([(bytes(500), right.local)] * count, mark)
        marks: list[int] = []
        while len(marks) < 43 and select.select([right], [], [], 5.0)[0]:
            batch = right.read_batch()
            marks += right.marks or [0] * len(batch)
        assert marks == [0xB9] * 20 + [0] * 20 + [3] + [0xFF] * 2
