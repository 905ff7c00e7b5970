"""Cut messages: put together within bounds, at both ends of a connection, against forgers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike import channel
from culvert.ike.fragments import PATIENCE, PIECE_COST, STRANGERS, Bounds, Reassembly
from culvert.ike.settings import Role
from culvert.ike.wire.fragment import FRAGMENT, Fragment, cut
from culvert.ike.wire.header import Header
from culvert.ike.wire.message import parse_header
from culvert.inet.address import Address
from ike.ends import Ends, settings

COOKIES = b"initiateresponds"
PEER: Address = ("198.51.100.7", 500)
KEY = COOKIES, PEER
HEADER = Header(b"initiate", b"responds", 8, 2, 1, 0, 0)


def pieces(octets: bytes, largest: int = 136, identifier: int = 1) -> list[Fragment]:
    made = list(cut(octets, HEADER, identifier, largest))
    return [Fragment.parse(one, parse_header(one)) for one in made]


@given(st.integers(64, 255), st.randoms(use_true_random=False))
def test_many_fragments_come_in_any_order_and_twice(count: int, chance: Random) -> None:
    octets = bytes(at % 251 for at in range(100 * count))
    gathering = Reassembly(STRANGERS)
    order = [*pieces(octets), *pieces(octets)]
    chance.shuffle(order)
    assert len(order) == 2 * count
    found = [gathering.take(KEY, piece, now=0.0) for piece in order]
    whole = [octets for octets in found if octets is not None]
    assert whole
    assert set(whole) == {octets}


def test_a_repeat_of_the_whole_message_is_delivered_again() -> None:
    """The peer did not hear our answer, and has to."""
    gathering = Reassembly(STRANGERS)
    for _ in range(3):
        found = [gathering.take(KEY, piece, now=1.0) for piece in pieces(bytes(500))]
        assert found[-1] == bytes(500)
        assert found.count(None) == len(found) - 1
    assert gathering.tick(now=1.0 + PATIENCE) == []
    assert (len(gathering), gathering.octets) == (0, 0)


def test_a_late_copy_of_the_last_fragment_harms_nothing() -> None:
    """CVE-2016-10396, and what its first fix broke."""
    gathering = Reassembly(STRANGERS)
    first, following = bytes(500), b"x" * 500
    for piece in pieces(first):
        gathering.take(KEY, piece, now=0.0)
    assert gathering.take(KEY, pieces(first)[-1], now=0.1) is None
    found = [gathering.take(KEY, piece, now=0.2) for piece in pieces(following)]
    assert found[-1] == following


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Fragment(1, 1, False, b"other"), id="another in the same place"),
        pytest.param(Fragment(1, 9, False, b"other"), id="beyond the last"),
        pytest.param(Fragment(1, 9, True, b"other"), id="a last beyond the last"),
        pytest.param(Fragment(1, 2, True, b"other"), id="a last before the last"),
        pytest.param(Fragment(1, 1, True, b""), id="another last"),
        pytest.param(Fragment(2, 1, False, b"other"), id="another message"),
    ],
)
def test_what_somebody_put_in_between_does_no_lasting_harm(first: Fragment) -> None:
    gathering = Reassembly(STRANGERS)
    wanted, found = b"x" * 250, list[bytes | None]()
    gathering.take(KEY, first, now=0.0)
    for piece in pieces(wanted):
        damaged = replace(piece, octets=b"damaged")
        found += [gathering.take(KEY, one, now=0.0) for one in (damaged, piece)]
    assert wanted in found


def test_a_last_piece_that_is_said_to_be_none_takes_the_delivered_message_back() -> None:
    """Found by fuzzing: the repeats that follow are of no message, whatever their count."""
    taking = Reassembly(STRANGERS)
    first, last = Fragment(1, 1, False, b"one"), Fragment(1, 2, True, b"two")
    assert taking.take(KEY, first, now=0.0) is None
    assert taking.take(KEY, last, now=0.0) == b"onetwo"
    assert taking.take(KEY, Fragment(1, 2, False, b"two"), now=0.0) is None
    assert taking.take(KEY, first, now=0.0) is None
    assert taking.take(KEY, Fragment(1, 3, True, b"three"), now=0.0) == b"onetwothree"


def test_the_next_message_may_have_the_same_id() -> None:
    """As strongSwan's: longer, shorter, as long; the one before delivered or not."""
    gathering = Reassembly(STRANGERS)
    for size, lost in (
        (250, ()),
        (450, ()),
        (150, ()),
        (250, (1,)),
        (250, ()),
        (250, (2,)),
        (450, ()),
    ):
        wanted = bytes((size % 251, len(lost))) * size
        came = [piece for piece in pieces(wanted) if piece.number not in lost]
        found = [gathering.take(KEY, piece, now=0.0) for piece in came]
        assert found[-1] == wanted or lost


def test_a_forger_elsewhere_takes_no_part() -> None:
    gathering = Reassembly(STRANGERS)
    one, two = pieces(b"x" * 150)
    gathering.take(KEY, one, now=0.0)
    assert (
        gathering.take((COOKIES, ("203.0.113.9", 500)), replace(two, octets=b"no"), now=0.0) is None
    )
    assert (
        gathering.take((COOKIES, ("198.51.100.7", 501)), replace(two, octets=b"no"), now=0.0)
        is None
    )
    assert gathering.take(KEY, two, now=0.0) == b"x" * 150


