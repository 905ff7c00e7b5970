"""The monitor's part in a record: a file for root alone, and what a worker may say about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from culvert.driver.message import MessageError
from culvert.driver.record import LONGEST
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.gateway.record_file import LOST, RecordFile, Watching
from culvert.gateway.recorded import Wanted


def made(path: Path) -> tuple[RecordFile, list[LogEvent]]:
    events: list[LogEvent] = []
    return RecordFile(str(path), Wanted("alice"), events.append), events


def test_pieces_become_lines_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "record"
    file, events = made(path)
    for piece in ('{"first', '": 1}\n', '{"second": 2}\n', '{"cut'):
        assert file.add(piece)
    file.end("", 2)
    assert path.read_text() == '{"first": 1}\n{"second": 2}\n'
    assert path.stat().st_mode & 0o777 == 0o600
    assert [event.code for event in events] == ["gateway.record", "gateway.recorded"]
    assert events[0].fields["caller"] == "alice"
    assert not file.add("more\n")
    assert path.read_text().endswith("2}\n")


def test_a_line_without_end_is_a_workers_nonsense(tmp_path: Path) -> None:
    file, _ = made(tmp_path / "record")
    with pytest.raises(MessageError):
        for _ in range(10):
            file.add("x" * (LONGEST // 8))


def test_a_record_that_is_there_is_not_lost_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "record"
    file, _ = made(path)
    file.add('{"first": 1}\n')
    file.end("", 1)
    with pytest.raises(PlatformError, match="not written over"):
        made(path)
    assert path.read_text() == '{"first": 1}\n'


def test_one_worker_is_told_and_its_death_ends_the_record(tmp_path: Path) -> None:
    file, events = made(tmp_path / "record")
    file.lost()
    assert file.open, "nobody has begun it"
    assert file.take_wanted() == Wanted("alice")
    assert file.take_wanted() is None
    file.lost()
    assert not file.open
    assert events[-1].code == "service.file-ended"
    assert events[-1].fields["why"] == LOST


def test_several_workers_record_nothing_and_no_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "record"
    watching = Watching(record=str(path))
    with pytest.raises(PlatformError, match="one worker"):
        watching.record_file(lambda _: None, several=True)
    assert not path.exists()
    assert Watching().record_file(lambda _: None, several=True) is None
