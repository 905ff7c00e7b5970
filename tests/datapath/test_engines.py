"""Every engine at both ends, gateway and client facing each other over no network at all."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.packet import packet_suite
from culvert.datapath.mtu import inner_mtu
from culvert.datapath.plane import Burst, Drop, Moved, Outbound, Plane, Worn
from culvert.effects import InstallSa
from culvert.errors import MisuseError
from culvert.esp.sa import WORN_SEQUENCE, Refusal
from culvert.inet import ipv4, ipv6
from culvert.inet.address import Address
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import (
    CLIENT,
    GATEWAY,
    LEASED,
    NETWORK,
    SERVER,
    SUITES,
    both_ends,
    fragmentable,
    octets,
    udp,
)

UP = udp(LEASED, SERVER, b"question")
DOWN = udp(SERVER, LEASED, b"answer")
MTU = inner_mtu(packet_suite("aes-cbc", "hmac-sha1-96"))


ENDS = ("python", "python")


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[("python", "python"), ("kernel", "kernel"), ("kernel", "python"), ("python", "kernel")],
    ids="-".join,
)
def ends(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Which engine the gateway and the client have."""
    global ENDS  # noqa: PLW0603  # properties may not take a fixture anew for every example
    ENDS = request.param
    if "kernel" in ENDS:
        kernel()
    return ENDS


# --- the two ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_packets_pass_both_ways_in_every_suite(suite: tuple[str, int, str]) -> None:
    gateway, client = tunnel(suite=suite)
    assert cross(client, gateway, [UP, UP], source=CLIENT) == [UP, UP]
    assert cross(gateway, client, [DOWN], source=GATEWAY) == [DOWN]
    at_gateway, at_client = gateway.traffic(1), client.traffic(1)
    assert (at_gateway.packets_in, at_gateway.octets_in) == (2, 2 * len(UP))
    assert (at_gateway.packets_out, at_gateway.octets_out) == (1, len(DOWN))
    assert (at_client.packets_out, at_client.octets_out) == (2, 2 * len(UP))
    assert (at_client.packets_in, at_client.octets_in) == (1, len(DOWN))


def test_datagrams_go_to_the_peer_from_the_agreed_port() -> None:
    gateway, _ = tunnel()
    out = gateway.from_tunnel([DOWN, DOWN], 0.0)
    (burst,) = out.bursts
    assert (burst.peer, burst.local_port, len(burst.datagrams)) == (CLIENT, 4500, 2)


def test_ipv6_passes_where_it_was_agreed() -> None:
    here, there = bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("fd01" + "00" * 14)
    gateway, client = tunnel(near_gateway=("fd01::/64",), near_client=("fd00::5/128",))
    packet = ipv6.build(17, here, there, b"question")
    foreign = ipv6.build(17, there, here, b"question")
    assert cross(client, gateway, [packet], source=CLIENT) == [packet]
    assert cross(client, gateway, [foreign], source=CLIENT) == []
    assert client.refused[Drop.NO_SA] == 1


def test_order_is_kept_within_a_flow() -> None:
    gateway, client = tunnel()
    packets = [udp(LEASED, f"192.168.2.{n % 3 + 1}", bytes([n])) for n in range(60)]
    assert cross(client, gateway, packets, source=CLIENT) == packets


# --- sorting what arrives ----------------------------------------------------------------------


def test_what_arrives_on_the_port_is_told_apart() -> None:
    gateway, client = tunnel()
    esp = sealed(client, UP)
    stranger: Address = ("192.0.2.9", 7)
    arrived = [
        (b"\xff", CLIENT),
        (bytes(4) + b"isakmp octets", CLIENT),
        (esp, CLIENT),
        (b"\x00\x00\x00\x00\xff", CLIENT),  # vpnc's old keepalive
        (b"", CLIENT),
        (b"\xff\xff", CLIENT),
        (b"\x77" * 40, stranger),
        (b"\x77" * 60, stranger),
    ]
    sorted_batch = gateway.from_network(arrived, 5.0)
    assert sorted_batch.ike == [(b"isakmp octets", CLIENT)]
    assert sorted_batch.inside == [UP]
    assert sorted_batch.unknown == {stranger: 2}
    assert sorted_batch.moved == []
    assert dict(gateway.refused) == {Drop.SHORT: 3, Drop.UNKNOWN_SPI: 2}


