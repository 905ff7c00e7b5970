"""Vendor ids: recognising the peer's, and choosing ours (tables/vendor_ids.toml)."""

from __future__ import annotations

from collections.abc import Iterable

from culvert.ike.wire.payload import VENDOR_ID, Part
from culvert.tables.numbers import VENDORS, Vendor

_WHOLE = {row.octets: row for row in VENDORS if row.match == "whole"}
_BEGINNINGS = sorted(
    (row for row in VENDORS if row.match == "prefix"), key=lambda row: -len(row.octets)
)
_CUTS = 0x80  # fragments in main and aggressive mode; 0x40: in base mode
# What follows the fixed beginning in the ids we send: Unity 1.0, DPD 1.0, what is cut, and 4.0.7.
_VERSION = {
    "unity": b"\x01\x00",
    "dpd": b"\x01\x00",
    "fragmentation": bytes((_CUTS, 0, 0, 0)),
    "altiga": b"\x04\x07",
}
_SENT = {row.feature: row.octets + _VERSION.get(row.feature, b"") for row in reversed(VENDORS)}

(_PADDING,) = (row.octets for row in VENDORS if row.name == "culvert padding")


def recognise(body: bytes) -> Vendor | None:
    """The row a vendor id belongs to, or None: unknown ones are normal."""
    if found := _WHOLE.get(body):
        return found
    for row in _BEGINNINGS:
        if body.startswith(row.octets):
            return row
    return None


def features(parts: Iterable[Part]) -> frozenset[str]:
    """Everything the peer's vendor ids announce."""
    found = [
        row.feature
        for part in parts
        if part.kind == VENDOR_ID and (row := recognise(part.body)) and _holds(row, part.body)
    ]
    return frozenset(filter(None, found))


def _holds(row: Vendor, body: bytes) -> bool:
    """Whether it announces its feature for the modes we speak. Without a word on modes, all."""
    told = body[len(row.octets) :]
    return row.feature != "fragmentation" or not told or bool(told[0] & _CUTS)


def announcing(wanted: Iterable[str]) -> tuple[Part, ...]:
    """Our vendor ids for these features, in this order."""
    return tuple([Part(VENDOR_ID, _SENT[feature]) for feature in wanted])


def padding(octets: int) -> Part:
    """A vendor id whose body has at least so many octets, for a message that has to be long."""
    return Part(VENDOR_ID, _PADDING + bytes(max(octets - len(_PADDING), 0)))
