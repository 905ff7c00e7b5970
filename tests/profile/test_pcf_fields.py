"""Each field of a Cisco connection entry changes what it says, and nothing else (S4-20)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from culvert.profile.adapters.pcf import adapt
from culvert.profile.profile import Profile
from culvert.secret import Secret

ENTRY = {
    "Description": "Branch",
    "Host": "vpn.example.com",
    "AuthType": "1",
    "GroupName": "branch",
    "GroupPwd": "the group's secret",
    "Username": "ann",
    "SaveUserPassword": "1",
    "UserPassword": "a password",
    "NTDomain": "CORP",
    "EnableNat": "1",
    "TunnelingMode": "0",
    "TcpTunnelingPort": "10000",
    "PeerTimeout": "90",
    "EnableLocalLAN": "0",
    "EnableBackup": "1",
    "BackupServer": "vpn2.example.com",
    "CertName": "",
    "DHGroup": "2",
}

CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("Description", "Head office", {"description": "Head office"}),
    ("Host", "192.0.2.9", {"host": "192.0.2.9"}),
    ("AuthType", "3", {"authentication": "certificate", "exchange_mode": "main"}),
    ("AuthType", "5", {"authentication": "hybrid"}),
    ("GroupName", "staff", {"group": "staff"}),
    ("GroupPwd", "another secret", {"group_key": Secret("another secret")}),
    ("Username", "bob", {"user": "bob"}),
    ("UserPassword", "another one", {"password": Secret("another one")}),
    ("SaveUserPassword", "0", {"save_password": False, "password": None}),
    ("NTDomain", "LAB", {"domain": "LAB"}),
    ("EnableNat", "0", {"nat_traversal": "off"}),
    ("TunnelingMode", "1", {"ipsec_over_tcp": True}),
    ("TcpTunnelingPort", "10001", {"tcp_port": 10001}),
    ("PeerTimeout", "120", {"peer_timeout": 120, "dpd_timeout": 120}),
    ("EnableLocalLAN", "1", {"allow_local_lan": True}),
    ("EnableBackup", "0", {"backup_hosts": ()}),
    (
        "BackupServer",
        "vpn3.example.com, 192.0.2.7",
        {"backup_hosts": ("vpn3.example.com", "192.0.2.7")},
    ),
    ("CertName", "ann.pem", {"certificate": "ann.pem"}),
]


@pytest.mark.requirement("S4-20", part="each field changes what it says")
@pytest.mark.parametrize(
    ("field", "value", "changed"), CHANGES, ids=[f"{one[0]}={one[1]}" for one in CHANGES]
)
def test_a_field_changes_what_it_says(field: str, value: str, changed: dict[str, Any]) -> None:
    before, after = read(ENTRY), read({**ENTRY, field: value})
    assert differing(before, after) == changed


@pytest.mark.requirement("S4-20", part="each field changes what it says")
def test_the_group_of_the_key_exchange_is_that_of_every_proposal() -> None:
    profile = read({**ENTRY, "DHGroup": "5"})
    assert {name.rpartition("-")[2] for name in profile.phase1} == {"modp1536"}
    assert set(differing(read(ENTRY), profile)) == {"phase1", "legacy"}


def read(entry: dict[str, str]) -> Profile:
    text = "[main]\n" + "".join(f"{key}={value}\n" for key, value in entry.items())
    return adapt(text, name="office").profile


def differing(before: Profile, after: Profile) -> dict[str, Any]:
    """The keys that are other than before, ``extra`` (what is kept unused) left out."""
    return {
        one.name: getattr(after, one.name)
        for one in fields(Profile)
        if one.name != "extra" and getattr(after, one.name) != getattr(before, one.name)
    }
