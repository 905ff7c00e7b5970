"""IPComp in the data path, both modes: shorter on the wire, whole inside, and nothing that a peer's
octets can do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.packet import packet_suite
from culvert.datapath.plane import Plane
from culvert.datapath.python_engine import PythonEngine
from culvert.errors import MisuseError
from culvert.esp import lzs
from culvert.esp.ipcomp import MOST, PROTOCOL
from culvert.esp.sa import OutboundSa
from culvert.inet import ipv4
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import CLIENT, GATEWAY, LEASED, SERVER, both_ends, octets, udp

TEXT = b"Call me Ishmael. Some years ago, never mind how long precisely. " * 15
UP, DOWN = udp(LEASED, SERVER, TEXT), udp(SERVER, LEASED, TEXT)
NAMES = ("deflate", "lzs")
HOSTS = {"near_gateway": (f"{SERVER}/32",), "near_client": (f"{LEASED}/32",)}


def pair(name: str, *, transport: bool = False) -> tuple[Plane, Plane]:
    """Gateway and client, up."""
    here, there = both_ends(**HOSTS) if transport else both_ends()  # type: ignore[arg-type]  # texts
    here = replace(here, compression=name, cpi_in=1000, cpi_out=2000, transport=transport)
    there = replace(there, compression=name, cpi_in=2000, cpi_out=1000, transport=transport)
    ends = PythonEngine(SeededRandom(1)), PythonEngine(SeededRandom(2))
    for end, order in zip(ends, (here, there), strict=True):
        end.install(order)
        end.activate(1, 1)
    return ends


def crossed(sender: Plane, receiver: Plane, packet: bytes) -> tuple[list[bytes], int]:
    """What arrives, and the octets that travelled."""
    (burst,) = sender.from_tunnel([packet], 0.0).bursts
    source = CLIENT if burst.peer == GATEWAY else GATEWAY
    found = receiver.from_network([(one, source) for one in burst.datagrams], 0.0)
    return found.inside, sum(map(len, burst.datagrams))


@pytest.mark.parametrize("transport", [False, True], ids=["tunnel", "transport"])
@pytest.mark.parametrize("name", NAMES)
def test_packets_are_short_on_the_way_and_whole_inside(name: str, *, transport: bool) -> None:
    gateway, client = pair(name, transport=transport)
    for sender, receiver, packet in ((client, gateway, UP), (gateway, client, DOWN)):
        inside, travelled = crossed(sender, receiver, packet)
        assert [one[20:] for one in inside] == [packet[20:]]
        assert travelled < len(packet) // 2
        assert receiver.traffic(1).packets_in == 1
    assert client.traffic(1).octets_out == len(UP)


def sealed(name: str, *payloads: tuple[int, bytes]) -> list[tuple[bytes, tuple[str, int]]]:
    """What a client that writes these payloads would send."""
    _, order = both_ends()
    half = order.outbound
    sa = OutboundSa(
        half.spi,
        packet_suite(order.cipher, order.integrity),
        cipher_key=half.cipher_key,
        salt=half.salt,
        integrity_key=half.integrity_key,
        rng=SeededRandom(3),
    )
    return [(one, CLIENT) for one in sa.seal_payloads(payloads)]


def header(first: int, cpi: int = 1000) -> bytes:
    return bytes((first, 0)) + cpi.to_bytes(2, "big")


def test_what_a_peer_cannot_have_meant_is_counted_and_goes_no_further() -> None:
    gateway, _ = pair("lzs")
    good = header(4) + lzs.compress(UP)
    wrong = [
        (PROTOCOL, header(4, 999) + lzs.compress(UP)),
        (PROTOCOL, good[:-1]),
        (PROTOCOL, header(PROTOCOL) + lzs.compress(good)),
        (PROTOCOL, b""),
    ]
    other = [(PROTOCOL, header(41) + lzs.compress(UP)), (17, UP)]
    batch = sealed("lzs", (PROTOCOL, good), *wrong, *other)
    found = gateway.from_network(batch, 0.0)
    assert found.inside == [UP]
    dropped = gateway.traffic(1).dropped_in
    assert dropped == {"compression": len(wrong), "next-header": len(other)}


def test_compressed_packets_are_checked_like_all_others() -> None:
    gateway, _ = pair("lzs")
    stranger = udp("10.1.0.6", SERVER, TEXT)
    batch = sealed("lzs", (PROTOCOL, header(4) + lzs.compress(stranger)))
    assert gateway.from_network(batch, 0.0).inside == []
    assert gateway.traffic(1).dropped_in == {"not-leased": 1}


def test_without_the_agreement_a_compressed_packet_is_none() -> None:
    order, _ = both_ends()
    gateway = PythonEngine(SeededRandom(1))
    gateway.install(order)
    batch = sealed("lzs", (PROTOCOL, header(4) + lzs.compress(UP)))
    assert gateway.from_network(batch, 0.0).inside == []
    assert gateway.traffic(1).dropped_in == {"next-header": 1}


@pytest.mark.parametrize("transport", [False, True], ids=["tunnel", "transport"])
@pytest.mark.parametrize("size", [MOST - 19, MOST, MOST + 1])
def test_a_bomb_is_dropped_in_either_mode(size: int, *, transport: bool) -> None:
    gateway, _ = pair("lzs", transport=transport)
    batch = sealed("lzs", (PROTOCOL, header(4) + lzs.compress(bytes(size))))
    assert gateway.from_network(batch, 0.0).inside == []
    assert sum(gateway.traffic(1).dropped_in.values()) == 1


@given(st.sampled_from(NAMES), st.booleans(), st.integers(0, 255), st.binary(max_size=120))
def test_no_payload_of_a_peer_raises(name: str, whole: bool, first: int, rest: bytes) -> None:
    for transport in (False, True):
        gateway, _ = pair(name, transport=transport)
        payload = header(first) + (lzs.compress(rest * 40) if whole else rest)
        gateway.from_network(sealed(name, (PROTOCOL, payload)), 0.0)


def test_ipv6_inside_is_compressed_too() -> None:
    order, other = both_ends(near_gateway=("2001:db8::/64",), near_client=("2001:db8:1::5/128",))
    ends = []
    for number, one in enumerate((order, other)):
        end = PythonEngine(SeededRandom(number))
        cpis = {"cpi_in": 1000 * (number + 1), "cpi_out": 2000 // (number + 1)}
        end.install(replace(one, compression="deflate", **cpis))
        end.activate(1, 1)
        ends.append(end)
    gateway, client = ends
    source, far = (
        bytes.fromhex("20010db8000100000000000000000005"),
        bytes.fromhex("20010db8" + "00" * 11 + "07"),
    )
    packet = b"\x60\0\0\0" + len(TEXT).to_bytes(2, "big") + b"\x3b\x40" + source + far + TEXT
    inside, travelled = crossed(client, gateway, packet)
    assert inside == [packet]
    assert travelled < len(packet) // 2


def test_the_compiled_engine_says_that_it_has_none() -> None:
    order, _ = both_ends()
    engine = make("kernel", SeededRandom(1))
    with pytest.raises(MisuseError, match="no IPComp"):
        engine.install(replace(order, compression="lzs"))


def test_an_incompressible_packet_is_the_same_as_without() -> None:
    gateway, client = pair("lzs")
    packet = ipv4.build(17, octets(LEASED), octets(SERVER), SeededRandom(5).octets(900))
    inside, travelled = crossed(client, gateway, packet)
    assert inside == [packet]
    assert travelled > len(packet)