@given(batch=st.lists(st.binary(max_size=200), max_size=20), known=st.booleans())
def test_arbitrary_datagrams_never_raise_and_never_enter(batch: list[bytes], known: bool) -> None:
    gateway, _ = tunnel()
    spi = (0x1000).to_bytes(4, "big") if known else b""
    arrived = gateway.from_network([(spi + octet, CLIENT) for octet in batch], 1.0)
    assert arrived.inside == []
    assert arrived.moved == []
    assert gateway.traffic(1).packets_in == 0


@given(packet=st.binary(max_size=120), first=st.sampled_from([0x45, 0x4F, 0x60, 0x00]))
def test_arbitrary_inner_packets_never_raise(packet: bytes, first: int) -> None:
    gateway, client = tunnel(near_gateway=("0.0.0.0/0", "::/0"), near_client=("0.0.0.0/0", "::/0"))
    out = client.from_tunnel([bytes([first]) + packet, packet, memoryview(packet)], 0.0)
    assert gateway.from_network(carried(out), 0.0).moved == []


def test_the_largest_datagram_is_handled() -> None:
    gateway, _ = tunnel()
    spi = (0x1000).to_bytes(4, "big")
    assert gateway.from_network([(spi + bytes(65503), CLIENT)], 0.0).inside == []


@pytest.mark.requirement("S1-01", part="altered")
@pytest.mark.requirement("S1-01", part="replayed")
@pytest.mark.requirement("S1-01", part="foreign")
def test_a_flipped_bit_a_replay_and_a_foreign_packet_are_counted_separately() -> None:
    gateway, client = tunnel()
    good = sealed(client, UP)
    flipped = good[:-20] + bytes([good[-20] ^ 0x10]) + good[-19:]
    foreign = b"\x00\x00\x99\x99" + good[4:]
    assert gateway.from_network([(flipped, CLIENT), (good, CLIENT)], 0.0).inside == [UP]
    assert gateway.from_network([(good, CLIENT), (foreign, CLIENT)], 0.0).inside == []
    assert gateway.traffic(1).dropped_in == {Refusal.NOT_AUTHENTIC: 1, Refusal.REPLAYED: 1}
    assert dict(gateway.refused) == {Drop.UNKNOWN_SPI: 1}


# --- what a session may use --------------------------------------------------------------------


def test_an_inner_source_that_was_not_leased_is_dropped() -> None:
    gateway, client = tunnel(near_gateway=("0.0.0.0/0",), near_client=("10.1.0.0/24",))
    honest, _ = tunnel(near_gateway=("0.0.0.0/0",))
    batch = [(sealed(client, udp(source, SERVER)), CLIENT) for source in ("10.1.0.6", LEASED)]
    assert gateway.from_network(batch, 0.0).inside != []
    assert honest.from_network(batch, 0.0).inside == [udp(LEASED, SERVER)]
    assert honest.traffic(1).dropped_in == {Drop.NOT_LEASED: 1}


def test_an_inner_destination_that_was_not_agreed_is_dropped() -> None:
    _, client = tunnel(near_gateway=("0.0.0.0/0",))
    gateway, _ = tunnel(near_gateway=(NETWORK,))
    elsewhere = sealed(client, udp(LEASED, "203.0.113.1"))
    assert gateway.from_network([(elsewhere, CLIENT)], 0.0).inside == []
    assert gateway.traffic(1).dropped_in == {Drop.OUT_OF_SCOPE: 1}


def test_a_packet_that_no_pair_carries_does_not_leave() -> None:
    gateway, client = tunnel()
    assert client.from_tunnel([udp(LEASED, "203.0.113.1")], 0.0) == Outbound()
    assert gateway.from_tunnel([udp("203.0.113.1", LEASED)], 0.0) == Outbound()
    assert client.refused[Drop.NO_SA] == gateway.refused[Drop.NO_SA] == 1


def test_a_datagram_of_the_tunnel_itself_is_not_sealed_again() -> None:
    _, client = tunnel(near_gateway=("0.0.0.0/0",), near_client=("0.0.0.0/0",))
    ports = (4500).to_bytes(2, "big") * 2
    looping = ipv4.build(17, octets(LEASED), octets(GATEWAY[0]), ports + bytes(40))
    web = ipv4.build(6, octets(LEASED), octets(GATEWAY[0]), bytes(40))
    assert [len(burst.datagrams) for burst in client.from_tunnel([looping, web], 0.0).bursts] == [1]
    assert client.traffic(1).dropped_out == {Drop.LOOP: 1}


# --- several pairs -----------------------------------------------------------------------------


