"""Transport mode: what a packet carries travels, and a header with right checksums comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.datapath.python_engine import PythonEngine
from culvert.datapath.transport import with_header, without_header
from culvert.inet import ipv4
from culvert.inet.checksum import checksum, sum_of
from culvert.inet.marks import ALL
from culvert.rng import SeededRandom
from datapath.orders import both_ends

NEAR, FAR = bytes((192, 0, 2, 1)), bytes((198, 51, 100, 7))
INSIDE = bytes((10, 0, 0, 5))  # of a host behind a NAT that shows FAR


def udp(octets: bytes, ends: bytes, *, summed: bool = True) -> bytes:
    head = b"\x0f\xa0\x00\x35" + (8 + len(octets)).to_bytes(2, "big")
    pseudo = ends + b"\0\x11" + head[4:6]
    value = checksum(pseudo + head + b"\0\0" + octets) or 0xFFFF
    return head + (value.to_bytes(2, "big") if summed else b"\0\0") + octets


def tcp(octets: bytes, ends: bytes) -> bytes:
    head = b"\x0f\xa0\x00\x50" + bytes(8) + b"\x50\x10\xff\xff"
    length = (20 + len(octets)).to_bytes(2, "big")
    value = checksum(ends + b"\0\x06" + length + head + b"\0\0\0\0" + octets)
    return head + value.to_bytes(2, "big") + b"\0\0" + octets


def right(packet: bytes, protocol: int) -> bool:
    """Whether header and payload add up as a receiver checks them."""
    header = ipv4.parse(packet)
    body = packet[header.header_octets :]
    pseudo = packet[12:20] + bytes((0, protocol)) + len(body).to_bytes(2, "big")
    return sum_of(packet[:20]) % 0xFFFF == sum_of(pseudo + body) % 0xFFFF == 0


@given(st.binary(max_size=1400))
def test_what_a_packet_carries_comes_back_with_the_same_header(octets: bytes) -> None:
    packet = ipv4.build(17, FAR, NEAR, udp(octets, FAR + NEAR))
    payload = without_header(packet)
    assert payload is not None
    assert with_header(payload, FAR, NEAR) == packet


@given(st.binary(max_size=600), st.sampled_from([(6, tcp), (17, udp)]))
def test_checksums_are_right_for_the_addresses_behind_a_nat(octets: bytes, kind: object) -> None:
    protocol, made = kind  # type: ignore[misc]
    sent = ipv4.build(protocol, INSIDE, NEAR, made(octets, INSIDE + NEAR))
    payload = without_header(sent)
    assert payload is not None
    assert right(with_header(payload, FAR, NEAR), protocol)


def test_udp_without_a_checksum_stays_without_one() -> None:
    payload = (17, udp(b"x", FAR + NEAR, summed=False))
    assert with_header(payload, FAR, NEAR)[26:28] == b"\0\0"


@pytest.mark.parametrize("protocol", [1, 47, 132])
def test_other_protocols_travel_as_they_are(protocol: int) -> None:
    assert with_header((protocol, b"anything"), FAR, NEAR)[20:] == b"anything"


@given(st.integers(0, 255), st.binary(max_size=64))
def test_any_payload_makes_a_packet(protocol: int, octets: bytes) -> None:
    """It is authentic, but what is in it its sender decides."""
    assert ipv4.parse(with_header((protocol, octets), FAR, NEAR)).protocol == protocol


def test_fragments_have_nothing_to_protect() -> None:
    packet = bytearray(ipv4.build(17, FAR, NEAR, udp(bytes(3000), FAR + NEAR)))
    packet[6] = 0  # may be cut
    for piece in ipv4.fragments(bytes(packet), 1400):
        assert without_header(piece) is None


@given(st.integers(0, 255), st.sampled_from([0, ALL]))
def test_a_header_has_the_marks_of_the_one_that_travelled(mark: int, copied: int) -> None:
    """In transport mode it is the same header; whether a tunnel's is copied does not matter."""
    near, far = (f"{'.'.join(map(str, host))}/32" for host in (NEAR, FAR))
    here, there = both_ends(near_gateway=(near,), near_client=(far,))
    ends = [PythonEngine(SeededRandom(n), copied=copied) for n in (1, 2)]
    for one, order in zip(ends, (here, there), strict=True):
        one.install(replace(order, transport=True))
        one.activate(1, 1)
    packet = ipv4.build(17, FAR, NEAR, udp(b"x", FAR + NEAR), mark=mark)
    (burst,) = ends[1].from_tunnel([packet], 0.0).bursts
    assert burst.mark == mark
    batch = [(one, there.peer) for one in burst.datagrams]
    assert ends[0].from_network(batch, 0.0, marks=[burst.mark]).inside == [packet]
