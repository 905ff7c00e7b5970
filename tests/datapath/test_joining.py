"""TCP segments joined for the TUN: only what cutting again gives back, and nothing else joins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import CLIENT, both_ends
from datapath.segments import ACK, FIN, PSH, VNET, Flow, cut

FLOW = Flow(bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251)))
OTHER = Flow(bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251)), b"\x1f\x91\x00\x50")
SIX = Flow(bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("fd01" + "00" * 13 + "01"))
MSS = 1000


@pytest.fixture(scope="module")
def ends() -> tuple[Plane, KernelEngine]:
    """A pure client, and a compiled gateway with a virtio TUN."""
    here, there = both_ends(
        suite=("aes-gcm-16", 16, ""),
        near_gateway=("192.168.2.0/24", "fd01::/64"),
        near_client=("10.1.0.5/32", "fd00::5/128"),
    )
    client = make("python", SeededRandom(1))
    gateway = KernelEngine(kernel(), SeededRandom(2), virtio=True, joins_udp=True)
    for engine, order in ((gateway, here), (client, there)):
        engine.install(order)
        engine.activate(1, 1)
    return client, gateway


def frames(ends: tuple[Plane, KernelEngine], packets: list[bytes]) -> list[bytes]:
    client, gateway = ends
    bursts = client.from_tunnel(packets, 0.0).bursts
    return gateway.from_network(
        [(one, CLIENT) for burst in bursts for one in burst.datagrams], 0.0
    ).inside


def train(
    flow: Flow, count: int, *, size: int = MSS, last: int = MSS, flags: int = ACK
) -> list[bytes]:
    return [
        flow.tcp(
            bytes([number]) * (last if number == count - 1 else size),
            1 + number * size,
            flags if number == count - 1 else ACK,
            identification=number,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("flow", [FLOW, SIX], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("last", [MSS, 1, 7])
def test_a_train_becomes_one_frame_that_cuts_into_the_same(
    ends: tuple[Plane, KernelEngine], flow: Flow, last: int
) -> None:
    packets = train(flow, 20, last=last, flags=ACK | PSH)
    (frame,) = frames(ends, packets)
    assert cut(frame) == packets


def test_joined_packets_stay_below_what_one_packet_can_hold(
    ends: tuple[Plane, KernelEngine],
) -> None:
    packets = train(FLOW, 100, size=1300, last=1300)
    found = frames(ends, packets)
    assert len(found) == 3
    assert all(len(frame) <= VNET.size + 65535 for frame in found)
    assert [piece for frame in found for piece in cut(frame)] == packets


def test_two_flows_that_alternate_are_not_mixed(ends: tuple[Plane, KernelEngine]) -> None:
    packets = [one for pair in zip(train(FLOW, 3), train(OTHER, 3), strict=True) for one in pair]
    assert [piece for frame in frames(ends, packets) for piece in cut(frame)] == packets


@pytest.mark.parametrize(
    "second",
    [
        FLOW.tcp(b"2" * MSS, 1 + MSS + 1, identification=1),
        FLOW.tcp(b"2" * MSS, 1, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, ACK | FIN, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, ACK | 0x20, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, ACK | 0x80, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, acknowledged=78, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, window=501, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, options=b"\1\1\1\1", identification=1),
        FLOW.tcp(b"2" * (MSS + 1), 1 + MSS, identification=1),
        FLOW.tcp(b"", 1 + MSS, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, identification=9, fragmentable=True),
        OTHER.tcp(b"2" * MSS, 1 + MSS, identification=1),
        FLOW.tcp(b"2" * MSS, 1 + MSS, identification=1)[:-1] + b"\x55",
        FLOW.udp(b"2" * MSS),
    ],
    ids=[
        "gap", "again", "FIN", "URG", "CWR", "acknowledges", "window", "options", "larger", "empty",
        "named otherwise", "other flow", "wrong sum", "UDP",
    ],
)  # fmt: skip
def test_what_does_not_continue_the_run_stays_alone(
    ends: tuple[Plane, KernelEngine], second: bytes
) -> None:
    first = FLOW.tcp(b"1" * MSS, 1)
    found = frames(ends, [first, second])
    assert [frame[: VNET.size] for frame in found] == [bytes(VNET.size)] * 2
    assert [frame[VNET.size :] for frame in found] == [first, second]


@pytest.mark.parametrize("flags", [ACK, ACK | PSH])
def test_a_smaller_segment_or_a_push_ends_the_run(
    ends: tuple[Plane, KernelEngine], flags: int
) -> None:
    size = MSS if flags & PSH else MSS - 1
    packets = [
        FLOW.tcp(b"1" * MSS, 1, identification=0),
        FLOW.tcp(b"2" * size, 1 + MSS, flags, identification=1),
        FLOW.tcp(b"3" * MSS, 1 + MSS + size, identification=2),
    ]
    found = frames(ends, packets)
    assert len(found) == 2
    assert [piece for frame in found for piece in cut(frame)] == packets


def test_timestamps_that_agree_are_joined(ends: tuple[Plane, KernelEngine]) -> None:
    stamp = b"\1\1\x08\x0a\0\0\0\1\0\0\0\2"
    packets = [
        FLOW.tcp(bytes([n]) * MSS, 1 + n * MSS, options=stamp, identification=n) for n in range(5)
    ]
    (frame,) = frames(ends, packets)
    assert cut(frame) == packets


@pytest.mark.parametrize("flow", [FLOW, SIX], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("last", [300, 1])
def test_datagrams_of_one_size_become_one_frame(
    ends: tuple[Plane, KernelEngine], flow: Flow, last: int
) -> None:
    packets = [flow.udp(bytes([n]) * (300 if n < 29 else last)) for n in range(30)]
    (frame,) = frames(ends, packets)
    assert [unnamed(one) for one in cut(frame)] == [unnamed(one) for one in packets]


def test_a_kernel_that_takes_no_udp_super_packets_gets_none() -> None:
    here, there = both_ends(suite=("aes-gcm-16", 16, ""))
    gateway = KernelEngine(kernel(), SeededRandom(2), virtio=True)
    client = make("python", SeededRandom(1))
    for engine, order in ((gateway, here), (client, there)):
        engine.install(order)
        engine.activate(1, 1)
    packets = [FLOW.udp(bytes([n]) * 300) for n in range(5)]
    assert [one[VNET.size :] for one in frames((client, gateway), packets)] == packets


@pytest.mark.parametrize(
    "second",
    [
        FLOW.udp(b"2" * 301),
        OTHER.udp(b"2" * 300),
        FLOW.udp(b"2" * 300)[:26] + b"\0\0" + b"2" * 300,
        FLOW.udp(b"2" * 300)[:-1] + b"\x55",
        FLOW.udp(b""),
    ],
    ids=["larger", "other flow", "no sum", "wrong sum", "empty"],
)
def test_a_datagram_unlike_the_first_stays_alone(
    ends: tuple[Plane, KernelEngine], second: bytes
) -> None:
    first = FLOW.udp(b"1" * 300)
    assert [one[VNET.size :] for one in frames(ends, [first, second])] == [first, second]


@settings(max_examples=200)
@given(
    script=st.lists(
        st.tuples(
            st.sampled_from([FLOW, FLOW, FLOW, OTHER, SIX]),
            st.sampled_from([1, 2, 500, 1000, 1000, 1000]),
            st.sampled_from([ACK, ACK, ACK, ACK | PSH, ACK | FIN, 0]),
            st.sampled_from([0, 0, 0, 0, 1, -1000]),
        ),
        max_size=40,
    ),
    start=st.sampled_from([0, 2**32 - 1500]),
)
def test_joining_and_cutting_again_changes_nothing(
    ends: tuple[Plane, KernelEngine], script: list[tuple[Flow, int, int, int]], start: int
) -> None:
    nexts: dict[Flow, int] = {}
    packets: list[bytes] = []
    for number, (flow, size, flags, jump) in enumerate(script):
        sequence = nexts.get(flow, start) + jump
        packet = flow.tcp(bytes([number]) * size, sequence, flags, identification=0)
        packets.append(packet if flags else flow.udp(bytes([number]) * size))
        nexts[flow] = sequence + size
    found = [piece for frame in frames(ends, packets) for piece in cut(frame)]
    assert [unnamed(one) for one in found] == [unnamed(one) for one in packets]


def unnamed(packet: bytes) -> bytes:
    """Without IPv4's identification, which means nothing where DF is set (RFC 6864 §4.1)."""
    if packet[0] >> 4 == 6:
        return packet
    return packet[:4] + packet[6:10] + packet[12:]