def test_two_pairs_of_one_session_each_carry_their_own_network() -> None:
    host = f"{GATEWAY[0]}/32"
    gateway, client = tunnel()
    to_host, from_host = both_ends(
        pair=2, to_gateway=0x1001, to_client=0x2001, near_gateway=(host,)
    )
    install(gateway, to_host)
    install(client, from_host)
    for_host, from_gateway = udp(LEASED, GATEWAY[0]), udp(GATEWAY[0], LEASED)
    up = client.from_tunnel([for_host, UP], 0.0)
    down = gateway.from_tunnel([from_gateway, DOWN], 0.0)
    assert spis(up) == {0x1001, 0x1000}
    assert spis(down) == {0x2001, 0x2000}
    assert gateway.from_network(carried(up), 0.0).inside == [for_host, UP]
    assert client.from_network(carried(down), 0.0).inside == [from_gateway, DOWN]
    assert gateway.traffic(1).packets_in == 2


def test_a_new_pair_receives_at_once_and_sends_once_activated() -> None:
    gateway, client = tunnel()
    new_gateway, new_client = both_ends(pair=2, to_gateway=0x1001, to_client=0x2001)
    gateway.install(new_gateway)
    client.install(new_client)
    assert spis(gateway.from_tunnel([DOWN], 0.0)) == {0x2000}
    client.activate(1, 2)
    fresh = client.from_tunnel([UP], 0.0)
    assert spis(fresh) == {0x1001}
    assert gateway.from_network(carried(fresh), 0.0).inside == [UP]
    gateway.activate(1, 2)
    assert spis(gateway.from_tunnel([DOWN], 0.0)) == {0x2001}


def test_the_elder_pair_receives_until_it_is_removed_and_serves_again_if_the_heir_goes() -> None:
    gateway, client = tunnel()
    late = sealed(client, UP)
    later = sealed(client, UP)
    new_gateway, _ = both_ends(pair=2, to_gateway=0x1001, to_client=0x2001)
    install(gateway, new_gateway)
    assert gateway.from_network([(late, CLIENT)], 0.0).inside == [UP]
    gateway.remove(1, 2)
    assert spis(gateway.from_tunnel([DOWN], 0.0)) == {0x2000}
    gateway.remove(1, 1)
    gateway.remove(1, 1)
    assert gateway.from_network([(later, CLIENT)], 0.0).unknown == {CLIENT: 1}
    assert gateway.from_tunnel([DOWN], 0.0) == Outbound()
    assert gateway.traffic(1).packets_in == 1


def test_an_ended_session_leaves_nothing() -> None:
    gateway, client = tunnel()
    cross(client, gateway, [UP], source=CLIENT)
    gateway.forget(1)
    gateway.forget(1)
    assert gateway.traffic(1).packets_in == 0
    assert gateway.from_network([(sealed(client, UP), CLIENT)], 0.0).inside == []
    install(gateway, both_ends()[0])
    assert spis(gateway.from_tunnel([DOWN], 0.0)) == {0x2000}


def test_orders_that_cannot_be_right_are_refused_and_change_nothing() -> None:
    gateway, _ = tunnel()
    order, _ = both_ends(session=2, pair=7, to_gateway=0x1001, to_client=0x2001)
    for wrong in (
        replace(order, inbound=replace(order.inbound, spi=0x1000)),
        replace(order, session=1, pair=1),
        replace(order, cipher="rot13"),
        replace(order, udp_encapsulated=False),
        replace(order, remote=("nowhere",)),
        replace(order, peer=("gateway.example", 4500)),
    ):
        with pytest.raises(MisuseError):
            gateway.install(wrong)
    for number in (7, 8):
        with pytest.raises(MisuseError):
            gateway.activate(2, number)
    install(gateway, order)
    assert gateway.traffic(2).packets_out == 0


# --- moving peers ------------------------------------------------------------------------------


def test_an_authentic_packet_from_elsewhere_is_reported_and_followed_when_told() -> None:
    gateway, client = tunnel()
    rebound: Address = (CLIENT[0], 1026)
    arrived = gateway.from_network([(sealed(client, UP), rebound)], 0.0)
    assert arrived.inside == [UP]
    assert arrived.moved == [Moved(1, rebound, 4500)]
    assert gateway.from_tunnel([DOWN], 0.0).bursts[0].peer == CLIENT
    gateway.move(1, rebound, 4500)
    assert gateway.from_tunnel([DOWN], 0.0).bursts[0].peer == rebound
    assert gateway.from_network([(sealed(client, UP), rebound)], 0.0).moved == []


