"""Notify and delete payloads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.notify import MOST_SPIS, R_U_THERE, Delete, Notify
from culvert.ike.wire.payload import DELETE, NOTIFY, Part
from ike.codec import every_change, every_cut

octet = st.integers(0, 255)
notifies = st.builds(
    Notify,
    st.integers(0, 0xFFFF),
    octet,
    st.binary(max_size=20),
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1),
)


@st.composite
def deletes(draw: st.DrawFn) -> Delete:
    size = draw(st.integers(1, 16))
    spi = st.binary(min_size=size, max_size=size)
    return Delete(draw(octet), tuple(draw(st.lists(spi, max_size=8))))


def notify(octets: bytes) -> Notify:
    return Notify.parse(Part(NOTIFY, octets))


def delete(octets: bytes) -> Delete:
    return Delete.parse(Part(DELETE, octets))


@given(made=notifies)
def test_a_notify_that_is_written_is_read_back(made: Notify) -> None:
    assert notify(made.to_bytes()) == made


@given(made=deletes())
def test_a_delete_that_is_written_is_read_back(made: Delete) -> None:
    assert delete(made.to_bytes()) == made


def test_a_known_question_reads_as_it_was_meant() -> None:
    found = notify(bytes.fromhex("00000001 01 10 8d28" + "aa" * 8 + "bb" * 8 + "00000007"))
    assert (found.kind, found.protocol, found.data) == (R_U_THERE, 1, b"\x00\x00\x00\x07")
    assert found.spi == b"\xaa" * 8 + b"\xbb" * 8


def test_every_cut_of_a_notify_is_refused_or_shortens_its_data() -> None:
    whole = Notify(14, 3, b"\x01\x02\x03\x04", b"data")
    for each in every_cut(notify, whole.to_bytes()):
        if isinstance(each, Notify):
            assert whole.data.startswith(each.data)
        else:
            assert isinstance(each, WireError)


def test_every_cut_of_a_delete_is_refused() -> None:
    whole = Delete(3, (b"\x01\x02\x03\x04", b"\x05\x06\x07\x08")).to_bytes()
    assert all(isinstance(each, WireError) for each in every_cut(delete, whole))


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(notify, Notify(14, 3, b"\x01\x02\x03\x04", b"data").to_bytes()):
        assert isinstance(each, WireError | Notify)
    for each in every_change(delete, Delete(3, (b"\x01\x02\x03\x04",) * 2).to_bytes()):
        assert isinstance(each, WireError | Delete)


def test_one_delete_names_a_limited_number_of_sas() -> None:
    head = bytes.fromhex("00000001 03 04")
    most = head + MOST_SPIS.to_bytes(2, "big") + bytes(4 * MOST_SPIS)
    assert len(delete(most).spis) == MOST_SPIS
    with pytest.raises(WireError, match="delete of 257 SPIs at once") as caught:
        delete(head + (MOST_SPIS + 1).to_bytes(2, "big") + bytes(4 * (MOST_SPIS + 1)))
    assert caught.value.offset == 6
