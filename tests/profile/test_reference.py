"""The sample profile, the pages about profiles, the tables and the model say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from culvert.profile.adapters import pcf, vpnc
from culvert.profile.profile import AUTHENTICATIONS, KEYS, Key, Profile
from culvert.profile.proposal import WEAKNESSES
from culvert.profile.toml import default, read
from culvert.tables.algorithms import LEGACY_SWITCHES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SAMPLE = (REFERENCE / "profile.toml").read_text()

TAKES_EFFECT = {"reconnect": "at the next connect", "live": "at once"}

BLOCK = re.compile(
    r"""
    \n\n (?P<meaning> (?:\#\ .*\n)+? )
    (?: \#\ choices:\ (?P<choices>.*)\n )?
    \#\ default:\ (?P<default>.*)\ \|\ unit:\ (?P<unit>.*)\ \|\ takes\ effect:\ (?P<effect>.*)\n
    (?P<line> (?:\#\ )?(?P<key>\w+)\ =\ .* )
    """,
    re.VERBOSE,
)


def default_of(key: Key) -> str:
    return key.default or ("none" if key.kind == "secret" else "must be given")


def unit_of(key: Key) -> str:
    unit = key.unit or "none"
    return f"{unit}, {key.low} to {key.high}" if key.high else unit


@pytest.mark.requirement("S1-82")
def test_every_setting_has_a_line_of_help_and_a_default_that_need_not_be_touched() -> None:
    for key in KEYS.values():
        assert key.meaning[0].isupper() and key.meaning.endswith("."), key.name
        assert "\n" not in key.meaning, key.name
        needed = key.name == "host"
        assert bool(key.default) != (needed or key.kind == "secret"), key.name
    for page in (SAMPLE, (REFERENCE / "profile.md").read_text()):
        assert "If you do not know a setting, do not touch it" in page


@pytest.mark.requirement("S1-82")
def test_the_sample_documents_every_key_where_it_stands() -> None:
    blocks = {found["key"]: found for found in BLOCK.finditer(SAMPLE)}
    assert list(blocks) == list(KEYS)
    for name, key in KEYS.items():
        block = blocks[name]
        meaning = " ".join(line[2:] for line in block["meaning"].splitlines())
        assert meaning == key.meaning
        assert block["choices"] == (", ".join(key.choices) or None)
        assert (block["default"], block["unit"]) == (default_of(key), unit_of(key))
        assert block["effect"] == TAKES_EFFECT[key.scope]


def test_the_sample_is_a_profile_and_its_comments_hold_the_defaults() -> None:
    assert read(SAMPLE, name="sample") == Profile(
        name="sample", host="vpn.example.com", group="staff", legacy=("aggressive-psk",)
    )
    written = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", SAMPLE, flags=re.MULTILINE))
    for key in KEYS.values():
        if key.kind != "secret" and key.name not in ("host", "group", "legacy"):
            value = written[key.name]
            assert value == tomllib.loads(f"v = {key.default}")["v"], key.name
    full = re.sub(r"^# (?=\w+ = |\[extra)", "", SAMPLE, flags=re.MULTILINE)
    full = full.replace("save_password = false", "save_password = true")
    assert read(full, name="sample").extra == {"pcf": {"ISPCommand": "dial.exe"}}


def cells(page: str) -> list[list[str]]:
    """The cells of every row of a page's tables."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in page.splitlines()
        if line.startswith("| `")
    ]


def test_the_page_about_profiles_says_what_the_tables_say() -> None:
    rows = cells((REFERENCE / "profile.md").read_text())
    expected = [
        [
            f"`{key.name}`",
            f"`{key.default}`" if key.default else default_of(key),
            unit_of(key),
            TAKES_EFFECT[key.scope],
            key.meaning + (f" Choices: {', '.join(key.choices)}." if key.choices else ""),
        ]
        for key in KEYS.values()
    ]
    expected += [
        [f"`{way.name}`", way.meaning, ", ".join(f"`{name}`" for name in way.methods)]
        for way in AUTHENTICATIONS.values()
    ]
    expected += [[f"`{switch}`", why] for switch, why in WEAKNESSES.items()]
    assert rows == expected


def test_the_page_about_imported_keys_says_what_the_tables_say() -> None:
    rows = cells((REFERENCE / "imported-keys.md").read_text())
    assert rows == [
        [
            f"`{row.name}`",
            row.meaning,
            row.how,
            f"`{row.ours}`" if row.ours else "kept",
            str(row.since or "-"),
        ]
        for row in (*pcf.KEYS.values(), *vpnc.KEYS.values())
    ]


def test_the_tables_fit_the_model() -> None:
    for key in KEYS.values():
        assert key.kind in ("text", "secret", "flag", "choice", "list", "number"), key.name
        if key.choices:
            assert default(key) in key.choices
        if key.kind == "number":
            assert key.low < key.high
    for row in (*pcf.KEYS.values(), *vpnc.KEYS.values()):
        assert not row.ours or row.ours in KEYS, row.name
        assert not row.values or row.kind == "choice", row.name
    # A weak algorithm somebody adds must be explained to whoever has to allow it.
    assert set(WEAKNESSES) >= LEGACY_SWITCHES
    assert all(WEAKNESSES.values())