def test_forgeries_and_replays_from_elsewhere_move_nobody() -> None:
    gateway, client = tunnel()
    good = sealed(client, UP)
    elsewhere: Address = ("192.0.2.66", 4500)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    batch = [(forged, elsewhere), (good, CLIENT), (good, elsewhere)]
    assert gateway.from_network(batch, 0.0).moved == []
    assert gateway.from_network([(good, elsewhere)], 0.0).moved == []


def test_a_packet_delayed_on_the_old_path_does_not_call_the_session_back() -> None:
    gateway, client = tunnel()
    late, later, latest, first, second = (sealed(client, UP) for _ in range(5))
    rebound: Address = (CLIENT[0], 1026)
    move = Moved(1, rebound, 4500)
    assert gateway.from_network([(first, rebound), (late, CLIENT)], 0.0).moved == [move]
    gateway.move(1, rebound, 4500)
    assert gateway.from_network([(later, CLIENT), (second, rebound)], 0.0).moved == []
    assert gateway.from_network([(latest, CLIENT)], 0.0).moved == []
    assert gateway.traffic(1).packets_in == 5


def test_a_peer_that_reaches_another_port_of_ours_is_answered_from_there() -> None:
    gateway, client = tunnel()
    arrived = gateway.from_network([(sealed(client, UP), CLIENT)], 0.0, 4501)
    assert arrived.moved == [Moved(1, CLIENT, 4501)]
    gateway.move(1, CLIENT, 4501)
    assert gateway.from_tunnel([DOWN], 0.0).bursts[0].local_port == 4501


def test_a_new_pair_brings_the_peers_latest_address() -> None:
    gateway, _ = tunnel()
    rebound: Address = (CLIENT[0], 1026)
    order, _ = both_ends(pair=2, to_gateway=0x1001, to_client=0x2001, client=rebound)
    gateway.install(order)
    (burst,) = gateway.from_tunnel([DOWN], 0.0).bursts
    assert (spis(Outbound([burst])), burst.peer) == ({0x2000}, rebound)


def test_a_peer_that_moves_to_ipv6_leaves_less_room_inside() -> None:
    gateway, _ = tunnel(suite=("aes-gcm-16", 16, ""))
    packet = udp(SERVER, LEASED, bytes(inner_mtu(packet_suite("aes-gcm-16", "")) - 28))
    assert gateway.from_tunnel([packet], 0.0).returned == []
    gateway.move(1, ("2001:db8::9", 4500), 4500)
    out = gateway.from_tunnel([packet], 0.0)
    assert (out.bursts, len(out.returned)) == ([], 1)
    assert int.from_bytes(out.returned[0][26:28], "big") == len(packet) - 20


def test_a_session_that_has_no_pair_yet_cannot_be_moved_and_that_is_no_error() -> None:
    make(ENDS[0], SeededRandom(1)).move(9, CLIENT, 4500)


def test_the_last_sign_of_life_is_the_last_authentic_packet() -> None:
    gateway, client = tunnel()
    assert gateway.traffic(1).last_inbound == float("-inf")
    good = sealed(client, UP)
    gateway.from_network([(good, CLIENT)], 10.0)
    gateway.from_network([(good, CLIENT), (bytes(40), CLIENT)], 20.0)
    assert gateway.traffic(1).last_inbound == 10.0


# --- sizes -------------------------------------------------------------------------------------


def test_a_large_packet_that_must_not_be_cut_is_answered() -> None:
    gateway, client = tunnel()
    large = udp(LEASED, SERVER, bytes(MTU - 28 + 1))
    out = client.from_tunnel([large, UP], 0.0)
    (answer,) = out.returned
    header = ipv4.parse(answer)
    assert (header.source, header.destination) == (octets(SERVER), octets(LEASED))
    assert int.from_bytes(answer[26:28], "big") == MTU
    assert gateway.from_network(carried(out), 0.0).inside == [UP]
    assert client.traffic(1).dropped_out == {Drop.TOO_BIG: 1}


def test_a_large_packet_that_may_be_cut_is_cut_before_encryption() -> None:
    gateway, client = tunnel()
    large = fragmentable(udp(LEASED, SERVER, bytes(range(256)) * 12))
    inside = cross(client, gateway, [large], source=CLIENT)
    assert [len(piece) <= MTU for piece in inside] == [True, True, True]
    assert b"".join(piece[20:] for piece in inside) == large[20:]


