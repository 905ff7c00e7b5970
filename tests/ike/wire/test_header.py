"""The ISAKMP header: what it says, and whose datagrams are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.header import AGGRESSIVE, NO_COOKIE, OCTETS, VERSION, Header
from culvert.ike.wire.message import parse_header
from ike.codec import every_change, every_cut

cookies = st.binary(min_size=8, max_size=8)
octet = st.integers(0, 255)
headers = st.builds(
    Header,
    cookies.filter(lambda cookie: cookie != NO_COOKIE),
    cookies,
    octet,
    octet,
    octet,
    st.integers(0, 2**32 - 1),
    version=st.integers(VERSION, VERSION + 15),
)


@given(header=headers, body=st.binary(max_size=40))
def test_what_is_written_is_read_back(header: Header, body: bytes) -> None:
    octets = header.to_bytes(len(body)) + body
    found = parse_header(octets)
    assert found.length == len(octets)
    assert found.to_bytes(len(body)) == octets[:OCTETS]


def known() -> bytes:
    return bytes.fromhex("1122334455667788 99aabbccddeeff00 01 10 04 00 00000000 0000001c")


def test_a_known_header_reads_field_by_field() -> None:
    found = parse_header(known())
    assert (found.cookie_i.hex(), found.cookie_r.hex()) == ("1122334455667788", "99aabbccddeeff00")
    assert (found.next_payload, found.exchange, found.flags) == (1, AGGRESSIVE, 0)
    assert (found.message_id, found.length, found.encrypted) == (0, OCTETS, False)


def test_every_cut_is_refused() -> None:
    assert all(isinstance(each, WireError) for each in every_cut(parse_header, known()))


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(parse_header, known()):
        assert isinstance(each, WireError | Header)


@pytest.mark.parametrize(
    ("octets", "offset", "what"),
    [
        (bytes(8) + known()[8:], 0, "the initiator cookie is zero"),
        (known()[:17] + b"\x20" + known()[18:], 17, "major version 2"),
        (known()[:-1] + b"\x1b", 24, "announces 27 octets, the datagram has 28"),
        (known()[:-1] + b"\x1d", 24, "announces 29 octets, the datagram has 28"),
    ],
)
def test_refusals_name_the_octet(octets: bytes, offset: int, what: str) -> None:
    with pytest.raises(WireError, match=what) as caught:
        parse_header(octets)
    assert caught.value.offset == offset


def test_octets_behind_the_announced_length_are_no_part_of_it() -> None:
    assert parse_header(known() + b"tail").length == OCTETS
