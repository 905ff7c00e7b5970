"""SA, proposal and transform payloads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.payload import NONCE, PROPOSAL, SA, TRANSFORM, Part, join_chain
from culvert.ike.wire.proposal import (
    MOST_TRANSFORMS,
    PROTO_ESP,
    PROTO_ISAKMP,
    Proposal,
    SecurityAssociation,
    Transform,
)
from ike.codec import every_change, every_cut

octet = st.integers(0, 255)
attribute = st.builds(Attribute.of, st.integers(0, 0x7FFF), st.integers(0, 2**40))
transforms = st.builds(Transform, octet, octet, st.lists(attribute, max_size=8).map(tuple))
proposals = st.builds(
    Proposal,
    octet,
    octet,
    st.binary(max_size=16),
    st.lists(transforms, min_size=1, max_size=4).map(tuple),
)
associations = st.builds(
    SecurityAssociation, st.lists(proposals, min_size=1, max_size=4).map(tuple)
)


def parse(octets: bytes) -> SecurityAssociation:
    return SecurityAssociation.parse(Part(SA, octets))


@given(made=associations)
def test_what_is_written_is_read_back(made: SecurityAssociation) -> None:
    found = parse(made.to_bytes())
    assert found == made
    assert found.body == made.to_bytes()


def sample() -> SecurityAssociation:
    attributes = (Attribute.of(1, 7), Attribute.of(14, 256), Attribute.of(12, 86_400))
    both = (Transform(1, 1, attributes), Transform(2, 1, attributes[:1]))
    spi = b"\x01\x02\x03\x04"
    return SecurityAssociation((Proposal(1, PROTO_ESP, spi, both), Proposal(2, 4, b"ab", both)))


def test_every_cut_is_refused() -> None:
    whole = sample().to_bytes()
    assert all(isinstance(each, WireError) for each in every_cut(parse, whole))


def test_every_changed_octet_gives_a_value_or_a_refusal() -> None:
    for each in every_change(parse, sample().to_bytes()):
        assert isinstance(each, WireError | SecurityAssociation)


@pytest.mark.parametrize("head", ["00000000 00000001", "00000001 00000003", "00000002 00000001"])
def test_another_domain_or_situation_is_refused(head: str) -> None:
    with pytest.raises(WireError, match="not 1 and 1"):
        parse(bytes.fromhex(head) + sample().to_bytes()[8:])


def test_another_payload_among_proposals_is_refused() -> None:
    proposal = sample().proposals[0].to_bytes()
    body = sample().to_bytes()[:8] + join_chain([Part(PROPOSAL, proposal), Part(NONCE, b"x" * 8)])
    with pytest.raises(WireError, match=f"other than {PROPOSAL} inside"):
        parse(body)


def test_another_payload_among_transforms_is_refused() -> None:
    inner = join_chain([Part(TRANSFORM, b"\x01\x01\x00\x00"), Part(PROPOSAL, b"x" * 8)])
    proposal = bytes((1, PROTO_ISAKMP, 0, 2)) + inner
    body = sample().to_bytes()[:8] + join_chain([Part(PROPOSAL, proposal)])
    with pytest.raises(WireError, match=f"other than {TRANSFORM} inside"):
        parse(body)


def test_the_count_of_transforms_is_believed_to_the_chain_alone() -> None:
    """Peers exist that count wrong."""
    whole = bytearray(sample().to_bytes())
    assert whole[15] == 2
    whole[15] = 9
    assert parse(bytes(whole)) == sample()


def many(counts: list[int]) -> bytes:
    made = tuple(
        Proposal(number, PROTO_ISAKMP, b"", (Transform(1, 1, ()),) * count)
        for number, count in enumerate(counts)
    )
    return SecurityAssociation(made).to_bytes()


def test_transforms_have_a_limit_over_all_proposals() -> None:
    assert MOST_TRANSFORMS == 255
    assert len(parse(many([64, 64, 64, 63])).proposals) == 4
    with pytest.raises(WireError, match="more than 255 transforms"):
        parse(many([64, 64, 64, 64]))


def test_attributes_are_found_in_any_order() -> None:
    attributes = (Attribute.of(4, 2), Attribute.of(1, 7), Attribute.of(1, 5))
    transform = Transform(1, 1, attributes)
    assert (transform.value(1), transform.value(4), transform.value(2)) == (7, 2, None)
