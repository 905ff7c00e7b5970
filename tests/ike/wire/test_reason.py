"""Delete with reason: between two of our own ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.notify import Delete
from culvert.ike.wire.payload import Part
from culvert.ike.wire.reason import DELETE_WITH_REASON, LONGEST_TEXT, TEXT, Reason
from ike.codec import every_change, every_cut

DELETED = Delete(1, (bytes(16),))
words = st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20), max_size=LONGEST_TEXT)
reasons = st.builds(Reason, st.integers(0, 0xFFFF), words, words)


def parse(octets: bytes) -> Reason:
    return Reason.parse(Part(DELETE_WITH_REASON, octets))


@given(made=reasons)
def test_what_is_written_is_read_back(made: Reason) -> None:
    part = made.part(DELETED)
    assert part.kind == DELETE_WITH_REASON
    assert parse(part.body) == made


def test_every_cut_is_refused_or_leaves_words_out() -> None:
    whole = Reason(4, "idle", "idle-timeout")
    for each in every_cut(parse, whole.part(DELETED).body):
        if isinstance(each, Reason):
            assert each.code in (0, whole.code)
            assert each.text in ("", whole.text)
        else:
            assert isinstance(each, WireError)


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(parse, Reason(4, "idle", "idle-timeout").part(DELETED).body):
        assert isinstance(each, WireError | Reason)


def test_long_texts_are_cut_on_both_sides() -> None:
    assert parse(Reason(1, "x" * 500).part(DELETED).body).text == "x" * LONGEST_TEXT
    theirs = DELETED.to_bytes() + Attribute.octets(TEXT, b"y" * 500).to_bytes()
    assert parse(theirs) == Reason(0, "y" * LONGEST_TEXT)


def test_text_that_is_no_utf8_is_shown_all_the_same() -> None:
    theirs = DELETED.to_bytes() + Attribute.octets(TEXT, b"caf\xe9").to_bytes()
    assert parse(theirs).text == "caf\ufffd"
