"""IPv4 and IPv6 headers, wholeness, fragments and prefixes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import MisuseError, WireError
from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import checksum
from culvert.inet.packet import addresses, whole
from culvert.inet.prefix import PrefixSet, prefix

A, B = bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251))
A6, B6 = ip_address("fd00::5").packed, ip_address("2001:db8::1").packed


def test_what_was_built_parses_to_the_same() -> None:
    header = ipv4.parse(ipv4.build(17, A, B, b"payload", time_to_live=9))
    assert (header.protocol, header.source, header.destination) == (17, A, B)
    assert (header.header_octets, header.total_octets, header.time_to_live) == (20, 27, 9)
    assert header.dont_fragment
    six = ipv6.parse(ipv6.build(58, A6, B6, b"payload", hop_limit=9))
    assert (six.next_header, six.source, six.destination) == (58, A6, B6)
    assert (six.total_octets, six.hop_limit) == (47, 9)


def test_the_header_checksum_of_a_built_packet_proves_right() -> None:
    assert checksum(ipv4.build(17, A, B, b"")[:20]) == 0


@given(data=st.binary(max_size=80))
def test_arbitrary_octets_are_whole_or_a_documented_refusal(data: bytes) -> None:
    for parse in (whole, ipv4.parse, ipv6.parse):
        try:
            parse(data)
        except WireError:
            continue
        assert data[0] >> 4 in (4, 6)


@given(first=st.sampled_from([0x45, 0x46, 0x4F, 0x60]), rest=st.binary(min_size=19, max_size=70))
def test_a_whole_packet_has_exactly_the_length_its_header_tells(first: int, rest: bytes) -> None:
    try:
        packet = whole(bytes([first]) + rest)
    except WireError:
        return
    parsed = ipv4.parse(packet) if first >> 4 == 4 else ipv6.parse(packet)
    assert parsed.total_octets == len(packet)
    assert addresses(packet) == parsed.source + parsed.destination


def test_octets_behind_the_packet_are_cut_off() -> None:
    for packet in (ipv4.build(17, A, B, b"x"), ipv6.build(17, A6, B6, b"x")):
        assert whole(packet + b"padding of the flow") == packet


@pytest.mark.parametrize("packet", [b"", b"\x45", bytes(20), b"\x44" + bytes(39), b"\x60" * 39])
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(WireError):
        whole(packet)


@given(
    payload=st.binary(min_size=0, max_size=4000),
    mtu=st.integers(ipv4.SMALLEST_MTU, 1500),
    offset=st.integers(0, 100),
    more=st.booleans(),
    options=st.sampled_from([b"", b"\x01\x83\x04\xaa\xaa\x00\x00\x00", b"\x07\x04\x04\x00"]),
)
def test_fragments_put_together_are_the_packet(
    payload: bytes, mtu: int, offset: int, more: bool, options: bytes
) -> None:
    if more:
        payload = payload[: len(payload) // 8 * 8]
    packet = made(payload, offset, more, options)
    pieces = [(ipv4.parse(piece), piece) for piece in ipv4.fragments(packet, mtu)]
    assert all(len(piece) <= mtu for _, piece in pieces) or len(pieces) == 1
    data = b"".join(piece[header.header_octets :] for header, piece in pieces)
    assert data == payload
    reached = offset * 8
    for header, piece in pieces:
        assert header.fragment_offset == reached
        assert header.identification == 0x1234
        assert checksum(piece[: header.header_octets]) == 0
        assert header.total_octets == len(piece)
        reached += len(piece) - header.header_octets
    assert [header.more_fragments for header, _ in pieces] == [True] * (len(pieces) - 1) + [more]


def test_only_options_marked_so_are_copied() -> None:
    options = b"\x07\x04\x04\x00" + b"\x83\x04\xaa\xaa"  # record route, loose source route
    first, second, *_ = ipv4.fragments(made(bytes(200), 0, False, options), 100)
    assert first[20:28] == options
    assert second[20 : ipv4.parse(second).header_octets] == b"\x83\x04\xaa\xaa"


@pytest.mark.parametrize("options", [b"\x83\x00\x00\x00", b"\x83\x01\x00\x00", b"\x83\x09\x00\x00"])
def test_broken_options_are_refused_when_they_must_be_copied(options: bytes) -> None:
    with pytest.raises(WireError):
        ipv4.fragments(made(bytes(200), 0, False, options), 100)


def test_an_mtu_no_link_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(MisuseError):
        ipv4.fragments(made(bytes(200), 0, False, b""), ipv4.SMALLEST_MTU - 1)


PREFIXES = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.5", "192.168.2.0/24", "fd00::/8", "::1"]


@given(
    chosen=st.sets(st.sampled_from(PREFIXES)),
    address=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), st.just(ip_address("10.1.0.5"))),
)
def test_a_set_of_prefixes_holds_what_its_networks_hold(chosen: set[str], address: object) -> None:
    host = ip_address(str(address))
    wanted = any(host in ip_network(text) for text in chosen)
    assert PrefixSet(prefix(text) for text in chosen).holds(host.packed) == wanted


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "everything"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(MisuseError):
        prefix(text)


def made(payload: bytes, offset: int, more: bool, options: bytes) -> bytes:
    """A fragmentable packet of identification 0x1234."""
    head = bytearray((0x45 + len(options) // 4, 0))
    head += (20 + len(options) + len(payload)).to_bytes(2, "big") + b"\x12\x34"
    head += ((0x2000 if more else 0) | offset).to_bytes(2, "big") + bytes((64, 17, 0, 0)) + A + B
    head += options
    head[10:12] = checksum(head).to_bytes(2, "big")
    return bytes(head) + payload
