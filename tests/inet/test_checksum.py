"""The internet checksum against its definition: words summed with end-around carry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.inet.checksum import checksum, updated


def test_the_example_of_rfc_1071() -> None:
    # §3: the sum of 0001 f203 f4f5 f6f7 is ddf2.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


@given(data=st.binary(max_size=80))
def test_it_is_the_sum_of_words_with_end_around_carry(data: bytes) -> None:
    assert checksum(data) == slow(data)


def test_both_zeros_are_told_apart() -> None:
    assert checksum(b"\xff\xff") == 0
    assert checksum(b"\0\0") == 0xFFFF
    assert checksum(b"") == 0xFFFF


@given(data=st.binary(min_size=8, max_size=40), at=st.integers(0, 6), new=st.integers(0, 0xFFFF))
def test_an_update_is_as_good_as_counting_anew(data: bytes, at: int, new: int) -> None:
    changed = bytearray(data)
    changed[at : at + 2] = new.to_bytes(2, "big")
    old = int.from_bytes(data[at : at + 2], "big")
    made = updated(checksum(data), old, new, odd=at % 2 == 1)
    # The two zeros of ones' complement are the same number to every receiver.
    assert made % 0xFFFF == checksum(changed) % 0xFFFF


def slow(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    total = 0
    for at in range(0, len(padded), 2):
        total += padded[at] << 8 | padded[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
