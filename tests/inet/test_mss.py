"""MSS clamp: only SYNs, only downwards, checksum still right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import checksum
from culvert.inet.mss import clamp
from culvert.inet.packet import whole

A, B = bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251))
A6, B6 = bytes(15) + b"\1", bytes(15) + b"\2"
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10
ODD = b"\x01\x02\x04%b\x01\x01\x00"  # a NOP first, so that the value lies across two words
EVEN = b"\x02\x04%b"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("flags", [SYN, SYN_ACK])
@pytest.mark.parametrize("form", [EVEN, ODD])
def test_a_syn_learns_what_the_tunnel_carries(version: int, flags: int, form: bytes) -> None:
    packet = clamp(tcp(version, flags, form, 1460), 1422)
    assert mss(packet) == 1422 - (40 if version == 4 else 60)
    assert proves(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_a_smaller_offer_is_left_alone(version: int) -> None:
    packet = tcp(version, SYN, EVEN, 536)
    assert clamp(packet, 1422) is packet


def test_only_a_syn_is_touched() -> None:
    packet = tcp(4, ACK, EVEN, 1460)
    assert clamp(packet, 1422) is packet


def test_a_later_fragment_is_not_taken_for_a_syn() -> None:
    packet = bytearray(tcp(4, SYN, EVEN, 1460))
    packet[6:8] = b"\x00\x08"
    assert clamp(bytes(packet), 1422) == bytes(packet)


def test_other_protocols_are_not_taken_for_tcp() -> None:
    for packet in (tcp(4, SYN, EVEN, 1460), tcp(6, SYN, EVEN, 1460)):
        other = bytearray(packet)
        other[9 if packet[0] == 0x45 else 6] = 17
        assert clamp(bytes(other), 1422) == bytes(other)


@given(options=st.binary(max_size=40), length=st.integers(0, 15), cut=st.integers(0, 60))
def test_broken_options_change_nothing_but_an_mss(options: bytes, length: int, cut: int) -> None:
    segment = bytearray(20) + options
    segment[12], segment[13] = length << 4, SYN
    packet = whole(ipv4.build(6, A, B, bytes(segment[: max(len(segment) - cut, 0)])))
    made = clamp(packet, 600)
    assert len(made) == len(packet)
    changed = [at for at, (old, new) in enumerate(zip(packet, made, strict=True)) if old != new]
    assert len(changed) <= 4  # the value and the checksum


def tcp(version: int, flags: int, form: bytes, value: int) -> bytes:
    options = form % value.to_bytes(2, "big")
    head = bytearray((0x0F, 0xA0, 0, 80)) + bytes(8)
    head += bytes(((20 + len(options)) // 4 << 4, flags)) + b"\xff\xff\0\0\0\0" + options
    source, destination = (A, B) if version == 4 else (A6, B6)
    pseudo = source + destination + len(head).to_bytes(4, "big") + bytes((0, 0, 0, 6))
    head[16:18] = checksum(pseudo + head).to_bytes(2, "big")
    return (ipv4 if version == 4 else ipv6).build(6, source, destination, bytes(head))


def segment_of(packet: bytes) -> bytes:
    return packet[20:] if packet[0] >> 4 == 4 else packet[40:]


def mss(packet: bytes) -> int:
    segment = segment_of(packet)
    at = segment.index(b"\x02\x04", 20) + 2
    return int.from_bytes(segment[at : at + 2], "big")


def proves(packet: bytes) -> bool:
    ends = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    segment = segment_of(packet)
    return checksum(ends + len(segment).to_bytes(4, "big") + bytes((0, 0, 0, 6)) + segment) == 0