def test_a_packet_of_exactly_the_inner_mtu_is_carried_in_one_piece() -> None:
    gateway, client = tunnel()
    packet = udp(LEASED, SERVER, bytes(MTU - 28))
    out = client.from_tunnel([packet], 0.0)
    assert len(out.bursts[0].datagrams[0]) + 28 <= 1500
    assert gateway.from_network(carried(out), 0.0).inside == [packet]


def test_ipv6_is_never_offered_less_than_its_minimum() -> None:
    here, there = bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("fd01" + "00" * 14)
    order, _ = both_ends(near_gateway=("fd01::/64",), near_client=("fd00::5/128",))
    engine = make(ENDS[0], SeededRandom(1), path_mtu=1280)
    install(engine, order)
    fits, large = (ipv6.build(17, there, here, bytes(size - 40)) for size in (1280, 1281))
    out = engine.from_tunnel([fits, large], 0.0)
    assert len(out.bursts[0].datagrams) == 1
    assert int.from_bytes(out.returned[0][44:48], "big") == 1280


def test_broken_options_of_a_packet_to_be_cut_drop_it() -> None:
    _, client = tunnel()
    plain = fragmentable(udp(LEASED, SERVER, bytes(3000)))
    options = b"\x83\x00\x00\x00"
    broken = b"\x46\0" + (len(plain) + 4).to_bytes(2, "big") + plain[4:20] + options + plain[20:]
    assert client.from_tunnel([broken], 0.0) == Outbound()
    assert client.traffic(1).dropped_out == {Drop.NOT_IP: 1}


def test_an_outgoing_syn_is_clamped_even_if_the_peer_would_not() -> None:
    gateway, roomy = tunnel(path_mtu=9000)
    head = bytes((0x0F, 0xA0, 0, 80)) + bytes(8) + b"\x60\x02\xff\xff\0\0\0\0\x02\x04\x05\xb4"
    syn = ipv4.build(6, octets(SERVER), octets(LEASED), head)
    (arrived,) = roomy.from_network([(sealed(gateway, syn), GATEWAY)], 0.0).inside
    assert int.from_bytes(arrived[42:44], "big") == MTU - 40


def test_an_incoming_syn_is_clamped_even_if_the_peer_did_not() -> None:
    _, roomy = tunnel(path_mtu=9000)
    gateway, _ = tunnel()
    head = bytes((0x0F, 0xA0, 0, 80)) + bytes(8) + b"\x60\x02\xff\xff\0\0\0\0\x02\x04\x05\xb4"
    syn = ipv4.build(6, octets(LEASED), octets(SERVER), head)
    (arrived,) = gateway.from_network([(sealed(roomy, syn), CLIENT)], 0.0).inside
    assert int.from_bytes(arrived[42:44], "big") == MTU - 40


# --- the end of an SA --------------------------------------------------------------------------


def test_a_worn_pair_asks_once_and_an_exhausted_one_drops(monkeypatch: Any) -> None:
    monkeypatch.setattr("culvert.esp.sa.LAST_SEQUENCE", 5)
    monkeypatch.setattr("culvert.esp.sa.WORN_SEQUENCE", 3)
    _, client = tunnel()
    assert client.from_tunnel([UP] * 2, 0.0).worn == []
    assert client.from_tunnel([UP], 0.0).worn == [Worn(1, 1)]
    out = client.from_tunnel([UP] * 4, 0.0)
    assert (len(out.bursts[0].datagrams), out.worn) == (2, [])
    assert client.traffic(1).dropped_out == {Drop.EXHAUSTED: 2}
    assert client.from_tunnel([UP], 0.0).bursts == []
    assert WORN_SEQUENCE > 2**31


def clear_octets(packet: bytes) -> int:
    """What the cipher is applied to: the packet, its padding and the two octets behind it."""
    return (len(packet) + 2 + 15) // 16 * 16


def test_what_is_sealed_ends_at_the_lifetime_in_octets_and_asks_for_a_successor_before() -> None:
    of_one = clear_octets(UP)
    _, client = tunnel(soft_octets=of_one * 3, hard_octets=of_one * 5)
    assert client.from_tunnel([UP] * 2, 0.0).worn == []
    assert client.from_tunnel([UP], 0.0).worn == [Worn(1, 1)]
    assert client.from_tunnel([UP], 0.0).worn == []
    out = client.from_tunnel([UP] * 3, 0.0)
    assert (len(out.bursts[0].datagrams), out.worn) == (1, [Worn(1, 1, spent=True)])
    assert client.traffic(1).dropped_out == {Drop.EXHAUSTED: 2}
    out = client.from_tunnel([UP], 0.0)
    assert (out.bursts, out.worn) == ([], [])


