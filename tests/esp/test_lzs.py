"""LZS: a public vector, anything there and back, and nothing that a stranger's octets can do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.esp.lzs import HISTORY, compress, decompress

# QIC-122 rev. B, appendix A: the same code.
PLAIN = b"ABAAAAAACABABABA"
PACKED = bytes.fromhex("20908838 1c21e25c 1580")

MOST = 65535
repeating = st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 400)).map(
    lambda found: (found[0] * found[1])[:9000]
)
mixed = st.lists(st.binary(max_size=60) | repeating, max_size=8).map(b"".join)


def packed(bits: str) -> bytes:
    whole = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return bytes(int(whole[at : at + 8], 2) for at in range(0, len(whole), 8))


END = "110000000"
A = "0" + f"{ord('a'):08b}"


def test_the_published_example_is_read() -> None:
    assert decompress(PACKED, MOST) == PLAIN


def test_ours_of_it_is_read_as_well_and_is_no_longer() -> None:
    made = compress(PLAIN)
    assert decompress(made, MOST) == PLAIN
    assert len(made) <= len(PACKED)


@given(mixed)
def test_everything_comes_back(octets: bytes) -> None:
    assert decompress(compress(octets), max(len(octets), 1)) == octets


@pytest.mark.parametrize("length", [2, 3, 4, 5, 7, 8, 9, 22, 23, 24, 37, 38, 4096, 5000])
@pytest.mark.parametrize("offset", [1, 2, 127, 128, 2047])
def test_every_form_of_offset_and_length_is_written_and_read(length: int, offset: int) -> None:
    head = bytes(at * 7 % 251 for at in range(offset))
    whole = (head * (length // offset + 2))[: offset + length]
    assert decompress(compress(whole), MOST) == whole
    assert len(compress(whole)) < 9 * len(whole) // 8 + 4


def test_a_string_further_back_than_the_history_is_not_used() -> None:
    filler = bytes(range(256)) * (HISTORY // 256 + 2)
    assert decompress(compress(b"xyxy" + filler + b"xyxy"), MOST).endswith(b"xyxy")


def test_text_gets_much_shorter() -> None:
    text = b"GET /index.html HTTP/1.1\r\nHost: intranet.example.com\r\n\r\n" * 20
    assert len(compress(text)) < len(text) // 8


@pytest.mark.parametrize(
    ("bits", "says"),
    [
        ("", "without an end"),
        (A, "without an end"),
        (A + "11" + "0000001", "without an end"),
        ("11" + "0000001" + "00" + END, "before the beginning"),
        (A + "11" + "0000010" + "00" + END, "before the beginning"),
        (A + END + "1", "behind the end"),
        (A + END + "0" * 16, "behind the end"),
    ],
)
def test_what_is_no_lzs_is_refused(bits: str, says: str) -> None:
    with pytest.raises(WireError, match=says):
        decompress(packed(bits), MOST)


def test_a_bomb_is_refused_before_it_has_grown() -> None:
    """A thousand octets that would become as many as their length says: no more than asked for."""
    bomb = packed(A + "11" + "0000001" + "1111" * 20_000 + "0000" + END)
    with pytest.raises(WireError, match="more than 65535"):
        decompress(bomb, MOST)
    whole = compress(b"a" * 70_000)
    assert len(whole) < 3000
    with pytest.raises(WireError, match="more than 65535"):
        decompress(whole, MOST)
    assert len(decompress(whole, 70_000)) == 70_000


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        made = decompress(octets, 2000)
    except WireError:
        return
    assert len(made) <= 2000
    assert decompress(compress(made), 2000) == made


@given(mixed.filter(len), st.data())
def test_a_flipped_bit_never_does_more_than_another_text(
    octets: bytes, data: st.DataObject
) -> None:
    made = bytearray(compress(octets))
    at = data.draw(st.integers(0, len(made) * 8 - 1))
    made[at // 8] ^= 0x80 >> at % 8
    try:
        assert len(decompress(bytes(made), MOST)) <= MOST
    except WireError:
        return
