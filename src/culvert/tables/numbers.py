"""Names for the numbers on the wire: isakmp.toml, config_attributes.toml, vendor_ids.toml."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.tables.loader import rows


@dataclass(frozen=True, slots=True)
class Number:
    number: int
    name: str
    short: str = ""


@dataclass(frozen=True, slots=True)
class ConfigAttribute:
    """``form``: how a value reads: address, number, text, networks, octets, secret."""

    number: int
    name: str
    form: str


@dataclass(frozen=True, slots=True)
class Vendor:
    hex: str
    match: str
    name: str
    feature: str = ""

    @property
    def octets(self) -> bytes:
        return bytes.fromhex(self.hex)


EXCHANGES = {row.number: row for row in rows("isakmp.toml", "exchange", Number)}
PAYLOADS = {row.number: row for row in rows("isakmp.toml", "payload", Number)}
NOTIFIES = {row.number: row for row in rows("isakmp.toml", "notify", Number)}
CONFIG_ATTRIBUTES = {
    row.number: row for row in rows("config_attributes.toml", "attribute", ConfigAttribute)
}
VENDORS = rows("vendor_ids.toml", "vendor", Vendor)


def exchange_name(number: int) -> str:
    row = EXCHANGES.get(number)
    return row.short if row else f"exchange {number}"


def payload_name(number: int) -> str:
    row = PAYLOADS.get(number)
    return row.short if row else f"payload {number}"


def notify_name(number: int) -> str:
    row = NOTIFIES.get(number)
    return row.name if row else f"notify {number}"


def attribute_name(number: int) -> str:
    row = CONFIG_ATTRIBUTES.get(number)
    return row.name if row else f"attribute {number}"
