"""The tables of printed texts: ids used once, rows whole, and events that refer to real rows."""

from __future__ import annotations

import re
from typing import Any

import pytest

from culvert.tables.loader import document
from culvert.tables.texts.anyconnect import (
    capture_filters,
    configuration_fields,
    login_messages,
    profile_elements,
    tls_suites,
)
from culvert.tables.texts.cisco_client import (
    client_events,
    client_levels,
    client_modules,
    client_words,
)
from culvert.tables.texts.client_tools import (
    entry_labels,
    known_names,
    mtu_choices,
    policies,
    report_commands,
    setmtu_switches,
    switch_prefixes,
    vpngui_switches,
)
from culvert.tables.texts.lancom import (
    course,
    error_sides,
    failures,
    keepalives,
    lancom_errors,
    roles,
    speakers,
    stamp_styles,
    trace_commands,
)
from culvert.tables.texts.manager import labels, logout_kinds, pages
from culvert.tables.texts.nvm import collector_keys, rest_words
from culvert.tables.texts.nvm import profile_elements as nvm_elements
from culvert.tables.texts.secure_client import always_on_refusals, ssl_errors
from culvert.tables.texts.vpn3000 import gateway_classes, gateway_events, gateway_wordings

# Table, heading, and the key (or keys) that no two rows share.
KEYS = [
    ("texts/anyconnect.toml", "address", "method path"),
    ("texts/anyconnect.toml", "capture_filter", "text"),
    ("texts/anyconnect.toml", "field", "path"),
    ("texts/anyconnect.toml", "header", "name sample sender"),
    ("texts/anyconnect.toml", "message", "text"),
    ("texts/anyconnect.toml", "suite", "name"),
    ("texts/cisco_client.toml", "event", "id"),
    ("texts/cisco_client.toml", "level", "level"),
    ("texts/cisco_client.toml", "module", "prefix"),
    ("texts/cisco_client.toml", "word", "kind text"),
    ("texts/client_tools.toml", "entry", "text"),
    ("texts/client_tools.toml", "name", "text"),
    ("texts/client_tools.toml", "setmtu", "switch"),
    ("texts/client_tools.toml", "vpngui", "switch"),
    ("texts/lancom.toml", "error", "code"),
    ("texts/lancom.toml", "error", "name"),
    ("texts/lancom.toml", "failure", "id"),
    ("texts/lancom.toml", "message", "number"),
    ("texts/manager.toml", "label", "id"),
    ("texts/manager.toml", "page", "id"),
    ("texts/nvm.toml", "element", "name"),
    ("texts/nvm.toml", "key", "name"),
    ("texts/phase1_proposals.toml", "proposal", "name"),
    ("texts/secure_client.toml", "always_on", "result"),
    ("texts/secure_client.toml", "error", "code"),
    ("texts/vpn3000.toml", "event", "id text"),
    ("texts/vpn3000.toml", "event_class", "name"),
]


@pytest.mark.parametrize(("table", "heading", "key"), KEYS)
def test_no_two_rows_share_their_key(table: str, heading: str, key: str) -> None:
    found = [tuple(row.get(part) for part in key.split()) for row in document(table)[heading]]
    assert len(found) == len(set(found))


def test_every_table_reads_into_its_rows() -> None:
    counts = {
        "client log": (4, 6, 11, 34),
        "gateway log": (4, 36),
        "lancom": (23, 8, 3, 3, 2, 2, 2),
        "ssl": (18, 4, 4, 20, 4, 2, 11),
        "nvm": (8, 12, 4),
        "tools": (6, 8, 4, 3, 4, 5, 2, 6),
        "manager": (5, 3, 4),
    }
    assert counts == {
        "client log": sizes(client_modules(), client_levels(), client_words(), client_events()),
        "gateway log": sizes(gateway_classes(), gateway_events()),
        "lancom": sizes(
            course(),
            failures(),
            error_sides(),
            roles(),
            speakers(),
            stamp_styles(),
            trace_commands(),
        ),
        "ssl": sizes(
            ssl_errors(),
            always_on_refusals(),
            login_messages(),
            configuration_fields(),
            capture_filters(),
            profile_elements(),
            tls_suites(),
        ),
        "nvm": sizes(collector_keys(), nvm_elements(), rest_words()),
        "tools": sizes(
            entry_labels(),
            known_names(),
            mtu_choices(),
            policies(),
            report_commands(),
            setmtu_switches(),
            switch_prefixes(),
            vpngui_switches(),
        ),
        "manager": sizes(pages(), labels(), logout_kinds()),
    }


def sizes(*tables: Any) -> tuple[int, ...]:
    return tuple(len(table) for table in tables)


# --- the client's log -----------------------------------------------------------------------------


