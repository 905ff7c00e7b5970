"""Fragments on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.fragment import FRAGMENT, Fragment, cut
from culvert.ike.wire.header import Header
from culvert.ike.wire.message import parse_header

HEADER = Header(b"initiate", b"responds", 8, 2, 1, 0, 0)


def pieces(octets: bytes, largest: int) -> list[Fragment]:
    made = list(cut(octets, HEADER, 7, largest))
    return [Fragment.parse(one, parse_header(one)) for one in made]


@given(st.binary(min_size=1, max_size=5000), st.integers(37, 1500))
def test_what_is_cut_is_joined_again(octets: bytes, largest: int) -> None:
    made = pieces(octets, largest)
    assert b"".join(piece.octets for piece in made) == octets
    assert [piece.number for piece in made] == list(range(1, len(made) + 1))
    assert [piece.last for piece in made] == [False] * (len(made) - 1) + [True]
    assert len(made) <= 255


def test_a_fragment_looks_as_cisco_and_strongswan_write_it() -> None:
    (whole,) = cut(b"abc", HEADER, 0x0102, 1248)
    assert whole == (
        b"initiateresponds"
        + bytes((FRAGMENT, 0x10, 2, 0))
        + bytes(4)
        + (28 + 8 + 3).to_bytes(4, "big")
        + bytes((0, 0, 0, 11, 1, 2, 1, 1))
        + b"abc"
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("00000009000100 01 61", id="number-0"),
        pytest.param("0100000900010101 61", id="another payload behind it"),
        pytest.param("0000000800010101", id="nothing in it"),
        pytest.param("0000000700010101", id="shorter than its header"),
        pytest.param("0000ffff00010101 61", id="longer than the datagram"),
        pytest.param("000000", id="no header"),
    ],
)
def test_no_fragment_is_refused(body: str) -> None:
    octets = bytes.fromhex(body)
    datagram = Header(b"initiate", b"responds", FRAGMENT, 2, 0, 0).to_bytes(len(octets)) + octets
    with pytest.raises(WireError):
        Fragment.parse(datagram, parse_header(datagram))
