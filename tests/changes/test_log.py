"""The undo log: what is written is read back, and a cut or damaged file loses nothing that was."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from culvert.changes.change import (
    Absent,
    AddressAdded,
    Change,
    Content,
    DamagedRecord,
    FileReplaced,
    LinkSet,
    RouteAdded,
    Symlink,
    SysctlSet,
    TunMade,
    describe,
    parse_record,
    to_record,
)
from culvert.changes.log import ChangeLog, Entry, load
from culvert.changes.owner import Owner, parse_owner
from culvert.errors import PlatformError

numbers = st.integers(0, 1 << 31)
files = st.one_of(
    st.builds(Content, st.binary(max_size=50), numbers, numbers, numbers),
    st.builds(Symlink, st.text(max_size=10)),
    st.just(Absent()),
)
changes = st.one_of(
    st.builds(TunMade, st.text(), numbers),
    st.builds(LinkSet, st.text(), numbers, numbers, numbers, st.booleans()),
    st.builds(AddressAdded, st.text(), numbers, st.text(), numbers),
    st.builds(RouteAdded, st.text(), st.text(), numbers, st.text(), numbers),
    st.builds(SysctlSet, st.text(), st.text(), st.text()),
    st.builds(FileReplaced, st.text(), files, files),
)

ROUTE = RouteAdded("10.0.0.0/8", "culvert0", 7)
OTHER = RouteAdded("10.1.0.0/16", "culvert0", 7)


@given(changes)
def test_every_change_is_written_and_read_back(change: Change) -> None:
    assert parse_record(to_record(change)) == change
    assert describe(change)


@given(changes, st.data())
def test_a_record_with_a_field_missing_is_damaged(change: Change, data: st.DataObject) -> None:
    record = to_record(change)
    del record[data.draw(st.sampled_from(sorted(record)))]
    with pytest.raises(DamagedRecord):
        parse_record(record)


@pytest.mark.parametrize("record", [None, 1, [], {}, {"kind": "x"}, {"kind": "tun", "index": "1"}])
def test_what_is_no_change_is_damaged(record: object) -> None:
    with pytest.raises(DamagedRecord):
        parse_record(record)


def test_a_plan_is_on_the_disk_when_it_is_returned(tmp_path: Path) -> None:
    log = ChangeLog.of(tmp_path / "changes", Owner.here())
    planned = log.plan("work", [ROUTE, OTHER])
    read, damaged = load(log.path)
    assert (read.entries, damaged, read.owner) == (planned, (), Owner.here())
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    log.close()


def test_the_file_goes_with_its_last_change_and_comes_back(tmp_path: Path) -> None:
    log = ChangeLog.of(tmp_path, Owner.here())
    for _ in range(2):
        for entry in log.plan("work", [ROUTE, OTHER]):
            log.made(entry)
        for entry in log.entries:
            log.undone(entry)
        assert list(tmp_path.iterdir()) == []


def test_an_empty_plan_writes_nothing(tmp_path: Path) -> None:
    log = ChangeLog.of(tmp_path, Owner.here())
    assert log.plan("work", []) == ()
    assert list(tmp_path.iterdir()) == []


def test_one_owner_finds_its_own_log_again(tmp_path: Path) -> None:
    first = ChangeLog.of(tmp_path, Owner.here())
    [planned] = first.plan("work", [ROUTE])
    first.amend(planned, OTHER)
    first.close()
    second = ChangeLog.of(tmp_path, Owner.here())
    assert second.entries == (Entry(1, "work", OTHER),)
    assert [entry.number for entry in second.plan("home", [ROUTE])] == [2]
    assert len(load(second.path)[0].entries) == 2
    second.close()


@settings(max_examples=40)
@given(st.lists(changes, min_size=1, max_size=4), st.data())
def test_a_file_cut_anywhere_holds_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, planned: Sequence[Change], data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("log")
    log = ChangeLog.of(directory, Owner.here())
    log.plan("work", planned)
    log.close()
    whole = log.path.read_bytes()
    cut = data.draw(st.integers(whole.index(b"\n") + 1, len(whole)))
    log.path.write_bytes(whole[:cut])
    read, damaged = load(log.path)
    assert [entry.change for entry in read.entries] == planned[: whole[:cut].count(b"\n") - 1]
    assert damaged == ()
    # What comes after a torn line stands on a line of its own.
    read.plan("more", [ROUTE])
    read.close()
    again, damaged = load(log.path)
    assert (again.entries, damaged) == (read.entries, ())


def test_a_damaged_line_in_the_middle_is_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    log = ChangeLog.of(tmp_path, Owner.here())
    log.plan("work", [ROUTE, OTHER])
    log.close()
    lines = log.path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\0" * 30 + b"\n"
    log.path.write_bytes(b"".join(lines))
    read, damaged = load(log.path)
    assert [entry.change for entry in read.entries] == [OTHER]
    assert len(damaged) == 1
    assert ":2:" in damaged[0]


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_octets_are_a_log_or_damaged(
    tmp_path_factory: pytest.TempPathFactory, octets: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.changes"
    path.write_bytes(octets)
    with pytest.raises(DamagedRecord):
        load(path)


def test_a_log_that_cannot_be_written_stops_the_change(tmp_path: Path) -> None:
    (tmp_path / "changes").write_text("a file where the directory should be")
    log = ChangeLog.of(tmp_path / "changes", Owner.here())
    with pytest.raises(PlatformError, match="nothing was changed"):
        log.plan("work", [ROUTE])
    assert log.entries == ()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChangeLog.of(tmp_path, Owner.here())
    log.plan("work", [ROUTE])
    before = log.path.read_bytes()
    monkeypatch.setattr(os, "write", _disk_with_room(20, os.write))
    with pytest.raises(PlatformError, match="No space"):
        log.plan("work", [OTHER])
    assert log.path.read_bytes() == before
    monkeypatch.undo()
    log.plan("work", [OTHER])
    assert [entry.change for entry in load(log.path)[0].entries] == [ROUTE, OTHER]
    log.close()


def test_this_process_lives_and_one_that_ended_does_not() -> None:
    assert Owner.here().is_alive()
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    here = Owner.here()
    started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
    owner = Owner(child.pid, started, here.boot, here.namespace)
    assert owner.is_alive()
    assert not Owner(child.pid, started + 1, here.boot, here.namespace).is_alive()
    assert not Owner(child.pid, started, "another boot", here.namespace).is_alive()
    child.kill()
    while child.poll() is None and owner.is_alive():
        os.sched_yield()  # killed but not collected: a zombie is dead
    assert not owner.is_alive()
    child.communicate()
    assert not owner.is_alive()


def test_an_owner_is_written_and_read_back() -> None:
    assert parse_owner(Owner.here().to_record()) == Owner.here()
    with pytest.raises(DamagedRecord):
        parse_owner({"pid": 1})


def _disk_with_room(room: int, write: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
    left = [room]

    def full(descriptor: int, octets: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        taken = write(descriptor, octets[: left[0]])
        left[0] -= taken
        return taken

    return full
