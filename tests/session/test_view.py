"""Sessions for others to read: the source's columns and formats, and the JSON keys."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from culvert.session.session import Counters, Kind, Problem, Session, SpiPair, State
from culvert.session.table import SessionTable, Totals
from culvert.session.view import (
    columns,
    document,
    duration,
    login_time,
    page_text,
    row,
    sessions_text,
    summary_text,
)

AT = datetime(2003, 10, 20, 20, 13, 35, tzinfo=UTC)


def sample(table: SessionTable, user: str = "vpnclient1") -> Session:
    """The remote access session of the source's screen."""
    session = table.admit(
        Kind.IPSEC_USER, user, at=AT, now=100.0, group="ciscovpn", public=("171.69.89.78", 1029)
    )
    assert isinstance(session, Session)
    table.assign(session.number, "40.1.1.1")
    session.state = State.UP
    session.transport, session.tunnel_port = "nat-t", 4500
    session.encryption, session.authentication = "3DES-168", "HMAC-MD5"
    session.client_type, session.client_version = "WinNT", "3.6.1 (Rel)"
    session.spis = (SpiPair(0x2635CC02, 0x1, "0.0.0.0/0", "40.1.1.1/32", "3des-md5"),)
    session.weak = ("3DES has 64-bit blocks",)
    table.count(session.number, Counters(768, 768, 8, 9, 1, 0))
    return session


@pytest.mark.requirement("S4-43")
def test_the_remote_access_table_equals_the_sample() -> None:
    table = SessionTable(limit=100)
    sample(table)
    assert cut(sessions_text(Kind.IPSEC_USER, table, now=344.0)) == [
        ("Username", ""),
        ("Assigned IP Address", "Public IP Address"),
        ("Group", ""),
        ("Protocol", "Encryption"),
        ("Login Time", "Duration"),
        ("Client Type", "Version"),
        ("Bytes Tx", "Bytes Rx"),
        ("Actions", ""),
        ("vpnclient1", ""),
        ("40.1.1.1", "171.69.89.78"),
        ("ciscovpn", ""),
        ("IPSec/NAT-T", "3DES-168"),
        ("Oct 20 20:13:35", "0:04:04"),
        ("WinNT", "3.6.1 (Rel)"),
        ("768", "768"),
        ("[Logout | Ping]", ""),
    ]


def cut(text: str) -> list[tuple[str, ...]]:
    """The cells of a table, cut where its first line has the columns: heading by heading, then
    row by row, each with its lines."""
    lines = text.splitlines()
    starts = [found.start() for found in re.finditer(r"(?<!\S)(?<!\S )\S", lines[0])]
    ends = [*starts[1:], max(map(len, lines))]
    height = 2 if lines[1].startswith(" ") else 1
    return [
        tuple(line[start:end].strip() for line in lines[top : top + height])
        for top in range(0, len(lines), height)
        for start, end in zip(starts, ends, strict=True)
    ]


@pytest.mark.requirement("S4-43")
def test_the_columns_stand_in_the_sources_order() -> None:
    assert [column.headings for column in columns(Kind.IPSEC_USER)] == [
        ("Username",),
        ("Assigned IP Address", "Public IP Address"),
        ("Group",),
        ("Protocol", "Encryption"),
        ("Login Time", "Duration"),
        ("Client Type", "Version"),
        ("Bytes Tx", "Bytes Rx"),
        ("Actions",),
    ]


