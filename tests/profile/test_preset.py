"""Presets: one word in a profile stands for what a certain client offers."""

from __future__ import annotations

import pytest

from culvert.profile.profile import AUTHENTICATIONS, Profile
from culvert.profile.toml import read, write
from culvert.tables.loader import rows
from culvert.tables.presets import PRESETS, TABLE, Preset, preset_values
from culvert.tables.proposal_names import PROPOSAL_NAMES

EXACT = 'preset = "cisco-4.6-exact"\nhost = "192.0.2.1"\ngroup = "staff"\n'


def exact(more: str = "") -> Profile:
    return read(EXACT + more, name="old")


def test_each_preset_stands_once_and_has_values() -> None:
    assert len(PRESETS) == len(rows(TABLE, "preset", Preset)) == 2
    for name in PRESETS:
        assert preset_values(name)


@pytest.mark.parametrize("way", sorted(AUTHENTICATIONS))
def test_phase_1_is_every_name_of_the_way_to_authenticate_in_order(way: str) -> None:
    made = exact(f'authentication = "{way}"\n')
    methods = AUTHENTICATIONS[way].methods
    assert made.phase1 == tuple(
        row.name for row in PROPOSAL_NAMES if row.phase == 1 and row.authentication in methods
    )
    assert made.exchange_mode == ("main" if made.phase1[-1].endswith("-RSA-DH5") else "aggressive")


def test_the_five_ways_together_offer_all_53() -> None:
    ways = ("psk", "xauth-psk", "rsa", "xauth-rsa", "hybrid")
    names = [name for way in ways for name in exact(f'authentication = "{way}"\n').phase1]
    assert len(names) == len(set(names)) == 53


def test_what_the_file_says_itself_wins() -> None:
    made = exact('phase2 = ["AES256-SHA"]\nuse_two_phase2 = false\n')
    assert (made.phase2, made.use_two_phase2) == (("AES256-SHA",), False)


def test_a_written_file_holds_the_preset_in_place_of_its_values() -> None:
    made = exact()
    text = write(made)
    assert 'preset = "cisco-4.6-exact"' in text
    assert "phase1" not in text
    assert "legacy" not in text
    assert read(text, name="old") == made


@pytest.mark.requirement("S0-52", part="default")
def test_without_the_preset_nothing_weak_is_offered() -> None:
    made = Profile("new", "192.0.2.1", group="g", legacy=("aggressive-psk",))
    for word in ("des", "null", "md5", "sha1", "modp768", "modp1024", "modp1536"):
        assert not [name for name in (*made.phase1, *made.phase2) if word in name.split("-")]