def test_what_does_not_become_whole_is_told_and_forgotten() -> None:
    gathering = Reassembly(STRANGERS)
    one, *_, last = pieces(bytes(500))
    gathering.take(KEY, one, now=3.0)
    gathering.take(KEY, last, now=4.0)
    assert gathering.deadline == 3.0 + PATIENCE
    assert gathering.tick(now=3.0 + PATIENCE - 0.1) == []
    (lost,) = gathering.tick(now=3.0 + PATIENCE)
    assert (lost.peer, lost.came, lost.of) == (PEER, 2, 5)
    assert gathering.octets == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(0, 3),
            st.integers(1, 255),
            st.booleans(),
            st.integers(1, 300),
        ),
        max_size=200,
    )
)
def test_no_flood_moves_the_bounds(flood: list[tuple[int, int, int, bool, int]]) -> None:
    bounds = Bounds(octets=4_000, per_host=1_500)
    gathering = Reassembly(bounds)
    for at, (port, host, number, last, size) in enumerate(flood):
        key = COOKIES, (f"203.0.113.{host}", port)
        gathering.take(key, Fragment(1, number, last, bytes(size)), now=at / 100)
        assert gathering.octets <= bounds.octets
        assert len(gathering) * PIECE_COST <= bounds.octets
    gathering.tick(now=len(flood) / 100 + PATIENCE)
    assert (gathering.octets, len(gathering)) == (0, 0)


def test_one_host_cannot_push_out_another() -> None:
    gathering = Reassembly(Bounds(octets=100_000, per_host=2_000))
    one, two = pieces(b"x" * 150)
    gathering.take(KEY, one, now=0.0)
    for port in range(1_000):
        gathering.take((COOKIES, ("203.0.113.9", port)), Fragment(1, 1, False, bytes(200)), now=0.1)
    assert gathering.take(KEY, two, now=0.2) == b"x" * 150


# --- both ends ---------------------------------------------------------------------------------


def all_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is long now."""
    monkeypatch.setattr(channel, "WHOLE", 100)
    monkeypatch.setattr(channel.Channel._emit, "__defaults__", (100,))


def count(ends: Ends) -> dict[str, int]:
    seen = {"client": 0, "gateway": 0}

    def meddle(to: str, octets: bytes) -> bytes:
        seen[to] += parse_header(octets).next_payload == FRAGMENT
        return octets

    ends.meddle = meddle
    return seen


def test_a_connection_comes_up_in_fragments_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    all_cut(monkeypatch)
    ends = Ends()
    seen = count(ends)
    ends.up()
    assert len(ends.client.active) == len(ends.gateway.active) == 1
    assert seen["client"] > 3
    assert seen["gateway"] > 3
    assert ends.client.events("ike.fragmented")


@pytest.mark.parametrize("off", ["client", "gateway"])
def test_nothing_is_cut_for_an_end_that_does_not_want_it(
    monkeypatch: pytest.MonkeyPatch, off: str
) -> None:
    all_cut(monkeypatch)
    whole = {
        end: replace(settings(role), fragmentation=end != off)
        for end, role in (("client", Role.INITIATOR), ("gateway", Role.RESPONDER))
    }
    ends = Ends(whole["client"], whole["gateway"])
    seen = count(ends)
    ends.up()
    assert seen == {"client": 0, "gateway": 0}
    assert len(ends.client.active) == 1


def test_a_lost_fragment_comes_again_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    all_cut(monkeypatch)
    ends = Ends()
    lost: list[bytes] = []

    def meddle(to: str, octets: bytes) -> bytes | None:
        header = parse_header(octets)
        if header.next_payload == FRAGMENT and len(lost) < 5 and octets not in lost:
            piece = Fragment.parse(octets, header)
            if piece.number == 2:
                lost.append(octets)
                return None
        return octets

    ends.meddle = meddle
    ends.call()
    ends.until(30.0)
    ends.quick()
    ends.until(60.0)
    assert len(lost) == 5
    assert len(ends.client.active) == len(ends.gateway.active) == 1


def test_fragments_that_never_come_are_told() -> None:
    ends = Ends()
    ends.connect()
    sa = ends.client_sa
    path = ends.gateway_sa.path
    header = Header(sa.channel.cookie_i, sa.channel.cookie_r, 0, 6, 0, 0)
    first = next(cut(bytes(3000), header, 1, 1248))
    ends.arrive("gateway", first, path)
    ends.until(ends.now + PATIENCE)
    (told,) = ends.gateway.events("ike.fragments-lost")
    assert (told["came"], told["of"]) == (1, "an unknown number")


def test_a_fragment_of_fragments_is_refused() -> None:
    ends = Ends()
    ends.connect()
    sa, path = ends.client_sa, ends.gateway_sa.path
    header = Header(sa.channel.cookie_i, sa.channel.cookie_r, 0, 6, 0, 0)
    inner = next(cut(bytes(50), header, 1, 1248))
    for piece in cut(inner, header, 2, 60):
        ends.arrive("gateway", piece, path)
    assert (
        ends.gateway.endpoint.refused["message"]
        + ends.gateway.endpoint.refused["unexpected"]
        + sum(ends.gateway.endpoint.refused.values())
        > 0
    )
