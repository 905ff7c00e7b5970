"""Super-packets for the pure engine: cut as the plain reference cuts, joined so that cutting the
joined ones gives the same again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culvert.datapath.offload import MOST_SEGMENTS, NO_HEADER, frames_of, packets_of
from datapath.segments import ACK, FIN, PSH, SYN, VNET, Flow, cut, offered

FOUR = Flow(bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251)))
SIX = Flow(bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("fd01" + "00" * 13 + "01"))
OPTIONS = b"\x01\x01\x08\x0a" + bytes(range(8))


@settings(max_examples=200)
@given(
    flow=st.sampled_from([FOUR, SIX]),
    udp=st.booleans(),
    size=st.integers(1, 40_000),
    segment=st.integers(50, 1400),
    flags=st.integers(0, 255).filter(lambda one: not one & SYN),
    options=st.sampled_from([b"", OPTIONS]),
    sequence=st.sampled_from([0, 1, 2**32 - 5, 0xFFFF, 2**31]),
    filler=st.binary(min_size=1, max_size=400),
)
def test_a_super_packet_is_cut_as_the_reference_cuts_it(
    flow: Flow,
    udp: bool,
    size: int,
    segment: int,
    flags: int,
    options: bytes,
    sequence: int,
    filler: bytes,
) -> None:
    payload = (filler * (size // len(filler) + 1))[:size]
    packet = (
        flow.udp(payload)
        if udp
        else flow.tcp(payload, sequence, flags, options=options, identification=65530)
    )
    frame = offered(packet, segment)
    assert packets_of([frame]) == (cut(frame), 0)


@given(flow=st.sampled_from([FOUR, SIX]), payload=st.binary(max_size=1500), udp=st.booleans())
def test_a_packet_without_its_sum_gets_it(flow: Flow, payload: bytes, udp: bool) -> None:
    packet = flow.udp(payload) if udp else flow.tcp(payload)
    assert packets_of([offered(packet), NO_HEADER + packet]) == ([packet, packet], 0)


@settings(max_examples=300)
@given(frame=st.binary(max_size=200), kind=st.integers(0, 255), start=st.integers(0, 80))
def test_a_frame_that_makes_no_sense_is_counted_or_passed_on_as_it_is(
    frame: bytes, kind: int, start: int
) -> None:
    frames = [
        frame,
        VNET.pack(1, kind, 0, 100, start, 16) + frame,
        VNET.pack(1, kind, 0, 1, start, 16) + FOUR.tcp(bytes(2000)),
        VNET.pack(1, kind, 0, 100, start, 16) + FOUR.tcp(frame)[: len(frame)],
    ]
    packets, refused = packets_of(frames)
    assert refused <= len(frames)
    assert len(packets) <= len(frames) * MOST_SEGMENTS


@pytest.mark.parametrize("flow", [FOUR, SIX])
def test_a_super_packet_that_says_it_is_empty_is_counted(flow: Flow) -> None:
    frame = bytearray(offered(flow.tcp(bytes(200)), 100))
    at = VNET.size + (4 if flow.six else 2)
    frame[at : at + 2] = bytes(2)
    assert packets_of([bytes(frame)]) == ([], 1)


letters = st.tuples(
    st.sampled_from([FOUR, SIX, Flow(FOUR.source, FOUR.destination, b"\x1f\x91\x00\x50")]),
    st.integers(0, 30),  # which thousand octets of the stream
    st.sampled_from([0, 1, 500, 1000, 1000, 1000]),
    st.sampled_from([ACK, ACK, ACK, ACK | PSH, ACK | FIN, SYN, 0]),
    st.sampled_from([b"", b"", OPTIONS]),
    st.booleans(),  # a wrong sum
)


@settings(max_examples=300)
@given(stream=st.lists(letters, max_size=12), trains=st.lists(st.integers(1, 25), max_size=3))
def test_joining_and_cutting_again_changes_nothing(
    stream: list[tuple[Flow, int, int, int, bytes, bool]], trains: list[int]
) -> None:
    packets = [
        spoilt(flow.tcp(bytes(size), 1000 * at, flags, options=options, identification=at), wrong)
        for flow, at, size, flags, options, wrong in stream
    ]
    for count in trains:
        packets += [
            FOUR.tcp(bytes([at]) * 1000, 1000 * at, identification=at) for at in range(count)
        ]
        packets.append(FOUR.udp(b"between"))
    frames = [b"".join(frame) for frame in frames_of(packets)]
    assert [packet for frame in frames for packet in cut(frame)] == packets


def spoilt(packet: bytes, wrong: bool) -> bytes:
    if not wrong:
        return packet
    at = (20 if packet[0] >> 4 == 4 else 40) + 16
    return packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :]


@pytest.mark.parametrize("flow", [FOUR, SIX], ids=["IPv4", "IPv6"])
def test_a_train_becomes_one_frame(flow: Flow) -> None:
    packets = [
        flow.tcp(bytes([at]) * 1000, 1000 * at, ACK | PSH if at == 19 else ACK, identification=at)
        for at in range(20)
    ]
    (frame,) = frames_of(packets)
    assert cut(b"".join(frame)) == packets


def test_what_was_wrong_before_the_tunnel_stays_wrong() -> None:
    """The kernel sums a joined packet anew: a spoilt segment must not be healed by that."""
    packets = [FOUR.tcp(bytes(1000), 1), spoilt(FOUR.tcp(bytes(1000), 1001), True)]
    assert [b"".join(frame) for frame in frames_of(packets)] == [NO_HEADER + p for p in packets]
