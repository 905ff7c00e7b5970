"""A state directory that cannot be used is told by its cause, by `check` and by a start alike."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from culvert.driver.journal import Journal
from culvert.driver.places import places
from culvert.driver.state_directory import look, make, unusable
from culvert.errors import PlatformError


def start(state: Path) -> None:
    Journal(places("service", state_dir=str(state), environment={})).close()


@pytest.mark.parametrize("attempt", [look, make, start])
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_its_place_is_told(
    tmp_path: Path, attempt: Callable[[Path], None], below: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="cannot be used") as caught:
        attempt(tmp_path / "file" / below)
    assert "no directory is in its place" in caught.value.action
    assert "root" not in caught.value.action


def test_looking_makes_nothing_and_finds_what_can_be_made(tmp_path: Path) -> None:
    look(tmp_path / "a" / "b")
    look(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "root", "advice"),
    [
        (errno.EROFS, True, "Mount that file system writable"),
        (errno.ENOSPC, True, "Make room"),
        (errno.EACCES, True, "keeps even root out"),
        (errno.EACCES, False, "Run as root"),
        (errno.EIO, False, "Name another one with --state-dir"),
    ],
)
def test_each_cause_has_its_own_advice(
    monkeypatch: pytest.MonkeyPatch, number: int, root: bool, advice: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    found = unusable(Path("/state"), OSError(number, ""))
    assert found.action.startswith(advice) or advice in found.action
    assert os.strerror(number).lower() in found.what


READ_ONLY = 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"'


@pytest.mark.root
@pytest.mark.parametrize("below", ["", "new"])
def test_check_and_a_start_tell_a_read_only_mount(tmp_path: Path, below: str) -> None:
    state = str(tmp_path / below)
    for words in (["check"], ["service", "run"]):
        line = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(tmp_path)]
        line += [sys.executable, "-m", "culvert", *words, "--state-dir", state]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode in (4, 9), said
        assert f"the state directory {state} cannot be used: read-only file system" in said
        assert "Mount that file system writable" in said
        assert "Run as root" not in said
