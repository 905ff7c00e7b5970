"""Session logs: one file for each connection that was tried, found and packed by command."""

from __future__ import annotations

import re
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from culvert.cli.main import run
from culvert.driver.journal import Journal
from culvert.driver.places import SERVICE, places
from culvert.eventlog.event import LogEvent

BEGAN = datetime(2026, 7, 2, 10, tzinfo=UTC)


def session(state: Path, *codes: str) -> Path:
    journal = Journal(places(SERVICE, state_dir=str(state)), clock=lambda: 1.0, wall=lambda: BEGAN)
    before = set((state / "logs").glob("*")) if (state / "logs").exists() else set[Path]()
    end = journal.session("office")
    record = journal.tagged("office")
    for code in codes:
        record(LogEvent(code, {"profile": "office", "host": "vpn.example.org"}))
    journal.tagged("home")(LogEvent("client.connecting", {"profile": "home", "host": "h"}))
    end()
    record(LogEvent("client.connecting", {"profile": "after", "host": "h"}))
    journal.close()
    (made,) = set((state / "logs").glob("*")) - before
    return made


@pytest.mark.requirement("S0-01")
def test_one_run_makes_one_file_with_every_event_of_that_run(tmp_path: Path) -> None:
    made = session(tmp_path, "client.connecting", "ike.sending", "client.up")
    assert re.fullmatch(r"Log-\d{4}(-\d\d){5}(-\d+)?\.txt", made.name)
    lines = made.read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["client.connecting", "ike.sending", "client.up"]
    assert session(tmp_path, "client.connecting").name == made.name.replace(".txt", "-2.txt")


@pytest.mark.requirement("S0-02")
def test_the_folder_is_printed_and_chosen_logs_are_packed_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = session(tmp_path / "state", "client.connecting")
    session(tmp_path / "state", "client.connecting")
    there = ["logs", "--state-dir", str(tmp_path / "state")]
    assert run([*there, "--path"]) == 0
    assert Path(capsys.readouterr().out.strip()) == chosen.parent
    target = tmp_path / "pack.tar.gz"
    assert run([*there, "pack", str(target), chosen.name]) == 0
    with tarfile.open(target) as archive:
        (name,) = archive.getnames()
        packed = archive.extractfile(name)
        assert packed is not None
        assert (name, packed.read()) == (chosen.name, chosen.read_bytes())
    assert target.stat().st_mode & 0o077 == 0
    assert run([*there, "pack", str(target)]) != 0
    assert run([*there, "pack", str(tmp_path / "other"), "Log-none.txt"]) != 0


def test_a_folder_that_cannot_be_made_costs_the_log_only(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    journal = Journal(places(SERVICE, state_dir=str(tmp_path)))
    journal.session("office")()
    assert "client.machine-note" in journal.log.counts
    journal.close()
