"""The answer to a packet that is too large."""

from __future__ import annotations

import pytest

from culvert.inet import ipv4, ipv6
from culvert.inet.checksum import checksum
from culvert.inet.icmp import too_big
from culvert.inet.packet import whole

A, B = bytes((10, 1, 0, 5)), bytes((192, 168, 2, 251))
A6, B6 = bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("20010db8" + "00" * 11 + "01")


def test_fragmentation_needed_tells_the_mtu_and_quotes_the_packet() -> None:
    packet = ipv4.build(17, A, B, bytes(1400))
    answer = too_big(packet, 1300)
    assert answer is not None
    header = ipv4.parse(whole(answer))
    assert (header.source, header.destination, header.protocol) == (B, A, 1)
    body = answer[20:]
    assert (body[0], body[1], int.from_bytes(body[6:8], "big")) == (3, 4, 1300)
    assert checksum(body) == 0
    assert packet.startswith(body[8:])
    assert len(body[8:]) >= 28
    assert len(answer) <= 576


def test_packet_too_big_tells_the_mtu_and_quotes_the_packet() -> None:
    packet = ipv6.build(17, A6, B6, bytes(1400))
    answer = too_big(packet, 1300)
    assert answer is not None
    header = ipv6.parse(whole(answer))
    assert (header.source, header.destination, header.next_header) == (B6, A6, 58)
    body = answer[40:]
    assert (body[0], body[1], int.from_bytes(body[4:8], "big")) == (2, 0, 1300)
    pseudo = B6 + A6 + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    assert checksum(pseudo + body) == 0
    assert packet.startswith(body[8:])
    assert len(answer) <= 1280


@pytest.mark.parametrize(
    "packet",
    [
        ipv4.build(1, A, B, b"\x03" + bytes(1400)),
        ipv4.build(17, A, bytes((224, 0, 0, 1)), bytes(1400)),
        ipv4.build(17, A, bytes((255, 255, 255, 255)), bytes(1400)),
        ipv4.build(17, bytes(4), B, bytes(1400)),
        ipv6.build(58, A6, B6, b"\x01" + bytes(1400)),
        ipv6.build(17, A6, b"\xff" + bytes(15), bytes(1400)),
        ipv6.build(17, bytes(16), B6, bytes(1400)),
    ],
)
def test_errors_and_groups_are_not_answered(packet: bytes) -> None:
    assert too_big(packet, 1300) is None


def test_an_echo_that_is_too_large_is_answered() -> None:
    assert too_big(ipv4.build(1, A, B, b"\x08" + bytes(1400)), 1300) is not None
    assert too_big(ipv6.build(58, A6, B6, b"\x80" + bytes(1400)), 1300) is not None


def test_only_the_first_fragment_is_answered() -> None:
    later = bytearray(ipv4.build(17, A, B, bytes(1400)))
    later[6:8] = b"\x00\x08"
    assert too_big(bytes(later), 1300) is None
