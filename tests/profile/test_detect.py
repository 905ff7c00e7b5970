"""Telling the formats apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.profile.adapters import pcf, vpnc
from culvert.profile.adapters.detect import FORMATS, adapt_any, detect, name_from
from culvert.profile.profile import Profile
from culvert.profile.toml import write
from culvert.rng import SeededRandom
from profile_samples import kept_extra, profiles


@given(profiles(kept_extra), st.sampled_from(FORMATS))
def test_what_is_written_in_a_format_is_told_by_its_text_alone(profile: Profile, form: str) -> None:
    rng = SeededRandom(1)
    text = {
        "toml": write(profile),
        "pcf": pcf.export(profile, rng).text,
        "vpnc": vpnc.export(profile, rng).text,
    }
    assert detect(text[form], "download") == form


@pytest.mark.parametrize(
    ("text", "file_name", "form"),
    [
        ("", "a.pcf", "pcf"),
        ("", "a.conf", "vpnc"),
        ("host = 3", "a.toml", "toml"),
        ('[main]\nHost="h"', "a", "pcf"),
        ("!Host=h", "", "pcf"),
        ("ipsec gateway\th", "a.pcf", "vpnc"),
        ('host = "h"', "a.pcf", "toml"),
    ],
)
def test_the_text_decides_before_the_name(text: str, file_name: str, form: str) -> None:
    assert detect(text, file_name) == form


def test_what_is_no_profile_is_refused_naming_what_could_be() -> None:
    with pytest.raises(ConfigError, match=r"neither our TOML, nor a Cisco \.pcf"):
        detect("conn %default\n  keyexchange=ikev1", "ipsec.txt")


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("/a/b/My Office.PCF", "My Office"),
        ("C:\\x\\büro.pcf", "büro"),
        ("a.b.conf", "a.b"),
        ("../..hidden.toml", "hidden"),
        ("a\n;b.pcf", "a-b"),
        ("x" * 80, "x" * 64),
    ],
)
def test_a_profile_is_called_after_its_file(file_name: str, name: str) -> None:
    assert name_from(file_name) == name


@given(st.text(max_size=90))
def test_any_file_name_gives_a_usable_name_or_is_refused(file_name: str) -> None:
    try:
        name = name_from(file_name)
    except ConfigError:
        return
    adapted = adapt_any("[main]\nHost=h\nGroupName=g\n", file_name + ".pcf", name=name)
    assert adapted.profile.name == name


@given(st.text(max_size=200))
def test_any_text_is_adapted_or_refused(text: str) -> None:
    try:
        adapted = adapt_any(text, "a")
    except ConfigError:
        return
    assert adapted.profile.host
