"""ESP without UDP: the same octets, sorted without ports, with room for eight octets more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from culvert.datapath.mtu import Carriage, carriage_of
from culvert.datapath.plane import BARE, Drop, Moved, Plane
from culvert.effects import InstallSa
from culvert.errors import MisuseError
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import CLIENT, GATEWAY, LEASED, SERVER, both_ends, udp

CLIENT_HOST = (CLIENT[0], BARE)
GATEWAY_HOST = (GATEWAY[0], BARE)


def bare() -> tuple[InstallSa, InstallSa]:
    gateway, client = both_ends()
    without = {"local_port": BARE, "udp_encapsulated": False}
    return (
        replace(gateway, peer=CLIENT_HOST, **without),
        replace(client, peer=GATEWAY_HOST, **without),
    )


@pytest.fixture(params=["python", "kernel"])
def ends(request: pytest.FixtureRequest) -> tuple[Plane, Plane]:
    """Gateway and client, one pair between them."""
    made = make(request.param, SeededRandom(1)), make(request.param, SeededRandom(2))
    for engine, order in zip(made, bare(), strict=True):
        engine.install(order)
        engine.activate(order.session, order.pair)
    return made


def test_a_packet_goes_both_ways_between_hosts_without_ports(ends: tuple[Plane, Plane]) -> None:
    gateway, client = ends
    up, down = udp(LEASED, SERVER, b"up"), udp(SERVER, LEASED, b"down")
    for sender, receiver, packet, peer, source in (
        (client, gateway, up, GATEWAY_HOST, CLIENT_HOST),
        (gateway, client, down, CLIENT_HOST, GATEWAY_HOST),
    ):
        (burst,) = sender.from_tunnel([packet], 0.0).bursts
        assert (burst.peer, burst.local_port) == (peer, BARE)
        found = receiver.from_network([(burst.datagrams[0], source)], 1.0, BARE)
        assert found.inside == [packet]
        assert found.moved == []


def test_the_octets_are_those_of_esp_in_udp() -> None:
    packet = udp(LEASED, SERVER, b"the same")
    sealed: list[bytes] = []
    for order in (bare()[1], both_ends()[1]):
        client = make("python", SeededRandom(5))
        client.install(order)
        client.activate(order.session, order.pair)
        sealed += client.from_tunnel([packet], 0.0).bursts[0].datagrams
    assert sealed[0] == sealed[1]


def test_another_host_of_the_peer_is_reported(ends: tuple[Plane, Plane]) -> None:
    gateway, client = ends
    (burst,) = client.from_tunnel([udp(LEASED, SERVER, b"x")], 0.0).bursts
    elsewhere = ("198.51.100.7", BARE)
    found = gateway.from_network([(burst.datagrams[0], elsewhere)], 1.0, BARE)
    assert found.moved == [Moved(1, elsewhere, BARE)]


def test_nothing_is_ike_or_a_keepalive_without_udp() -> None:
    gateway = make("python", SeededRandom(1))
    for odd in (b"\xff", bytes(4) + b"no ike here"):
        assert gateway.from_network([(odd, CLIENT_HOST)], 0.0, BARE).ike == []
    assert Counter(gateway.refused) == {Drop.SHORT: 1, Drop.UNKNOWN_SPI: 1}


def test_plain_esp_has_room_for_what_udp_would_take(ends: tuple[Plane, Plane]) -> None:
    # 1500 octets, AES-CBC and SHA-1: 1438 plain, 1422 in UDP.
    assert (carriage_of(BARE), carriage_of(4500)) == (Carriage.BARE, Carriage.UDP)
    _, client = ends
    for size, fits in ((1438, True), (1439, False)):
        packet = bytearray(udp(LEASED, SERVER, bytes(size - 28)))
        packet[6] |= 0x40
        out = client.from_tunnel([checked(packet)], 0.0)
        assert (bool(out.bursts), bool(out.returned)) == (fits, not fits)
        if fits:
            assert len(out.bursts[0].datagrams[0]) == 1476  # 8 + 16 + 1440 + 12


def checked(packet: bytearray) -> bytes:
    """With the header's checksum right again."""
    packet[10:12] = bytes(2)
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = (total ^ 0xFFFF).to_bytes(2, "big")
    return bytes(packet)


def test_esp_to_the_gateway_is_not_sent_through_itself() -> None:
    for kind in ("python", "kernel"):
        _, order = bare()
        client = make(kind, SeededRandom(2))
        client.install(replace(order, remote=("0.0.0.0/0",)))
        client.activate(order.session, order.pair)
        own = bytearray(udp(LEASED, GATEWAY[0], bytes(40)))
        own[9] = 50
        assert client.from_tunnel([checked(own)], 0.0).bursts == []
        assert client.traffic(order.session).dropped_out == {Drop.LOOP: 1}


def test_a_port_without_udp_and_udp_without_a_port_are_refused() -> None:
    gateway = make("python", SeededRandom(1))
    plain, in_udp = bare()[0], both_ends()[0]
    for wrong in (replace(plain, local_port=4500), replace(in_udp, local_port=BARE)):
        with pytest.raises(MisuseError):
            gateway.install(wrong)
