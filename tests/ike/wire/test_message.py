"""Whole messages in clear and after decryption."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.header import AGGRESSIVE, ENCRYPTED, OCTETS, Header
from culvert.ike.wire.message import clear_body, clear_message, decrypted_body, parse_header
from culvert.ike.wire.payload import NONCE, SA, Chain, Part, first_kind, join_chain
from ike.codec import every_change, every_cut

chains = st.lists(st.builds(Part, st.integers(1, 255), st.binary(max_size=30)), max_size=10).map(
    tuple
)


def header(flags: int = 0) -> Header:
    return Header(b"initiate", b"responds", 0, AGGRESSIVE, flags, 0)


def read(octets: bytes) -> Chain:
    return clear_body(octets, parse_header(octets))


def bare(parts: Chain) -> list[tuple[int, bytes]]:
    return [(each.kind, each.body) for each in parts]


@given(parts=chains, tail=st.binary(max_size=9))
def test_what_is_written_is_read_back_without_what_follows(parts: Chain, tail: bytes) -> None:
    octets = clear_message(header(), parts)
    assert bare(read(octets)) == bare(parts)
    assert bare(read(octets + tail)) == bare(parts)


def test_a_clear_message_never_says_it_is_encrypted() -> None:
    octets = clear_message(header(ENCRYPTED), (Part(SA, b"x"),))
    assert not parse_header(octets).encrypted
    assert parse_header(octets).next_payload == SA


@given(parts=chains, padding=st.binary(max_size=64))
def test_padding_may_be_any_octets(parts: Chain, padding: bytes) -> None:
    """racoon pads with random ones."""
    head = Header(b"i" * 8, b"r" * 8, first_kind(parts), AGGRESSIVE, ENCRYPTED, 0)
    assert bare(decrypted_body(join_chain(parts) + padding, head)) == bare(parts)


def test_every_cut_and_change_gives_a_value_or_a_refusal() -> None:
    whole = clear_message(header(), (Part(SA, b"12"), Part(NONCE, b"12345678")))
    assert all(isinstance(each, WireError) for each in every_cut(read, whole))
    for each in every_change(read, whole):
        assert isinstance(each, WireError | tuple)


def test_offsets_count_from_the_beginning_of_the_datagram() -> None:
    octets = clear_message(header(), (Part(SA, b"12"),))
    damaged = octets[:-4] + b"\x00\x02" + octets[-2:]
    with pytest.raises(WireError) as caught:
        read(damaged)
    assert caught.value.offset == OCTETS + 2
