"""Profiles as .pcf and vpnc files: what comes back, and what is said when something does not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.profile.adapters import pcf, vpnc
from culvert.profile.profile import KEYS, Profile
from culvert.rng import SeededRandom
from culvert.secret import Secret
from profile_samples import kept_extra, profiles

FULL = Profile(
    name="branch",
    host="vpn.example.com",
    description="Branch office",
    backup_hosts=("vpn2.example.com",),
    group="branch office",
    group_key=Secret("sharedsecret"),
    user="ann",
    password=Secret(' "odd" '),
    save_password=True,
    domain="CORP",
    phase1=pcf.adapt("Host=h\nGroupName=g", name="n").profile.phase1,
    phase2=pcf.adapt("Host=h\nGroupName=g", name="n").profile.phase2,
    legacy=("aggressive-psk", "3des", "sha1", "md5", "modp1024"),
    dpd_timeout=120,
    peer_timeout=120,
    allow_local_lan=True,
    locked=("host", "group_key"),
    extra={"pcf": {"!ISPCommand": "dial.exe", "Foo": "bar", "[other]X": "1"}},
)


@pytest.mark.requirement("S4-20", part="export: a .pcf read back is the same profile")
def test_a_pcf_read_back_is_the_same_profile() -> None:
    exported = pcf.export(FULL, SeededRandom(1))
    assert exported.warnings == ()
    assert pcf.adapt(exported.text, name="branch").profile == FULL


def test_a_pcf_is_written_as_windows_programs_expect_it() -> None:
    text = pcf.export(FULL, SeededRandom(1)).text
    assert text.startswith("[main]\r\n")
    assert text.count("\n") == text.count("\r\n")
    assert "!Host=vpn.example.com\r\n" in text
    assert "!enc_GroupPwd=" in text
    assert "sharedsecret" not in text
    assert text.endswith("Foo=bar\r\n[other]\r\nX=1\r\n")


def differing(one: Profile, other: Profile) -> list[str]:
    return [key for key in (*KEYS, "extra") if getattr(one, key) != getattr(other, key)]


@given(profiles(kept_extra), st.sampled_from([pcf, vpnc]), st.integers(0, 2**32))
def test_what_does_not_come_back_was_announced(profile: Profile, form: Any, seed: int) -> None:
    exported = form.export(profile, SeededRandom(seed))
    back = form.adapt(exported.text, name="n").profile
    for key in differing(profile, back):
        assert any(key in sentence for sentence in exported.warnings), key


def test_a_blank_that_is_no_ascii_blank_comes_back_from_vpnc() -> None:
    profile = Profile(
        name="n", host="192.0.2.1", group="g", legacy=("aggressive-psk",), domain="\xa0"
    )
    text = vpnc.export(profile, SeededRandom(1)).text
    assert vpnc.adapt(text, name="n").profile.domain == "\xa0"


def test_a_vpnc_configuration_read_back_is_the_same_connection() -> None:
    exported = vpnc.export(FULL, SeededRandom(1))
    back = vpnc.adapt(exported.text, name="branch").profile
    lost = {sentence.split(":")[0].split(" ")[0] for sentence in exported.warnings}
    assert lost == {
        "description",
        "backup_hosts",
        "peer_timeout",
        "dpd_timeout",
        "allow_local_lan",
        "locked",
        "extra",
    }
    assert set(differing(FULL, back)) <= lost


@pytest.mark.peer("vpnc")
def test_vpnc_itself_reads_the_exported_file(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_text(vpnc.export(FULL, SeededRandom(1)).text)
    told = subprocess.run(
        ["/usr/sbin/vpnc", "--print-config", str(file)], capture_output=True, text=True, check=True
    )
    assert told.stderr.strip() == "vpnc.conf:"
    printed = told.stdout.splitlines()
    for line in (
        "IPSec gateway vpn.example.com",
        "IPSec ID branch office",
        "IPSec secret sharedsecret",
        "Xauth username ann",
        'Xauth password " "odd" "',
        "Domain CORP",
        "IKE DH Group dh2",
        "Enable weak encryption",
    ):
        assert line in printed
    again = vpnc.adapt(told.stdout, name="branch").profile
    assert (again.group_key, again.password) == (FULL.group_key, FULL.password)


@pytest.mark.peer("vpnc")
def test_pcf2vpnc_reads_the_exported_file(tmp_path: Path) -> None:
    file = tmp_path / "x.pcf"
    file.write_bytes(pcf.export(FULL, SeededRandom(1)).text.encode("cp1252"))
    told = subprocess.run(
        ["/usr/bin/pcf2vpnc", str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    back = vpnc.adapt(told.stdout.replace("\r", ""), name="n").profile
    assert (back.host, back.group, back.user) == ("vpn.example.com", "branch office", "ann")
    assert back.group_key == Secret("sharedsecret")
