"""Mode Config and XAUTH messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import (
    INTERNAL_IP4_ADDRESS,
    REPLY,
    REQUEST,
    SET,
    UNITY_BANNER,
    XAUTH_ANSWER,
    XAUTH_STATUS,
    XAUTH_TYPE,
    XAUTH_USER_NAME,
    ConfigMessage,
)
from culvert.ike.wire.payload import ATTRIBUTES, Part
from ike.codec import every_change, every_cut

messages = st.builds(
    ConfigMessage,
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.lists(
        st.builds(Attribute.octets, st.integers(0, 0x7FFF), st.binary(max_size=20)), max_size=10
    ).map(tuple),
)


def parse(octets: bytes) -> ConfigMessage:
    return ConfigMessage.parse(Part(ATTRIBUTES, octets))


def sample() -> ConfigMessage:
    given_ = (
        Attribute.octets(INTERNAL_IP4_ADDRESS, bytes((10, 0, 0, 7))),
        Attribute.octets(UNITY_BANNER, b"Welcome"),
        Attribute.of(XAUTH_STATUS, 1),
    )
    return ConfigMessage(REPLY, 0x1234, given_)


@given(made=messages)
def test_what_is_written_is_read_back(made: ConfigMessage) -> None:
    assert parse(made.part().body) == made


def test_every_cut_is_refused_or_ends_after_an_attribute() -> None:
    whole = sample()
    for each in every_cut(parse, whole.part().body):
        if isinstance(each, ConfigMessage):
            assert each.attributes == whole.attributes[: len(each.attributes)]
        else:
            assert isinstance(each, WireError)


@pytest.mark.parametrize("filling", [b"\0", b"\0\0", b"\0\0\0"])
def test_zero_octets_that_fill_up_the_payload_are_none_of_an_attribute(filling: bytes) -> None:
    assert parse(sample().part().body + filling) == sample()
    with pytest.raises(WireError):
        parse(sample().part().body + filling[:-1] + b"\1")


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(parse, sample().part().body):
        assert isinstance(each, WireError | ConfigMessage)


def test_a_known_request_reads_as_it_was_meant() -> None:
    found = parse(bytes.fromhex("01000007 c0880000 40890000 408a0000"))
    assert (found.kind, found.identifier) == (REQUEST, 7)
    assert [a.kind for a in found.attributes] == [XAUTH_TYPE, XAUTH_USER_NAME, XAUTH_USER_NAME + 1]


@pytest.mark.parametrize(
    ("kind", "person"),
    [
        (XAUTH_TYPE - 1, False),
        (XAUTH_TYPE, True),
        (XAUTH_ANSWER, True),
        (XAUTH_ANSWER + 1, False),
        (INTERNAL_IP4_ADDRESS, False),
        (UNITY_BANNER, False),
    ],
)
def test_what_is_about_a_person_is_known_by_its_attributes(kind: int, person: bool) -> None:
    assert ConfigMessage(SET, 0, (Attribute.of(kind, 1),)).about_person is person
    assert not ConfigMessage(SET, 0, ()).about_person


def test_the_first_of_two_values_counts() -> None:
    two = (Attribute.of(1, 5), Attribute.of(1, 6))
    found = ConfigMessage(REPLY, 0, two).value(1)
    assert found is not None
    assert found.number == 5
