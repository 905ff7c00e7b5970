"""Chains of payloads: order, lengths, and what stands behind the last one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.payload import (
    HASH,
    MOST,
    NONCE,
    NONE,
    SA,
    VENDOR_ID,
    Chain,
    Part,
    first_kind,
    join_chain,
    of_kind,
    one,
    parse_chain,
)
from culvert.octets.cursor import Cursor
from ike.codec import every_change, every_cut

part = st.builds(Part, st.integers(1, 255), st.binary(max_size=30))
chains = st.lists(part, max_size=MOST).map(tuple)


def bare(parts: Chain) -> list[tuple[int, bytes]]:
    return [(each.kind, each.body) for each in parts]


def parse(octets: bytes, first: int = SA) -> Chain:
    return parse_chain(first, Cursor(octets))


@given(parts=chains, padding=st.binary(max_size=20))
def test_what_is_written_is_read_back_whatever_follows(parts: Chain, padding: bytes) -> None:
    found = parse(join_chain(parts) + padding, first_kind(parts))
    assert bare(found) == bare(parts)


@given(parts=chains)
def test_every_part_knows_where_it_stood(parts: Chain) -> None:
    octets = join_chain(parts)
    for each in parse_chain(first_kind(parts), Cursor(octets, base=28)):
        at = each.offset - 28
        assert octets[at : at + len(each.body)] == each.body


def sample() -> Chain:
    return (Part(SA, b"\x00\x01"), Part(NONCE, b"12345678"), Part(VENDOR_ID, b""))


def test_every_cut_is_refused() -> None:
    assert all(isinstance(each, WireError) for each in every_cut(parse, join_chain(sample())))


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(parse, join_chain(sample())):
        assert isinstance(each, WireError | tuple)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_length_below_the_header_is_refused_where_it_stands(length: int) -> None:
    with pytest.raises(WireError, match="below its own header") as caught:
        parse(bytes((0, 0, 0, length)))
    assert caught.value.offset == 2


def test_a_length_beyond_the_end_is_refused_behind_the_header() -> None:
    with pytest.raises(WireError, match="payload 1: 6 octets wanted, 1 left") as caught:
        parse(bytes.fromhex("0000000a ff"))
    assert caught.value.offset == 4


def test_a_chain_has_a_limit() -> None:
    assert len(parse(join_chain([Part(SA, b"")] * MOST))) == MOST
    with pytest.raises(WireError, match=f"more than {MOST} payloads") as caught:
        parse(join_chain([Part(SA, b"")] * (MOST + 1)))
    assert caught.value.offset == MOST * 4


def test_nothing_announced_is_nothing_read() -> None:
    assert parse(b"anything", NONE) == ()
    assert first_kind(()) == NONE
    assert join_chain(()) == b""


def test_parts_are_found_by_kind() -> None:
    parts = (Part(HASH, b"1"), Part(NONCE, b"2"), Part(HASH, b"3"))
    assert one(parts, HASH) == parts[0]
    assert one(parts, SA) is None
    assert of_kind(parts, HASH) == (parts[0], parts[2])
    assert of_kind(parts, NONCE, HASH) == parts
