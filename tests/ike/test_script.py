"""Scripts: payloads missing, too many, twice or out of order are named."""

from __future__ import annotations

import pytest

from culvert.errors import UnexpectedMessage
from culvert.ike.script import AGGRESSIVE, INFORMATIONAL, PRIVATE, QUICK, TRANSACTION, Turn
from culvert.ike.wire.payload import (
    ATTRIBUTES,
    CERT,
    DELETE,
    HASH,
    ID,
    KE,
    NAT_D,
    NAT_D_DRAFT,
    NAT_OA_DRAFT,
    NONCE,
    NOTIFY,
    SA,
    VENDOR_ID,
    Part,
)

COMPLETE = [
    pytest.param(AGGRESSIVE[0], (SA, KE, NONCE, ID), id="aggressive-1"),
    pytest.param(AGGRESSIVE[1], (SA, KE, NONCE, ID, HASH), id="aggressive-2"),
    pytest.param(AGGRESSIVE[2], (HASH,), id="aggressive-3"),
    pytest.param(QUICK[0], (HASH, SA, NONCE), id="quick-1"),
    pytest.param(QUICK[1], (HASH, SA, NONCE), id="quick-2"),
    pytest.param(QUICK[2], (HASH,), id="quick-3"),
    pytest.param(TRANSACTION, (HASH, ATTRIBUTES), id="transaction"),
    pytest.param(INFORMATIONAL, (HASH,), id="informational"),
]


def check(turn: Turn, *kinds: int) -> None:
    turn.check([Part(kind, b"") for kind in kinds])


@pytest.mark.parametrize(("turn", "kinds"), COMPLETE)
def test_what_must_be_there_is_enough(turn: Turn, kinds: tuple[int, ...]) -> None:
    check(turn, *kinds)
    check(turn, *kinds, VENDOR_ID, VENDOR_ID)
    check(turn, *kinds, *(kind for kind in turn.may if kind != HASH))


@pytest.mark.parametrize(("turn", "kinds"), COMPLETE)
def test_whatever_is_missing_is_refused(turn: Turn, kinds: tuple[int, ...]) -> None:
    for left_out in kinds:
        with pytest.raises(UnexpectedMessage, match="without"):
            check(turn, *(kind for kind in kinds if kind != left_out))
    with pytest.raises(UnexpectedMessage, match="without"):
        check(turn)


@pytest.mark.parametrize(("turn", "kinds"), COMPLETE)
def test_what_does_not_belong_is_refused(turn: Turn, kinds: tuple[int, ...]) -> None:
    for extra in {SA, KE, ID, NONCE, ATTRIBUTES, DELETE, CERT} - turn.must - turn.may:
        with pytest.raises(UnexpectedMessage, match="does not belong here"):
            check(turn, *kinds, extra)


@pytest.mark.parametrize(("turn", "kinds"), COMPLETE)
def test_what_may_be_there_once_is_refused_twice(turn: Turn, kinds: tuple[int, ...]) -> None:
    for kind in kinds:
        if kind != ID:
            with pytest.raises(UnexpectedMessage, match="twice"):
                check(turn, *kinds, kind)


@pytest.mark.parametrize(("turn", "kinds"), COMPLETE)
def test_private_payloads_nobody_knows_are_skipped(turn: Turn, kinds: tuple[int, ...]) -> None:
    check(turn, *kinds, 200)
    with pytest.raises(UnexpectedMessage, match="does not belong here"):
        check(turn, *kinds, PRIVATE - 1)


@pytest.mark.parametrize(
    ("turn", "kinds"),
    [
        (QUICK[0], (SA, HASH, NONCE)),
        (QUICK[2], (NOTIFY, HASH)),
        (TRANSACTION, (ATTRIBUTES, HASH)),
        (INFORMATIONAL, (DELETE, HASH)),
    ],
)
def test_a_sealed_message_begins_with_its_hash(turn: Turn, kinds: tuple[int, ...]) -> None:
    with pytest.raises(UnexpectedMessage, match="not with HASH"):
        check(turn, *kinds)


def test_the_third_message_of_aggressive_mode_may_come_clear_and_in_any_order() -> None:
    assert not AGGRESSIVE[2].sealed
    check(AGGRESSIVE[2], NAT_D, NAT_D, HASH, NOTIFY)
    check(AGGRESSIVE[2], HASH, NAT_D_DRAFT, NAT_D_DRAFT)


def test_quick_mode_brings_two_identities_and_original_addresses() -> None:
    check(QUICK[0], HASH, SA, NONCE, KE, ID, ID, NAT_OA_DRAFT)


def test_the_names_are_those_of_the_pictures() -> None:
    with pytest.raises(UnexpectedMessage, match=r"^without KE, NON$"):
        check(AGGRESSIVE[0], SA, ID)
