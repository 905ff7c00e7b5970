"""The vocabulary: every row is complete and every wording can be filled."""

from __future__ import annotations

import re

import pytest

from culvert.eventlog.sentence import fits
from culvert.eventlog.vocabulary import (
    CORRELATION,
    LEAST_SEVERE,
    MOST_SEVERE,
    EventRow,
    classes,
    row_of,
    variants,
    vocabulary,
)
from culvert.eventlog.wording import THE_OTHER, placeholders
from eventlog.samples import CONNECTING, client

ROWS = tuple(vocabulary().values())


@pytest.fixture(params=ROWS, ids=lambda row: row.code)
def row(request: pytest.FixtureRequest) -> EventRow:
    found: EventRow = request.param
    return found


def test_class_and_severity_are_on_the_scales(row: EventRow) -> None:
    assert row.event_class in {one.name for one in classes()}
    assert MOST_SEVERE <= row.severity <= LEAST_SEVERE


def test_wordings_are_filled_from_fields_the_event_must_carry(row: EventRow) -> None:
    assert placeholders(row.text) <= {*row.fields}
    assert placeholders(row.action) <= {*row.fields}
    told = {*row.fields, "joined", *THE_OTHER["client"]}
    for wording in (row.why, row.join, *(one.why for one in variants(row.code))):
        assert placeholders(wording) <= told


def test_joined_is_said_exactly_where_there_is_something_to_join(row: EventRow) -> None:
    assert ("joined" in placeholders(row.why)) == bool(row.join)


def test_who_must_act_is_told_what_to_do(row: EventRow) -> None:
    assert row.action or row.severity > 3


def test_correlation_keys_are_not_listed(row: EventRow) -> None:
    assert not {*row.fields} & {*CORRELATION}
    assert len({*row.fields}) == len(row.fields)


def test_ids_of_other_logs_have_their_shape(row: EventRow) -> None:
    assert all(re.fullmatch(r"[A-Z]+/\d{1,3}", one) for one in row.vpn3000)
    shape = r"(DIALER/0x6330|CM/0x6310|IKE/0x6300|IPSEC/0x6370)[0-9A-F]{4}/[1-6]"
    assert all(re.fullmatch(shape, one) for one in row.cisco_client)
    assert all(1 <= one <= 23 for one in row.lancom)


def test_no_code_stands_twice() -> None:
    codes = [row.code for row in ROWS]
    assert len(codes) == len({*codes})
    assert {code for code in codes if variants(code)} <= {*codes}


def test_an_event_without_a_row_is_shown_bare() -> None:
    row = row_of("future.thing")
    assert (row.text, row.fields) == ("future.thing", ())


def test_a_variant_wants_every_field_it_names() -> None:
    sending = client(*CONNECTING)[3]
    assert fits(sending, {"exchange": "AGGR*", "side": "client"})
    assert not fits(sending, {"exchange": "AGGR*", "side": "gateway"})
    assert not fits(sending, {"nonsense": "x"})
