"""Event files: names, rights, limits, and that no disk trouble reaches the caller."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from culvert.eventlog.filter import Filter
from culvert.eventlog.log import EventLog
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.severity import FAULT
from culvert.store.eventfile import (
    SESSION_LOGS,
    SESSION_NAME,
    EventFile,
    StreamSink,
    fault_log,
    opened,
    read_entries,
    session_log,
)
from eventlog.samples import BEGAN, GOOD, client

STAMP = f"Log-{BEGAN.astimezone():%Y-%m-%d-%H-%M-%S}"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_run_makes_one_session_log_with_every_event(tmp_path: Path) -> None:
    entries = client(*GOOD)
    with session_log(tmp_path / "log", BEGAN) as file:
        for entry in entries:
            file.write(entry)
    (made,) = (tmp_path / "log").iterdir()
    assert made.name == f"{STAMP}.txt"
    assert re.fullmatch(r"Log-\d{4}(-\d\d){5}(-\d+)?\.txt", made.name)
    assert made.read_text().splitlines() == [own.render(entry) for entry in entries]
    assert mode(made) & 0o137 == 0


def test_sessions_of_one_second_get_numbers(tmp_path: Path) -> None:
    for _ in range(3):
        session_log(tmp_path, BEGAN).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{STAMP}-2.txt",
        f"{STAMP}-3.txt",
        f"{STAMP}.txt",
    ]


def test_old_session_logs_give_way_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for number in range(SESSION_LOGS + 3):
        began = BEGAN + timedelta(seconds=number)
        path = session_log(tmp_path, began).path
        os.utime(path, (number, number))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == SESSION_LOGS + 1
    assert "notes.txt" in left
    assert f"{STAMP}.txt" not in left
    assert SESSION_NAME.match(left[0])


def test_a_session_log_that_reaches_its_limit_says_so(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "log.txt", limit=1000, keep=0)
    for entry in client(*GOOD):
        file.write(entry)
    lines = file.path.read_text().splitlines()
    assert lines[-1] == "(this file has reached its limit of 1000 octets)"
    assert sum("reached its limit" in line for line in lines) == 1
    assert file.path.stat().st_size < 1100


def test_a_rotating_log_keeps_the_newest_within_its_bounds(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "events.jsonl", json_lines.render, limit=4000, keep=2)
    entries = client(*GOOD * 5)
    for entry in entries:
        file.write(entry)
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events.jsonl",
        "events.jsonl.1",
        "events.jsonl.2",
    ]
    assert all(path.stat().st_size <= 4000 for path in tmp_path.iterdir())
    kept, torn = read_entries(file.path, 2)
    assert torn == 0
    assert kept == entries[-len(kept) :]
    assert len(kept) > 10


def test_reading_a_log_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert read_entries(tmp_path / "events.jsonl") == ((), 0)


def test_a_second_run_appends(tmp_path: Path) -> None:
    for entry in client(*GOOD[:2]):
        with EventFile(tmp_path / "a.txt") as file:
            file.write(entry)
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 2


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "log.txt").symlink_to(tmp_path / "victim")
    file = EventFile(tmp_path / "log.txt")
    file.append("overwritten")
    assert (tmp_path / "victim").read_text() == "precious"
    assert file.lost == 1
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        opened(tmp_path / "log.txt")


def test_lines_that_could_not_be_written_are_counted_and_told(tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("a file where the folder should be")
    file = EventFile(tmp_path / "gone" / "log.txt")
    file.append("one")
    file.append("two")
    assert file.lost == 2
    (tmp_path / "gone").unlink()
    file.append("three")
    assert file.lost == 0
    assert file.path.read_text() == "(2 entries could not be written)\nthree\n"


def test_a_full_disk_is_survived() -> None:
    file = EventFile(Path("/dev/full"))
    file.append("nobody will read this")
    assert file.lost == 1


def test_text_that_is_no_utf8_is_written_out(tmp_path: Path) -> None:
    with EventFile(tmp_path / "a.txt") as file:
        file.append("a\ud800b")
    assert (tmp_path / "a.txt").read_text() == "a\\ud800b\n"


def test_a_fault_says_when_where_what_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state" / "faultlog.txt"
    event = {"what": "UDP port 500 is in use", "action": "Stop the other program."}
    with fault_log(path) as file:
        file.write(client((0.0, "service.fault", event))[0])
    assert path.read_text() == (
        "2026-07-02T10:00:00.000Z SYSTEM service.fault\n"
        "    UDP port 500 is in use\n"
        "    What to do: Stop the other program.\n"
    )
    assert mode(path) & 0o137 == 0


def test_a_fault_that_cannot_be_noted_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with fault_log(tmp_path / "file" / "faultlog.txt") as file:
        file.write(client(*GOOD)[0])
        assert file.lost == 1


def test_only_faults_go_to_the_fault_log(tmp_path: Path) -> None:
    log = EventLog()
    file = fault_log(tmp_path / "faultlog.txt")
    log.attach(file.write, Filter(severity_to=FAULT))
    for entry in client(*GOOD, (20.0, "service.fault", {"what": "broken", "action": "mend"})):
        log.record(entry.event, at=entry.at, now=entry.now)
    assert "broken" in file.path.read_text()
    assert "client.up" not in file.path.read_text()


def test_a_stream_gets_lines_and_a_journal_priorities() -> None:
    up = client(*GOOD)[-1]
    plain, journal = io.StringIO(), io.StringIO()
    StreamSink(plain).write(up)
    StreamSink(journal, journal=True).write(up)
    assert plain.getvalue() == own.render(up) + "\n"
    assert journal.getvalue() == (
        "<6>info client.up [office ~11223344] office is up: address 40.1.1.1, after 18.0 s\n"
    )


def test_a_reader_that_went_away_does_not_stop_the_service() -> None:
    stream = io.StringIO()
    stream.close()
    sink = StreamSink(stream)
    sink.write(client(*GOOD)[0])
    assert sink.lost == 1


def test_the_name_is_the_local_time_of_the_start(tmp_path: Path) -> None:
    local = datetime(2026, 1, 5, 7, 8, 9, tzinfo=UTC).astimezone()
    path = session_log(tmp_path, local.astimezone(UTC)).path
    assert path.name == f"Log-{local:%Y-%m-%d}-{local:%H-%M-%S}.txt"
