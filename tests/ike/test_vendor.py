"""Vendor ids: every row is recognised, also with a version behind it; ours are complete."""

from __future__ import annotations

import pytest

from culvert.ike.vendor import announcing, features, recognise
from culvert.ike.wire.payload import NONCE, VENDOR_ID, Part
from culvert.tables.numbers import VENDORS, Vendor


def name(hexadecimal: str) -> str:
    row = recognise(bytes.fromhex(hexadecimal))
    return row.name if row else ""


@pytest.mark.parametrize("row", VENDORS, ids=lambda row: row.hex[:16])
def test_every_row_is_recognised(row: Vendor) -> None:
    assert recognise(row.octets) is row


@pytest.mark.parametrize("row", VENDORS, ids=lambda row: row.hex[:16])
def test_only_beginnings_may_have_a_version_behind_them(row: Vendor) -> None:
    found = recognise(row.octets + b"\x05\x01")
    assert (found is row) is (row.match == "prefix")


def test_the_table_is_without_doubles_and_knows_two_ways_to_match() -> None:
    assert len({row.hex for row in VENDORS}) == len(VENDORS)
    assert {row.match for row in VENDORS} == {"whole", "prefix"}
    assert all(row.hex == row.hex.upper() and row.name for row in VENDORS)


@pytest.mark.requirement("S4-52", part="recognised")
@pytest.mark.parametrize(
    ("hexadecimal", "known"),
    [
        ("12F5F28C457168A9702D9FE274CC0100", "Cisco Unity"),
        ("09002689DFD6B712", "XAUTH"),
        ("AFCAD71368A1F1C96B8696FC77570100", "DPD"),
        ("90CB80913EBB696E086381B5EC427B1F", "NAT-T draft-02 (with newline)"),
        ("4048B7D56EBCE88525E7DE7F00D6C2D3C0000000", "IKE fragmentation"),
        ("1F07F70EAA6514D3B0FA96542A500306", "Cisco VPN 3000 concentrator"),
    ],
)
def test_the_six_ids_of_the_sample_have_their_names(hexadecimal: str, known: str) -> None:
    assert name(hexadecimal) == known


@pytest.mark.parametrize("body", [b"", b"\x12", b"nobody", bytes(16), bytes(400)])
def test_unknown_ones_are_normal(body: bytes) -> None:
    assert recognise(body) is None
    assert features([Part(VENDOR_ID, body)]) == frozenset()


def test_a_beginning_cut_short_is_not_recognised() -> None:
    assert name("12F5F28C457168A9702D9FE274") == ""


def test_features_are_read_from_vendor_ids_only() -> None:
    dpd = bytes.fromhex("AFCAD71368A1F1C96B8696FC77570100")
    assert features([Part(VENDOR_ID, dpd), Part(VENDOR_ID, dpd)]) == {"dpd"}
    assert features([Part(NONCE, dpd)]) == frozenset()


def test_what_we_announce_is_what_others_recognise() -> None:
    every = sorted({row.feature for row in VENDORS if row.feature})
    for feature in every:
        assert features(announcing([feature])) == {feature}
    assert [part.body.hex() for part in announcing(["unity", "dpd", "xauth"])] == [
        "12f5f28c457168a9702d9fe274cc0100",
        "afcad71368a1f1c96b8696fc77570100",
        "09002689dfd6b712",
    ]
