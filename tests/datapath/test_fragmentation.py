"""What either engine does with packets larger than the tunnel takes, by each policy (S4-16)."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.crypto.packet import packet_suite
from culvert.datapath.fragmentation import Policy
from culvert.datapath.mtu import inner_mtu
from culvert.datapath.plane import Drop, Outbound, Plane
from culvert.inet import ipv4, ipv6
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import CLIENT, GATEWAY, LEASED, SERVER, both_ends, fragmentable, octets, udp

MTU = inner_mtu(packet_suite("aes-cbc", "hmac-sha1-96"))
LARGE = udp(SERVER, LEASED, bytes(range(250)) * 5 + bytes(222))
"""1500 octets, not to be cut."""
OUTER = 20 + 8
HERE6, THERE6 = bytes.fromhex("fd00" + "00" * 13 + "05"), bytes.fromhex("fd01" + "00" * 14)
LARGE6 = ipv6.build(17, THERE6, HERE6, bytes(1460))


@pytest.fixture(params=["python", "kernel"])
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def tunnel(kind: str, policy: str, **options: Any) -> tuple[Plane, Plane]:
    engines = [make(kind, SeededRandom(n), cut=Policy(policy), **options) for n in (1, 2)]
    orders = both_ends(
        near_gateway=("192.168.2.0/24", "fd01::/64"), near_client=(f"{LEASED}/32", "fd00::5/128")
    )
    for engine, order in zip(engines, orders, strict=True):
        engine.install(order)
        engine.activate(order.session, order.pair)
    return engines[0], engines[1]


def opened(client: Plane, out: Outbound) -> list[bytes]:
    datagrams = [(one, GATEWAY) for burst in out.bursts for one in burst.datagrams]
    return client.from_network(datagrams, 0.0).inside


def outside(out: Outbound) -> list[int]:
    """How long the datagrams are on the wire."""
    return [OUTER + len(one) for burst in out.bursts for one in burst.datagrams]


def test_the_packet_is_as_long_as_ethernet_takes() -> None:
    assert len(LARGE) == 1500


@pytest.mark.requirement("S4-16", part="engines")
@pytest.mark.parametrize("packet", [LARGE, fragmentable(LARGE), LARGE6], ids=["df", "4", "6"])
def test_after_ipsec_it_leaves_whole_and_longer_than_the_path(kind: str, packet: bytes) -> None:
    gateway, client = tunnel(kind, "after-ipsec")
    out = gateway.from_tunnel([packet], 0.0)
    assert out.returned == []
    assert [length > 1500 for length in outside(out)] == [True]
    assert opened(client, out) == [packet]


@pytest.mark.requirement("S4-16", part="engines")
def test_before_ipsec_with_icmp_its_sender_is_told_what_fits(kind: str) -> None:
    gateway, _ = tunnel(kind, "before-with-icmp")
    out = gateway.from_tunnel([LARGE, LARGE6], 0.0)
    four, six = out.returned
    assert (four[9], four[20:22]) == (1, b"\x03\x04")  # fragmentation needed
    assert int.from_bytes(four[26:28], "big") == MTU
    assert (six[6], six[40:42]) == (58, b"\x02\x00")  # packet too big
    assert int.from_bytes(six[44:48], "big") == MTU
    assert out.bursts == []
    assert gateway.traffic(1).dropped_out == {Drop.TOO_BIG: 2}


@pytest.mark.requirement("S4-16", part="engines")
def test_before_ipsec_clearing_df_it_is_cut_and_nothing_is_too_long(kind: str) -> None:
    gateway, client = tunnel(kind, "before-clearing-df")
    out = gateway.from_tunnel([LARGE, LARGE], 0.0)
    assert out.returned == []
    assert max(outside(out)) <= 1500
    first, second = in_whole(opened(client, out))
    assert (first, second) == (LARGE[20:], LARGE[20:])


def in_whole(pieces: list[bytes]) -> list[bytes]:
    """What the pieces carried, by identification; each may be cut further."""
    found: dict[int, dict[int, bytes]] = {}
    for piece in pieces:
        header = ipv4.parse(piece)
        assert not header.dont_fragment
        assert header.source == octets(SERVER)
        found.setdefault(header.identification, {})[header.fragment_offset] = piece[20:]
    return [b"".join(one[at] for at in sorted(one)) for one in found.values()]


def test_clearing_df_ipv6_is_told_what_fits_for_only_senders_cut_it(kind: str) -> None:
    gateway, _ = tunnel(kind, "before-clearing-df")
    out = gateway.from_tunnel([LARGE6], 0.0)
    assert out.bursts == []
    assert [answer[40] for answer in out.returned] == [2]


def test_who_may_be_cut_is_cut_by_either_policy_before_ipsec(kind: str) -> None:
    for policy in ("before-with-icmp", "before-clearing-df"):
        gateway, client = tunnel(kind, policy)
        out = gateway.from_tunnel([fragmentable(LARGE)], 0.0)
        assert in_whole(opened(client, out)) == [LARGE[20:]]


def test_the_pieces_are_no_longer_than_the_mtu_that_was_chosen(kind: str) -> None:
    gateway, client = tunnel(kind, "before-clearing-df", largest=1300)
    inside = opened(client, gateway.from_tunnel([LARGE], 0.0))
    assert [len(one) for one in inside] == [1300, 220]


def test_after_a_move_the_chosen_mtu_still_holds(kind: str) -> None:
    gateway, client = tunnel(kind, "before-clearing-df", largest=1300)
    gateway.move(1, (CLIENT[0], 2000), 4500)
    assert max(map(len, opened(client, gateway.from_tunnel([LARGE], 0.0)))) == 1300
