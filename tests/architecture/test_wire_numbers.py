"""Numbers in ike/wire against the tables that name them: one number, one name, everywhere."""

from __future__ import annotations

import re

import pytest

from culvert.ike.wire import config, header, notify, payload, reason
from culvert.tables.numbers import (
    CONFIG_ATTRIBUTES,
    EXCHANGES,
    NOTIFIES,
    PAYLOADS,
    ConfigAttribute,
    Number,
)

NO_EXCHANGE = frozenset(("OCTETS", "VERSION", "ENCRYPTED", "COMMIT", "AUTHENTICATION_ONLY", "NONE"))
LIMITS = frozenset(("MOST", "MOST_SPIS", "GENERIC_HEADER", "NONE"))

# The tables spell these as drafts and Cisco do.
PAYLOAD_NAMES = {
    "SA": "Security Association",
    "KE": "Key Exchange",
    "ID": "Identification",
    "CERT": "Certificate",
    "CERTREQ": "Certificate Request",
    "SIG": "Signature",
    "NOTIFY": "Notification",
    "NAT_D": "NAT Discovery",
    "NAT_OA": "NAT Original Address",
    "NAT_D_LATE": "NAT Discovery (drafts 04-08)",
    "NAT_D_DRAFT": "NAT Discovery (drafts 00-03)",
    "NAT_OA_DRAFT": "NAT Original Address (drafts 00-03)",
    "FRAGMENT": "IKE fragment",
}
EXCHANGE_NAMES = {"QUICK": "Quick Mode", "TRANSACTION": "Transaction"}
UNITY_NAMES = {"SAVE_PASSWD": "SAVEPWD", "DEF_DOMAIN": "DEFDOMAIN"}


def numbers(module: object) -> dict[str, int]:
    found = vars(module).items()
    return {name: value for name, value in found if name.isupper() and isinstance(value, int)}


def words(name: str) -> str:
    return name.replace("_", " ").title().replace("Vendor Id", "Vendor ID")


def test_payloads_are_those_of_the_table() -> None:
    ours = {n: v for n, v in numbers(payload).items() if n not in LIMITS}
    ours["DELETE_WITH_REASON"] = reason.DELETE_WITH_REASON
    assert len(ours) == len(set(ours.values()))
    named = {
        value: PAYLOAD_NAMES.get(name) or words(name).replace("With Reason", "with reason")
        for name, value in ours.items()
    }
    assert {value: PAYLOADS[value].name for value in named} == named
    assert set(PAYLOADS) == set(named)


def test_exchanges_are_those_of_the_table() -> None:
    ours = {n: v for n, v in numbers(header).items() if n not in NO_EXCHANGE}
    named = {value: EXCHANGE_NAMES.get(name) or words(name) for name, value in ours.items()}
    assert {value: EXCHANGES[value].name for value in named} == named


def test_notifies_are_those_of_the_table() -> None:
    ours = {n: v for n, v in numbers(notify).items() if n not in LIMITS}
    for imported in ("IPSEC_DOI", "DELETE", "NOTIFY"):
        del ours[imported]
    assert {value: name.replace("_", "-") for name, value in ours.items()} == {
        value: NOTIFIES[value].name for value in ours.values()
    }


def test_configuration_attributes_are_those_of_the_table() -> None:
    ours = {
        n: v
        for n, v in numbers(config).items()
        if re.match("INTERNAL_|APPLICATION_|SUPPORTED_|XAUTH_|UNITY_", n)
    }
    assert len(ours) > 25
    for name, value in ours.items():
        unity = name.removeprefix("UNITY_")
        known = name if unity == name else f"MODECFG_UNITY_{UNITY_NAMES.get(unity, unity)}"
        assert CONFIG_ATTRIBUTES[value].name == known


@pytest.mark.parametrize("table", [PAYLOADS, EXCHANGES, NOTIFIES, CONFIG_ATTRIBUTES])
def test_no_name_stands_for_two_numbers(table: dict[int, Number | ConfigAttribute]) -> None:
    names = [row.name for row in table.values()]
    assert len(names) == len(set(names))
