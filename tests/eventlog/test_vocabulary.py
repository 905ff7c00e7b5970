"""The vocabulary: every row is complete and every wording can be filled."""

from __future__ import annotations

import pytest

from culvert.eventlog.sentence import fits
from culvert.eventlog.vocabulary import (
    CORRELATION,
    LEAST_SEVERE,
    MOST_SEVERE,
    TABLE,
    EventRow,
    Variant,
    classes,
    row_of,
    variants,
    vocabulary,
)
from culvert.eventlog.wording import THE_OTHER, placeholders
from culvert.tables.loader import rows
from culvert.tables.texts.cisco_client import client_events
from culvert.tables.texts.lancom import course
from culvert.tables.texts.vpn3000 import gateway_events
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


def test_no_code_stands_twice() -> None:
    codes = [row.code for row in rows(TABLE, "event", EventRow)]
    assert len(codes) == len({*codes})


def test_variants_belong_to_rows_and_are_not_hidden_by_an_earlier_one() -> None:
    for row in rows(TABLE, "variant", Variant):
        assert row.code in vocabulary()
        mine = variants(row.code)
        before = mine[: mine.index(row)]
        assert not any(earlier.when.items() <= row.when.items() for earlier in before)


@pytest.mark.parametrize(
    ("ours", "theirs", "without"),
    [
        (
            {id for row in ROWS for id in row.cisco_client},
            {*client_events()},
            # A ping inside the tunnel, and the client firewall.
            {"IKE/0x63000054", "IKE/0x6300005C", "IKE/0x6300005D"},
        ),
        (
            {id for row in ROWS for id in row.vpn3000},
            {event.id for event in gateway_events() if event.emitted},
            # Steps of key handling and of the packet engine, which have no event of ours.
            {"IKEDBG/1", "IKEDBG/7", "IPSECDBG/1", "IPSECDBG/6", "IPSECDBG/17"},
        ),
        (
            {number for row in ROWS for number in row.lancom},
            {*course()},
            set[object](),
        ),
    ],
    ids=["Cisco VPN Client", "VPN 3000", "LANCOM"],
)
def test_every_event_of_another_log_has_one_of_ours(
    ours: set[object], theirs: set[object], without: set[object]
) -> None:
    assert ours == theirs - without


def test_an_event_without_a_row_is_shown_bare() -> None:
    row = row_of("future.thing")
    assert (row.text, row.fields) == ("future.thing", ())


def test_a_variant_wants_every_field_it_names() -> None:
    sending = client(*CONNECTING)[3]
    assert fits(sending, {"exchange": "AGGR*", "side": "client"})
    assert not fits(sending, {"exchange": "AGGR*", "side": "gateway"})
    assert not fits(sending, {"nonsense": "x"})
