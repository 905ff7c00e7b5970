"""Datagrams out of a stream: whole and in order however it is cut, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.inet.frames import LARGEST, LENGTH, Frames, framed

datagrams = st.lists(st.binary(min_size=1, max_size=300), max_size=12)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=20)


def pieces(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The stream in pieces of these sizes, over and over."""
    made: list[bytes] = []
    while stream:
        size = sizes[len(made) % len(sizes)]
        made.append(stream[:size])
        stream = stream[size:]
    return made


@given(datagrams, cuts)
def test_datagrams_come_out_whole_and_in_order_however_the_stream_is_cut(
    sent: list[bytes], sizes: list[int]
) -> None:
    frames = Frames()
    came = [
        one for piece in pieces(b"".join(map(framed, sent)), sizes) for one in frames.take(piece)
    ]
    assert came == sent
    assert (frames.held, frames.over) == (0, "")


@pytest.mark.parametrize("size", [0, LARGEST - LENGTH + 1])
def test_what_has_no_place_in_a_frame_is_not_framed(size: int) -> None:
    assert framed(bytes(size)) == b""


def test_the_largest_datagram_passes() -> None:
    largest = bytes(LARGEST - LENGTH)
    assert Frames().take(framed(largest)) == [largest]


def test_of_the_largest_frame_less_than_its_length_is_kept() -> None:
    frames = Frames()
    assert frames.take(framed(bytes(LARGEST - LENGTH))[:-1]) == []
    assert frames.held == LARGEST - 1


@pytest.mark.parametrize("size", [0, 1, 2])
def test_after_a_frame_of_nothing_the_stream_says_nothing_more(size: int) -> None:
    frames = Frames()
    assert frames.take(framed(b"before") + size.to_bytes(LENGTH, "big")) == [b"before"]
    assert frames.over == f"a frame of {size} octets"
    assert frames.take(framed(b"after")) == []
    assert frames.held == 0