def test_a_client_event_names_its_module_twice() -> None:
    for event in client_events().values():
        module, _, code = event.id.partition("/0x")
        assert re.fullmatch(r"[0-9A-F]{8}", code), event.id
        assert client_modules()[module].prefix == code[:4], event.id
        assert event.level in client_levels(), event.id
        assert event.texts, event.id


def test_client_levels_are_critical_warning_and_info() -> None:
    assert [row.label for row in client_levels().values()] == [
        f"Sev={word}/{level}"
        for level, word in enumerate(
            ("Critical", "Warning", "Warning", "Info", "Info", "Info"), start=1
        )
    ]


# --- LANCOM ---------------------------------------------------------------------------------------


@pytest.mark.requirement("S3-26")
def test_every_lancom_error_has_name_meaning_causes_and_actions() -> None:
    printed = {row.code: row.name for row in lancom_errors().values() if row.printed}
    assert printed == {
        "0x1106": "IFC-I-Connection-timeout-IKE-IPSEC",
        "0x1307": "IFC-X-Line-polling-failed",
        "0x1108": "IFC-I-No-poll-table-entry-matched",
    }
    for row in lancom_errors().values():
        assert re.fullmatch(r"0x[123][123][0-9a-f]{2}", row.code)
        assert row.meaning.endswith("."), row.code
        assert row.causes and all(text.endswith(".") for text in row.causes), row.code
        assert row.actions and all(text.endswith(".") for text in row.actions), row.code


def test_lancom_codes_and_names_agree_on_layer_and_side() -> None:
    layers = {"1": "IFC", "2": "IKE", "3": "IPSEC"}
    letters = {"1": "I", "2": "R", "3": "X"}
    assert set(error_sides()) == set(letters.values())
    for row in lancom_errors().values():
        layer, side = row.name.split("-")[:2]
        assert (layer, side) == (layers[row.code[2]], letters[row.code[3]]), row.code


def test_the_normal_course_has_23_messages_in_order() -> None:
    assert list(course()) == list(range(1, 24))
    for row in course().values():
        assert any(row.text.startswith(speaker.prefix) for speaker in speakers()), row.number


def test_keepalive_9999_is_the_printed_one() -> None:
    assert [row.value for row in keepalives().values() if row.printed] == ["9999"]


# --- SSL ------------------------------------------------------------------------------------------


def test_every_ssl_error_says_what_to_do() -> None:
    for row in ssl_errors().values():
        assert row.text.endswith(".") and row.action.endswith("."), row.code
    assert sum(row.given for row in ssl_errors().values()) == 5


def test_our_own_output_names_no_other_product() -> None:
    for row in ssl_errors().values():
        assert "Cisco" not in (row.own or row.text), row.code


def test_what_must_be_handed_out_is_what_the_guide_demands() -> None:
    must = [row.path for row in configuration_fields() if row.need == "must"]
    assert must == ["session-token", "client-ip-address", "dns/server", "mtu"]


def test_only_two_suites_lack_forward_secrecy() -> None:
    assert [row.name for row in tls_suites() if not row.forward_secret] == [
        "AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
    ]


# --- commands and pages ---------------------------------------------------------------------------


def test_switches_that_exclude_each_other_say_so_on_both_sides() -> None:
    switches = vpngui_switches()
    for row in switches.values():
        for other in row.not_with:
            assert row.switch in switches[other].not_with, row.switch
        for other in row.only_with:
            assert other in switches, row.switch


def test_entry_labels_and_pcf_keys_mean_the_same_settings() -> None:
    keys = {row["name"] for row in document("pcf.toml")["key"]}
    assert {row.key for row in entry_labels()} <= keys


def test_every_label_stands_on_a_page() -> None:
    assert {row.page for row in labels().values()} <= set(pages())


# --- our own events in their words ----------------------------------------------------------------

EVENTS: list[dict[str, Any]] = document("events.toml")["event"]


def test_events_refer_to_client_events() -> None:
    for event in EVENTS:
        for reference in event.get("cisco_client", ()):
            assert reference in client_events(), event["code"]


def test_events_refer_to_gateway_events_that_are_emitted() -> None:
    for event in EVENTS:
        for id in event.get("vpn3000", ()):
            assert any(row.emitted for row in gateway_wordings(id)), event["code"]


def test_events_refer_to_messages_of_the_course() -> None:
    for event in EVENTS:
        assert set(event.get("lancom", ())) <= set(course()), event["code"]


def test_gateway_events_belong_to_a_class() -> None:
    classes = {row.name for row in gateway_classes()}
    for row in gateway_events():
        assert row.id.partition("/")[0] in classes
        assert 1 <= row.severity <= 13
