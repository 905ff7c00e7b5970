"""The TUN device in a namespace of its own: real packets both ways."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from culvert.errors import MisuseError, PlatformError
from culvert.netio.tun import (
    IFF_VNET_HDR,
    QUEUE_LENGTH,
    TUN_F_USO4,
    TUNSETIFF,
    TUNSETOFFLOAD,
    VIRTIO_HEADER,
    Tun,
    check_name,
    free_name,
)
from culvert.netio.udp import UDP_SEGMENT
from datapath.orders import udp
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root


@pytest.fixture
def inner() -> Iterator[str]:
    with namespace("t") as name:
        yield name


def up(name: str, tun: Tun, mtu: int = 1400) -> None:
    ip("-n", name, "addr", "add", "10.7.0.1/24", "dev", tun.name)
    ip("-n", name, "link", "set", tun.name, "mtu", str(mtu), "up")


def test_a_burst_waits_until_somebody_reads(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    up(inner, tun)
    while tun.read_batch():
        pass  # what the machine said of itself when the device came up
    for _ in range(QUEUE_LENGTH + 500):
        sender.sendto(b"burst", ("10.7.0.2", 7000))
    waiting = 0
    while batch := tun.read_batch():
        waiting += sum(packet[9:10] == b"\x11" for packet in batch)
    assert QUEUE_LENGTH - 10 <= waiting <= QUEUE_LENGTH
    tun.close()
    sender.close()


def test_packets_go_out_and_come_back_in_batches(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    up(inner, tun)
    sender.bind(("10.7.0.1", 7000))
    sender.settimeout(5)
    for number in range(10):
        sender.sendto(bytes([number]) * 100, ("10.7.0.2", 7000))
    got: list[bytes] = []
    while len(got) < 10 and select.select([tun], [], [], 5.0)[0]:
        got += [packet for packet in tun.read_batch(3) if packet[9:10] == b"\x11"]
    assert [packet[28] for packet in got] == list(range(10))
    # Turned round, they are answers. Swapping both addresses and ports leaves the checksums right.
    back = [p[:12] + p[16:20] + p[12:16] + p[22:24] + p[20:22] + p[24:] for p in got]
    assert tun.write_batch(back) == 10
    assert [sender.recv(200)[0] for _ in range(10)] == list(range(10))
    assert tun.read_batch() == []
    tun.close()
    sender.close()


def test_a_packet_as_long_as_any_mtu_is_read_whole(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    up(inner, tun, mtu=65535)
    sender.sendto(bytes(65000), ("10.7.0.2", 7000))
    lengths: list[int] = []
    while 65028 not in lengths and select.select([tun], [], [], 5.0)[0]:
        lengths += [len(packet) for packet in tun.read_batch()]
    assert 65028 in lengths
    tun.close()
    sender.close()


def test_what_the_kernel_will_not_take_is_counted(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
    up(inner, tun)
    assert tun.write_batch([b"", b"\x00" * 40]) == 0
    assert tun.counters.not_written == 2
    tun.close()


def test_a_virtio_device_hands_over_super_packets_and_takes_plain_ones(inner: str) -> None:
    with inside(inner):
        tun = Tun.open(virtio=True)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert tun.virtio
    assert {"checksum", "tso4", "tso6"} <= set(tun.offloads)
    up(inner, tun)
    sender.bind(("10.7.0.1", 7000))
    sender.settimeout(5)
    sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 100)
    sender.sendto(b"x" * 300, ("10.7.0.2", 7000))
    frames: list[bytes] = []
    while not frames and select.select([tun], [], [], 5.0)[0]:
        frames += [one for one in tun.read_batch() if one[VIRTIO_HEADER + 9] == 17]
    whole = "uso" in tun.offloads
    assert [len(one) - VIRTIO_HEADER - 28 for one in frames] == ([300] if whole else [100] * 3)
    packet = udp("10.7.0.2", "10.7.0.1", b"plain")
    assert tun.write_batch([packet[:22] + (7000).to_bytes(2, "big") + packet[24:]]) == 1
    assert sender.recv(200) == b"plain"
    tun.close()
    sender.close()


@pytest.mark.parametrize("refused", ["headers", "uso", "everything"])
def test_what_a_kernel_refuses_is_done_without(
    inner: str, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """As kernels before 2.6.27, before 6.2, and one that leaves nothing to us."""
    real = fcntl.ioctl

    def ioctl(descriptor: int, request: int, argument: Any) -> Any:
        flags = int.from_bytes(argument[16:18], "little") if request == TUNSETIFF else 0
        if refused == "headers" and flags & IFF_VNET_HDR:
            raise OSError(errno.EINVAL, "Invalid argument")
        if request == TUNSETOFFLOAD and (refused == "everything" or argument & TUN_F_USO4):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, request, argument)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    with inside(inner):
        tun = Tun.open(virtio=True)
    left = {"headers": (), "uso": ("checksum", "tso4", "tso6", "ecn"), "everything": ()}
    assert (tun.virtio, tun.offloads) == (refused != "headers", left[refused])
    tun.close()


def test_a_device_that_is_down_is_only_silent(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
    assert tun.read_batch() == []
    assert tun.write_batch([b"\x45" + bytes(39)]) == 0
    tun.close()


def test_a_device_deleted_under_us_is_only_silent(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
    ip("-n", inner, "link", "del", tun.name)
    assert tun.read_batch() == []
    tun.close()


def test_the_device_goes_with_its_descriptor(inner: str) -> None:
    with inside(inner):
        tun = Tun.open("cvmtun")
        assert "cvmtun" in ip("-n", inner, "link")
        tun.close()
        tun.close()
        assert "cvmtun" not in ip("-n", inner, "link")


def test_numbers_are_chosen_free_and_a_taken_name_says_so(inner: str) -> None:
    with inside(inner):
        assert free_name() == "culvert0"
        first, second = Tun.open(), Tun.open()
        assert (first.name, second.name) == ("culvert0", "culvert1")
        assert free_name() == "culvert2"
        with pytest.raises(PlatformError, match="exists already"):
            Tun.open("culvert0")
        first.close()
        second.close()


def test_queues_of_one_device_open_by_its_name(inner: str) -> None:
    with inside(inner):
        queues = [Tun.open("cvmq", multi_queue=True, another=again) for again in (False, True)]
        assert {queue.name for queue in queues} == {"cvmq"}
        for queue in queues:
            queue.close()


def test_a_device_with_queues_is_not_shared_with_somebody_else(inner: str) -> None:
    with inside(inner):
        first = Tun.open_lanes("cvmine", 1)
        with pytest.raises(PlatformError, match="the network device cvmine exists already"):
            Tun.open_lanes("cvmine", 1)
        assert "cvmine" in {name for _, name in socket.if_nameindex()}
        first.close()


def test_the_descriptor_is_not_inherited_by_programs_we_start(inner: str) -> None:
    with inside(inner):
        tun = Tun.open()
    assert not os.get_inheritable(tun.fileno())
    tun.close()


@pytest.mark.parametrize("name", ["", "x" * 16, "a/b", "a b", "..", "%d%d", "ä"])
def test_names_no_device_may_have_are_refused(name: str) -> None:
    with pytest.raises(MisuseError):
        check_name(name)