def test_what_is_opened_counts_for_a_lifetime_of_its_own() -> None:
    of_one = clear_octets(UP)
    gateway, client = tunnel(soft_octets=of_one * 3, hard_octets=of_one * 5)
    worn: list[list[Worn]] = []
    for _ in range(5):
        gateway.from_tunnel([DOWN], 0.0) if len(worn) < 2 else None
        arrived = gateway.from_network(carried(client.from_tunnel([UP], 0.0)), 0.0)
        assert arrived.inside == [UP]
        worn.append(arrived.worn)
    assert worn == [[], [], [Worn(1, 1)], [], [Worn(1, 1, spent=True)]]


def test_a_replayed_or_forged_datagram_uses_no_lifetime_up() -> None:
    of_one = clear_octets(UP)
    gateway, client = tunnel(soft_octets=of_one * 2, hard_octets=of_one * 3)
    one = (sealed(client, UP), CLIENT)
    forged = (one[0][:-1] + bytes([one[0][-1] ^ 1]), CLIENT)
    assert gateway.from_network([one, one, one, forged], 0.0).worn == []
    assert gateway.from_network([(sealed(client, UP), CLIENT)], 0.0).worn == [Worn(1, 1)]


# --- many sessions -----------------------------------------------------------------------------


def test_a_packet_costs_as_many_steps_among_ten_thousand_sessions_as_alone() -> None:
    gateway, client = tunnel()
    batch = [(sealed(client, UP), CLIENT) for _ in range(4)]

    def both_pages() -> None:
        assert gateway.from_network([batch.pop(0)], 0.0).inside == [UP]
        assert len(gateway.from_tunnel([DOWN], 0.0).bursts) == 1

    both_pages()
    alone = lines_run(both_pages)
    for number in range(2, 10_001):
        leased = f"10.{number >> 8}.{number & 255}.9"
        order, _ = both_ends(
            session=number,
            to_gateway=0x10000 + number,
            to_client=0x20000 + number,
            near_client=(f"{leased}/32",),
            client=("198.51.100.1", number),
        )
        install(gateway, order)
    assert lines_run(both_pages) == alone
    out = gateway.from_tunnel([udp(SERVER, "10.39.16.9")], 0.0)
    assert out.bursts[0].peer == ("198.51.100.1", 10_000)


def test_an_engine_is_a_plane() -> None:
    plane: Plane = make(ENDS[0], SeededRandom(1))
    assert (plane.name, plane.virtio) == (ENDS[0], False)
    assert (plane.direct is None) == (ENDS[0] == "python")


# --- helpers -----------------------------------------------------------------------------------


def tunnel(*, path_mtu: int = 1500, **order: Any) -> tuple[Plane, Plane]:
    """Gateway and client with one active pair between them."""
    engines = (
        make(ENDS[0], SeededRandom(1)),
        make(ENDS[1], SeededRandom(2), path_mtu=path_mtu),
    )
    for engine, half in zip(engines, both_ends(**order), strict=True):
        install(engine, half)
    return engines


def install(engine: Plane, order: InstallSa) -> None:
    engine.install(order)
    engine.activate(order.session, order.pair)


def sealed(engine: Plane, packet: bytes) -> bytes:
    (burst,) = engine.from_tunnel([packet], 0.0).bursts
    (datagram,) = burst.datagrams
    return datagram


def carried(out: Outbound, source: Address = CLIENT) -> list[tuple[bytes, Address]]:
    return [(datagram, source) for burst in out.bursts for datagram in burst.datagrams]


def cross(sender: Plane, receiver: Plane, packets: list[bytes], *, source: Address) -> list[bytes]:
    arrived = receiver.from_network(carried(sender.from_tunnel(packets, 0.0), source), 0.0)
    assert arrived.moved == []
    return arrived.inside


def spis(out: Outbound) -> set[int]:
    def first(burst: Burst) -> int:
        return int.from_bytes(burst.datagrams[0][:4], "big")

    return {first(burst) for burst in out.bursts}


def lines_run(work: Any) -> int:
    """How many lines of ours ``work`` executes (others hook the garbage collector)."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line" and "culvert" in frame.f_code.co_filename
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
