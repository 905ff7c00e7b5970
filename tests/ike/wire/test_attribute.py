"""Data attributes: both forms, lists, and their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.attribute import MOST, Attribute, join, parse_attributes
from culvert.octets.cursor import Cursor
from ike.codec import every_change

kinds = st.integers(0, 0x7FFF)
attribute = st.one_of(
    st.builds(Attribute.of, kinds, st.integers(0, 2**64)),
    st.builds(Attribute.octets, kinds, st.binary(max_size=40)),
)
attributes = st.lists(attribute, max_size=MOST).map(tuple)


def parse(octets: bytes) -> tuple[Attribute, ...]:
    return parse_attributes(Cursor(octets))


@given(items=attributes)
def test_what_is_written_is_read_back(items: tuple[Attribute, ...]) -> None:
    assert parse(join(items)) == items


@given(items=attributes, data=st.data())
def test_every_cut_is_refused_or_a_prefix(
    items: tuple[Attribute, ...], data: st.DataObject
) -> None:
    whole = join(items)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = parse(whole[:cut])
    except WireError as error:
        assert 0 <= error.offset <= cut
    else:
        assert found == items[: len(found)]


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    items = (Attribute.of(1, 7), Attribute.of(14, 256), Attribute.of(12, 86_400))
    assert len(every_change(parse, join(items))) > len(join(items))


def test_refusal_names_the_octet() -> None:
    with pytest.raises(WireError) as caught:
        parse(bytes.fromhex("80010005 000c0004 0001"))
    assert (caught.value.offset, caught.value.what) == (
        8,
        "attribute value: 4 octets wanted, 2 left",
    )


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        (0, "800b0000"),
        (1, "800b0001"),
        (28_800, "800b7080"),
        (0xFFFF, "800bffff"),
        (0x10000, "000b000400010000"),
        (86_400, "000b000400015180"),
        (2**32, "000b00050100000000"),
    ],
)
def test_numbers_take_the_short_form_while_they_fit(number: int, octets: str) -> None:
    made = Attribute.of(11, number)
    assert made.to_bytes().hex() == octets
    assert made.number == number


def test_the_form_seen_on_the_wire_is_kept() -> None:
    """A peer may write a small number long; its hash covers that."""
    long = bytes.fromhex("000b00020001")
    (found,) = parse(long)
    assert (found.number, found.short) == (1, False)
    assert found.to_bytes() == long


def test_a_list_has_a_limit() -> None:
    one = Attribute.of(1, 1)
    assert len(parse(join([one] * MOST))) == MOST
    with pytest.raises(WireError, match=f"more than {MOST} attributes") as caught:
        parse(join([one] * (MOST + 1)))
    assert caught.value.offset == MOST * 4
