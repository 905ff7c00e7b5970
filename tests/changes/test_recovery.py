"""Struck dead at any instant, the machine comes back to what it was: a simulated machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changes.simulated import Countdown, Killed, SimulatedMachine
from culvert.changes import executor
from culvert.changes.change import (
    Absent,
    AddressAdded,
    Change,
    Content,
    FileReplaced,
    LinkSet,
    RouteAdded,
    SysctlSet,
)
from culvert.changes.log import ChangeLog
from culvert.changes.owner import Owner
from culvert.changes.recovery import leftovers, recover
from culvert.errors import PlatformError

RESOLV = "/etc/resolv.conf"
ROUTE = RouteAdded("10.0.0.0/8", "culvert0", 7)
PINNED = RouteAdded("192.0.2.1/32", "eth0", 2, "198.51.100.1")


def test_a_damaged_record_does_not_keep_the_others_from_being_undone(tmp_path: Path) -> None:
    class Damaged(SimulatedMachine):
        def undo(self, change: Change) -> str:
            if change == PINNED:
                raise ValueError("no address")
            return super().undo(change)

    at = Damaged(routes={ROUTE})
    log = ChangeLog.of(tmp_path, Owner.here())
    log.plan("work", (PINNED, ROUTE))
    undone = executor.undo(log, at)
    log.close()
    assert at.routes == set()
    assert [entry.change for entry in log.entries] == [PINNED]
    assert "its record is damaged (ValueError: no address)" in undone.failed[0]


def dead_owner() -> Owner:
    """Like us, but started when nothing had."""
    return replace(Owner.here(), started=0)


def machine() -> SimulatedMachine:
    return SimulatedMachine(
        foreign_routes={"172.16.0.0/12"},
        links={"culvert0": (1500, False)},
        sysctls={"net/ipv4/ip_forward": "0"},
        files={RESOLV: Content(b"nameserver 192.0.2.53\n")},
    )


def dns(at: SimulatedMachine, text: bytes) -> FileReplaced:
    return FileReplaced(RESOLV, at.files[RESOLV], Content(text))


@dataclass(frozen=True)
class Step:
    """Up or down of one scope; what "up" changes follows from the machine as it is then."""

    scope: str
    up: bool
    routes: tuple[str, ...] = ()

    def changes(self, at: SimulatedMachine) -> tuple[Change, ...]:
        mtu, up = at.links["culvert0"]
        forward = at.sysctls["net/ipv4/ip_forward"]
        return (
            *((LinkSet("culvert0", 7, 1300, mtu, up),) if mtu != 1300 else ()),
            AddressAdded("culvert0", 7, f"10.1.0.{len(self.scope)}", 32),
            PINNED,
            *(RouteAdded(route, "culvert0", 7) for route in self.routes),
            *((SysctlSet("net/ipv4/ip_forward", forward, "1"),) if forward == "0" else ()),
            dns(at, f"nameserver 10.0.0.{len(self.scope)}\n".encode()),
        )


@contextmanager
def mortal(life: Countdown) -> Generator[None]:
    """Death also comes before, in the middle of, and after every write of the log."""
    write, unlink = os.write, Path.unlink

    def mortal_write(descriptor: int, octets: bytes) -> int:
        life.step()
        try:
            life.step()
        except Killed:
            write(descriptor, octets[: len(octets) // 2])
            raise
        written = write(descriptor, octets)
        life.step()
        return written

    def mortal_unlink(path: Path, missing_ok: bool = False) -> None:
        life.step()
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", mortal_write)
        patch.setattr(Path, "unlink", mortal_unlink)
        yield


def survives(life: Countdown, what: Callable[[], object]) -> bool:
    with mortal(life):
        try:
            what()
        except Killed:
            return False
    life.left = -1
    return True


def live(log: ChangeLog, at: SimulatedMachine, steps: list[Step]) -> None:
    for step in steps:
        executor.undo(log, at, step.scope)
        if step.up:
            executor.make(log, at, step.scope, step.changes(at))


scopes = st.sampled_from(["w", "ho", "lab"])
routes = st.lists(
    st.sampled_from(["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "172.16.0.0/12"]), unique=True
).map(tuple)
histories = st.lists(st.builds(Step, scopes, st.booleans(), routes), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(histories, st.integers(0, 120), st.lists(st.integers(0, 25), max_size=3))
def test_killed_at_any_instant_of_any_history_all_is_as_before(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step], death: int, more: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("changes")
    at = machine()
    before = at.state()
    log = ChangeLog.of(directory, dead_owner())
    at.life.left = death
    survives(at.life, lambda: live(log, at, history))
    log.close()
    for again in more:  # the repair itself is killed, too
        at.life.left = again
        survives(at.life, lambda: recover(directory, at))
    at.life.left = -1
    recovered = recover(directory, at)
    assert at.state() == before
    assert recovered.failed == recovered.notes == () or all(
        "stays for" in note for note in recovered.notes
    )
    assert list(directory.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(histories)
def test_undoing_scope_by_scope_in_any_order_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    directory = tmp_path_factory.mktemp("changes")
    at = machine()
    before = at.state()
    log = ChangeLog.of(directory, Owner.here())
    live(log, at, [*history, *(replace(step, up=False) for step in history)])
    assert at.state() == before
    assert list(directory.iterdir()) == []


def test_a_living_owner_is_left_alone(tmp_path: Path) -> None:
    at = machine()
    log = ChangeLog.of(tmp_path, Owner.here())
    executor.make(log, at, "work", [ROUTE])
    assert recover(tmp_path, at) == executor.Undone()
    assert leftovers(tmp_path) == ()
    assert at.routes == {ROUTE}
    executor.undo(log, at)


def test_leftovers_are_shown_without_undoing_them(tmp_path: Path) -> None:
    at = machine()
    executor.make(ChangeLog.of(tmp_path, dead_owner()), at, "work", [ROUTE])
    [left] = leftovers(tmp_path)
    assert [(entry.scope, entry.change, entry.made) for entry in left.entries] == [
        ("work", ROUTE, True)
    ]
    assert at.routes == {ROUTE}


def test_after_a_reboot_files_are_undone_and_the_rest_only_struck_out(tmp_path: Path) -> None:
    at = machine()
    original = at.files[RESOLV]
    log = ChangeLog.of(tmp_path, replace(dead_owner(), boot="an earlier one", namespace=1))
    executor.make(log, at, "work", [ROUTE, dns(at, b"nameserver 10.0.0.1\n")])
    log.close()
    # The same route, made since by someone on this boot.
    recovered = recover(tmp_path, at)
    assert at.files[RESOLV] == original
    assert at.routes == {ROUTE}
    assert len(recovered.changes) == 2
    assert list(tmp_path.iterdir()) == []


def test_changes_in_another_namespace_wait_for_a_repair_there(tmp_path: Path) -> None:
    at = machine()
    executor.make(ChangeLog.of(tmp_path, replace(dead_owner(), namespace=1)), at, "w", [ROUTE])
    recovered = recover(tmp_path, at)
    assert at.routes == {ROUTE}
    assert "another network namespace" in recovered.failed[0]


def test_what_cannot_be_undone_now_is_tried_again(tmp_path: Path) -> None:
    class Stubborn(SimulatedMachine):
        def undo(self, change: Change) -> str:
            raise PlatformError("the disk is read-only")

    at = machine()
    executor.make(ChangeLog.of(tmp_path, dead_owner()), at, "work", [ROUTE, PINNED])
    assert len(recover(tmp_path, Stubborn()).failed) == 2
    assert len(recover(tmp_path, at).changes) == 2
    assert at.routes == set()


def test_a_change_that_fails_undoes_those_before_it(tmp_path: Path) -> None:
    at = machine()
    before = at.state()
    at.impossible = {PINNED}
    log = ChangeLog.of(tmp_path, Owner.here())
    with pytest.raises(PlatformError, match="impossible"):
        executor.make(log, at, "work", [ROUTE, PINNED, dns(at, b"x")])
    assert (at.state(), log.entries) == (before, ())


def test_what_was_there_already_is_not_undone(tmp_path: Path) -> None:
    at = machine()
    foreign = RouteAdded("172.16.0.0/12", "culvert0", 7)
    log = ChangeLog.of(tmp_path, Owner.here())
    [note] = executor.make(log, at, "work", [foreign])
    assert "172.16.0.0/12" in note
    assert log.entries == ()


def test_a_route_two_connections_need_goes_with_the_second(tmp_path: Path) -> None:
    at = machine()
    log = ChangeLog.of(tmp_path, Owner.here())
    executor.make(log, at, "work", [PINNED])
    executor.make(log, at, "home", [PINNED])
    executor.undo(log, at, "work")
    assert at.routes == {PINNED}
    executor.undo(log, at, "home")
    assert at.routes == set()


def test_name_servers_of_the_lower_connection_leave_first(tmp_path: Path) -> None:
    at = machine()
    original = at.files[RESOLV]
    log = ChangeLog.of(tmp_path, Owner.here())
    executor.make(log, at, "work", [dns(at, b"work")])
    executor.make(log, at, "home", [dns(at, b"home")])
    executor.undo(log, at, "work")
    assert at.files[RESOLV] == Content(b"home")
    executor.undo(log, at, "home")
    assert at.files[RESOLV] == original


def test_someone_elses_file_is_left_and_told(tmp_path: Path) -> None:
    at = machine()
    log = ChangeLog.of(tmp_path, Owner.here())
    executor.make(log, at, "work", [dns(at, b"work")])
    at.files[RESOLV] = Content(b"dhcp")
    assert executor.undo(log, at, "work").notes == (
        "/etc/resolv.conf was changed by someone else and is left alone",
    )
    assert at.files[RESOLV] == Content(b"dhcp")


def test_a_log_without_an_owner_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "a.changes").write_bytes(b"\0\0\0\n")
    (tmp_path / "b.changes").write_bytes(b'{"own')
    recovered = recover(tmp_path, machine())
    assert ".damaged" in recovered.notes[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.damaged"]


def test_nothing_to_repair_where_there_never_was_a_log(tmp_path: Path) -> None:
    assert recover(tmp_path / "changes", machine()) == executor.Undone()


def test_absent_files_come_back_absent(tmp_path: Path) -> None:
    at = machine()
    del at.files[RESOLV]
    before = at.state()
    log = ChangeLog.of(tmp_path, Owner.here())
    executor.make(log, at, "work", [FileReplaced(RESOLV, Absent(), Content(b"x"))])
    assert at.files[RESOLV] == Content(b"x")
    executor.undo(log, at)
    assert at.state() == before