@pytest.mark.requirement("S4-42")
def test_the_lan_to_lan_table_empty_and_filled() -> None:
    table = SessionTable(limit=0)
    assert sessions_text(Kind.LAN_TO_LAN, table, now=0.0) == "No LAN-to-LAN Sessions"
    session = table.admit(Kind.LAN_TO_LAN, "branch", at=AT, now=0.0, public=("192.0.2.1", 500))
    assert isinstance(session, Session)
    session.encryption, session.transport = "AES-256", "esp"
    table.count(session.number, Counters(octets_in=10, octets_out=20))
    assert cut(sessions_text(Kind.LAN_TO_LAN, table, now=86400.0)) == [
        ("Connection Name",),
        ("IP Address",),
        ("Protocol",),
        ("Encryption",),
        ("Login Time",),
        ("Duration",),
        ("Bytes Tx",),
        ("Bytes Rx",),
        ("Actions",),
        ("branch",),
        ("192.0.2.1",),
        ("IPSec",),
        ("AES-256",),
        ("Oct 20 20:13:35",),
        ("24:00:00",),
        ("20",),
        ("10",),
        ("[Logout]",),
    ]


@pytest.mark.requirement("S4-41", part="columns")
def test_the_summary_has_the_sources_columns_and_values() -> None:
    heads, values = summary_text(Totals(0, 2, 1, 3, 4, 100, 52, 0)).splitlines()
    assert [part.strip() for part in heads.split("  ") if part.strip()] == [
        "Active LAN-to-LAN Sessions",
        "Active Remote Access Sessions",
        "Active Management Sessions",
        "Total Active Sessions",
        "Peak Concurrent Sessions",
        "Concurrent Sessions Limit",
        "Total Cumulative Sessions",
    ]
    assert values.split() == ["0", "2", "1", "3", "4", "100", "52"]


def test_each_kind_stands_in_its_own_table() -> None:
    table = SessionTable(limit=0)
    sample(table)
    table.admit(Kind.MANAGEMENT, "admin", at=AT, now=0.0)
    lines = page_text(table, now=0.0).splitlines()
    management = lines[lines.index("Management Sessions") :]
    assert any(line.startswith("admin") for line in management)
    assert not any(line.startswith("vpnclient1") for line in management)
    assert "No LAN-to-LAN Sessions" in lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0:00:00"), (0, "0:00:00"), (244.9, "0:04:04"), (3600, "1:00:00"), (360000, "100:00:00")],
)
def test_durations_are_written_as_in_the_sample(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_login_times_name_the_month_in_every_language() -> None:
    assert login_time(datetime(2030, 5, 3, 1, 2, 3, tzinfo=UTC)) == "May 03 01:02:03"


KEYS = {
    "name", "user", "state", "protocol", "transport", "tunnel_port", "assigned_ip", "public_ip",
    "encryption", "authentication", "since", "bytes_in", "bytes_out", "packets_in", "packets_out",
    "weak", "problem", "group", "number", "host_name", "client_type", "client_version", "spis",
}  # fmt: skip


def test_a_json_row_has_the_documented_keys_and_nothing_else_than_json() -> None:
    table = SessionTable(limit=100)
    session = sample(table)
    session.problem = Problem("nothing-back", "Nothing comes back.", "Switch NAT-T on.")
    session.ike_expires = 1000.0
    whole = json.loads(json.dumps(document(table, now=344.0)))
    assert whole["schema"] == 1
    assert whole["summary"]["cumulative"] == 1
    (one,) = whole["sessions"]
    assert one.keys() >= KEYS
    assert one["transport"] == "nat-t"
    assert one["spis"] == [
        {
            "inbound": "0x2635CC02",
            "outbound": "0x00000001",
            "local": "0.0.0.0/0",
            "remote": "40.1.1.1/32",
            "suite": "3des-md5",
        }
    ]
    assert one["problem"] == {
        "id": "nothing-back",
        "sentence": "Nothing comes back.",
        "action": "Switch NAT-T on.",
    }
    assert (one["seconds"], one["ike_expires_in"]) == (244, 656)


def test_since_is_utc_whatever_zone_the_session_began_in() -> None:
    table = SessionTable(limit=0)
    zone = timezone(timedelta(hours=2))
    session = table.admit(Kind.IPSEC_USER, "ann", at=AT.astimezone(zone), now=0.0)
    assert isinstance(session, Session)
    assert row(session, now=0.0)["since"] == "2003-10-20T20:13:35+00:00"
    assert row(session, now=0.0)["problem"] is None
