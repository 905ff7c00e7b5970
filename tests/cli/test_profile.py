"""``culvert profile``: import, list, show, validate, export, erase."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from culvert.cli.main import run
from culvert.profile.adapters.detect import adapt_any
from culvert.secret import Secret

ENC = (
    "000102030405060708090A0B0C0D0E0F10111213BEE4FACFD43B7037DB79DB96A88DE7866A5EB43D"
    "C7F4E7CE9C819DA6D57522C2118CBAFB"
)
PCF = (
    "[main]\r\nDescription=Branch\r\nHost=vpn.example.com\r\nGroupName=staff\r\n"
    f"enc_GroupPwd={ENC}\r\nUsername=ann\r\nSaveUserPassword=1\r\nUserPassword=hunter2\r\n"
    "Pin=998877\r\n"
)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CULVERT_PROFILES", str(tmp_path / "profiles"))
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "office.pcf"
    made.write_text(PCF)
    made.chmod(0o600)
    return made


Read = tuple[int, str, str]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Read:
    status = run(["profile", *words])
    out, err = capsys.readouterr()
    return status, out, err


def from_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status, out, _ = told(capsys, *words, "--json")
    return status, json.loads(out)


def test_a_pcf_is_saved_in_one_command_saying_what_is_weak(
    file: Path, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = told(capsys, "import", str(file))
    assert status == 0
    assert "Connect: culvert up office" in out
    assert "line 5: enc_GroupPwd: was only obfuscated" in err
    assert "1024-bit" in err
    saved = places / "profiles" / "office.toml"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    status, _, err = told(capsys, "import", str(file))
    assert (status, "is there already" in err) == (8, True)
    assert told(capsys, "import", str(file), "--replace")[0] == 0
    assert told(capsys, "import", str(file), "--name", "second")[0] == 0


def test_no_command_shows_a_secret(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "import", str(file))[0] == 0
    for words in (
        ["list"],
        ["show", "office"],
        ["validate", str(file)],
        ["export", "office"],
        ["export", "office", "--format", "pcf"],
        ["export", "office", "--format", "vpnc"],
        ["import", str(file), "--replace"],
    ):
        for more in ([], ["--json"]):
            status, out, err = told(capsys, *words, *more)
            assert status == 0, words
            for secret in ("sharedsecret", "hunter2", "998877", ENC):
                assert secret not in out + err, words


def test_list_shows_good_and_broken_profiles(
    file: Path, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No profile yet" in told(capsys, "list")[1]
    told(capsys, "import", str(file))
    (places / "profiles" / "bad.toml").write_text(
        'host = 3\ngroup = "g"\nlegacy = ["aggressive-psk"]\n'
    )
    status, out, _ = told(capsys, "list")
    assert status == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]][1] == ["office", "vpn.example.com"]
    status, listed = from_json(capsys, "list")
    assert (status, listed["schema"]) == (0, 1)
    bad, office = listed["profiles"]
    assert bad["problem"].endswith("bad.toml:1: host: must be a text in quotes")
    assert office == {
        "name": "office",
        "host": "vpn.example.com",
        "group": "staff",
        "description": "Branch",
        "path": str(places / "profiles" / "office.toml"),
        "hidden": False,
        "problem": None,
    }


def test_show_says_whether_a_secret_is_set(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "import", str(file))
    status, shown = from_json(capsys, "show", "office")
    assert status == 0
    assert shown["profile"]["group_key"] is True
    assert shown["profile"]["extra"] == {"pcf": ["Pin"]}
    out = told(capsys, "show", "office")[1]
    assert "pcf: Pin" in out
    status, _, err = told(capsys, "show", "ofice")
    assert (status, 'did you mean "office"?' in err) == (6, True)


def test_validate_tells_every_mistake_with_its_line(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = places / "bad.toml"
    bad.write_text('hots = "x"\nmtu = 3\n')
    status, _, err = told(capsys, "validate", str(bad))
    assert status == 3
    assert f"{bad}:1: hots: unknown key" in err
    assert f"{bad}:2: mtu: 3 is not between" in err
    status, said = from_json(capsys, "validate", str(bad))
    assert (status, said["valid"]) == (3, False)
    assert [(m["line"], m["key"]) for m in said["mistakes"]][-2:] == [(1, "hots"), (2, "mtu")]
    bad.write_text("= 1\n")
    assert from_json(capsys, "validate", str(bad))[1]["mistakes"][0]["line"] == 1
    assert told(capsys, "validate", str(places / "none"))[0] == 6


@pytest.mark.requirement("S3-23")
def test_validate_finds_keepalive_9999_without_polling_before_anybody_connects(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = places / "always.toml"
    text = 'host = "vpn.example.com"\ngroup = "staff"\nlegacy = ["aggressive-psk"]\n'
    file.write_text(f"{text}keepalive = 9999\n")
    file.chmod(0o600)
    status, _, err = told(capsys, "validate", str(file))
    assert status == 3
    assert f"{file}:4: keepalive: 9999 (always connected) needs a polling entry" in err
    status, said = from_json(capsys, "validate", str(file))
    assert (status, said["valid"], said["mistakes"][0]["key"]) == (3, False, "keepalive")
    file.write_text(f'{text}keepalive = 9999\npolling = ["192.168.3.254"]\n')
    assert told(capsys, "validate", str(file))[0] == 0


@pytest.mark.parametrize("form", ["toml", "pcf", "vpnc"])
def test_export_writes_secrets_only_into_a_private_file(
    form: str, file: Path, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "import", str(file))
    target = places / f"out.{form}"
    status, out, err = told(capsys, "export", "office", "--format", form, "-o", str(target))
    assert (status, "Written to" in out) == (0, True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    back = adapt_any(target.read_text(), str(target)).profile
    assert (back.host, back.group_key) == ("vpn.example.com", Secret("sharedsecret"))
    assert told(capsys, "export", "office", "--format", form, "-o", str(target))[0] == 8
    status, out, err = told(capsys, "export", "office", "--format", form)
    assert "secrets are left out" in err
    assert adapt_any(out, f"x.{form}", name="x").profile.group_key is None


@pytest.mark.requirement("S4-20", part="Erase User Password")
def test_erase_password_takes_it_out_of_the_file(
    file: Path, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "import", str(file))
    saved = places / "profiles" / "office.toml"
    assert "hunter2" in saved.read_text()
    assert from_json(capsys, "erase-password", "office") == (
        0,
        {"schema": 1, "name": "office", "erased": True, "erased_from_keyring": False},
    )
    assert "hunter2" not in saved.read_text()
    assert "There was no saved password" in told(capsys, "erase-password", "office")[1]
