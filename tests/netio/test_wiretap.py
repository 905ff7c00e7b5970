"""The filter of a packet socket, run as the kernel would run it, and the socket itself."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.inet import ipv4
from culvert.netio.wiretap import WireTap, program

PORTS = (500, 4500, 10000)


def takes(packet: bytes) -> bool:
    """Classic BPF as <linux/filter.h> has it; loading beyond the packet drops it."""
    code = list(struct.iter_unpack("=HBBI", program(PORTS)))
    at = accumulator = index = 0
    while True:
        what, yes, no, value = code[at]
        at += 1
        try:
            match what:
                case 0x30:
                    accumulator = packet[value]
                case 0x28:
                    (accumulator,) = struct.unpack_from("!H", packet, value)
                case 0x48:
                    (accumulator,) = struct.unpack_from("!H", packet, index + value)
                case 0xB1:
                    index = (packet[value] & 0xF) * 4
                case 0x74:
                    accumulator >>= value
                case 0x15:
                    at += yes if accumulator == value else no
                case 0x45:
                    at += yes if accumulator & value else no
                case _:
                    return bool(value)
        except (IndexError, struct.error):
            return False


def four(protocol: int, payload: bytes, *, offset: int = 0) -> bytes:
    made = bytearray(ipv4.build(protocol, bytes(4), bytes(4), payload))
    made[6:8] = offset.to_bytes(2, "big")
    return bytes(made)


def six(protocol: int, payload: bytes) -> bytes:
    return b"\x60" + bytes(5) + bytes((protocol, 64)) + bytes(32) + payload


def ports(source: int, target: int) -> bytes:
    return struct.pack("!HHHH", source, target, 8, 0)


@pytest.mark.parametrize("build", [four, six])
@pytest.mark.parametrize("port", PORTS)
def test_ike_and_esp_are_taken_whichever_end_has_the_port(
    build: Callable[[int, bytes], bytes], port: int
) -> None:
    for protocol in (6, 17):
        assert takes(build(protocol, ports(port, 40000)))
        assert takes(build(protocol, ports(40000, port)))
        assert not takes(build(protocol, ports(40000, 53)))
    assert takes(build(50, bytes(20)))
    assert not takes(build(1, ports(port, port)))


def test_a_later_piece_of_a_datagram_is_taken() -> None:
    assert takes(four(17, b"anything", offset=185))
    assert takes(six(44, b"anything"))


@given(st.binary(max_size=80))
def test_no_packet_makes_the_filter_run_away(packet: bytes) -> None:
    assert takes(packet) in (True, False)


@pytest.mark.root
def test_a_packet_within_this_machine_is_seen_once() -> None:
    tap = WireTap.open((45001,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"once", ("127.0.0.1", 45001))
        sender.sendto(b"not this", ("127.0.0.1", 45002))
    given_up = time.monotonic() + 2.0
    seen: list[bytes] = []
    while not seen and time.monotonic() < given_up:
        packet = tap.read()
        if packet is not None:
            seen.append(packet)
    assert tap.read() is None
    assert tap.missed == 0
    tap.close()
    assert [packet[28:] for packet in seen] == [b"once"]
