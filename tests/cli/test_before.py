"""The command of a profile before connecting: only if asked for, and what becomes of its end."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest

from culvert.cli.before import prepare
from culvert.errors import ConfigError

pytestmark = pytest.mark.requirement("S4-20", part="command before connecting")


def test_nothing_runs_that_nobody_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(f"touch {tmp_path}/ran", wanted=False)
    assert not (tmp_path / "ran").exists()
    assert "--run-before" in capsys.readouterr().err


def test_it_runs_to_its_end_with_its_arguments_and_no_shell(tmp_path: Path) -> None:
    prepare(f"touch '{tmp_path}/a b' '{tmp_path}/$HOME'", wanted=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["$HOME", "a b"]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (f"{sys.executable} -c 'raise SystemExit(7)'", "status 7"),
        ("/nowhere/dial", "cannot be run"),
        ("dial 'twice", "quotation"),
    ],
)
def test_its_failure_connects_nothing_and_says_why(command: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        prepare(command, wanted=True)


def test_one_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("culvert.cli.before.PATIENCE", 0.2)
    with pytest.raises(ConfigError, match="did not end"):
        prepare("sleep 60", wanted=True)


def test_asking_for_what_is_not_there_is_a_mistake() -> None:
    with pytest.raises(click.UsageError, match="no command_before"):
        prepare("", wanted=True)


@pytest.mark.root
def test_under_sudo_it_has_the_rights_of_who_typed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    with TemporaryDirectory() as open_to_all:  # pytest keeps its own folders to itself
        Path(open_to_all).chmod(0o777)
        prepare(f"touch {open_to_all}/ran", wanted=True)
        assert (Path(open_to_all) / "ran").stat().st_uid == 65534
