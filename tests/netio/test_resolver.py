"""Name servers in a plain file: made, put back, and kept apart from what others write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.changes.change import Absent, Content, FileReplaced, FileState, Symlink
from culvert.errors import PlatformError
from culvert.netio import file_state
from culvert.netio.resolv_conf import MARK, MAX_SERVERS, with_tunnel, without_tunnel
from culvert.netio.resolver import NameService, PlainFile

BEFORE = "# house\nnameserver 192.0.2.1\nsearch lan\noptions edns0 trust-ad\nsortlist 10.0.0.0\n"
WISH = NameService(("10.0.0.1", "10.0.0.2"), ("corp.example",))


def planned(resolver: PlainFile, wish: NameService = WISH) -> FileReplaced:
    [change] = resolver.plan(wish).changes
    assert isinstance(change, FileReplaced)
    return change


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "resolv.conf"
    found.write_text(BEFORE)
    return found


def test_the_tunnels_servers_replace_all_and_its_domains_come_first() -> None:
    text, notes = with_tunnel(BEFORE, WISH.servers, WISH.search)
    assert text.splitlines() == [
        MARK,
        "search corp.example lan",
        "nameserver 10.0.0.1",
        "nameserver 10.0.0.2",
        "options edns0",
        "sortlist 10.0.0.0",
    ]
    assert notes == ()


def test_without_servers_of_the_tunnel_the_former_ones_stay() -> None:
    text, _ = with_tunnel(BEFORE, (), ("corp.example",))
    assert "nameserver 192.0.2.1" in text.splitlines()


def test_more_than_the_system_reads_is_told() -> None:
    text, notes = with_tunnel(
        "", [f"10.0.0.{n}" for n in range(1, 6)], [f"d{n}" for n in range(40)]
    )
    assert text.count("nameserver") == MAX_SERVERS
    assert "10.0.0.4, 10.0.0.5" in notes[0]
    assert "32 of 40" in notes[1]


@pytest.mark.parametrize("evil", ["a\nnameserver 6.6.6.6", "a b", "", "-x", "x" * 64, "a..b", "#"])
def test_a_peer_cannot_write_lines_of_its_own(evil: str) -> None:
    text, notes = with_tunnel(BEFORE, (f"10.0.0.1{evil}x", "10.0.0.1"), (evil,))
    assert [line for line in text.splitlines() if line.startswith(("nameserver", "search"))] == [
        "search lan",
        "nameserver 10.0.0.1",
    ]
    assert len(notes) == 2


def test_what_was_made_is_put_back_to_the_octet(path: Path) -> None:
    path.chmod(0o640)
    resolver = PlainFile(path)
    before = file_state.see(path)
    change = planned(resolver)
    assert resolver.make(change)
    assert "10.0.0.1" in path.read_text()
    assert file_state.see(path) == change.after
    assert resolver.undo(change) == resolver.undo(change) == ""
    assert file_state.see(path) == before
    assert [entry.name for entry in path.parent.iterdir()] == ["resolv.conf"]


def test_nothing_wished_is_no_change(path: Path) -> None:
    assert PlainFile(path).plan(NameService((), ())).changes == ()


def test_split_domains_are_told_to_be_beyond_a_plain_file(path: Path) -> None:
    plan = PlainFile(path).plan(NameService(("10.0.0.1",), (), ("corp.example",)))
    assert "all names go to them" in plan.notes[0]


def test_a_link_is_read_through_and_comes_back_as_a_link(path: Path) -> None:
    link = path.with_name("link.conf")
    link.symlink_to("resolv.conf")
    resolver = PlainFile(link)
    change = planned(resolver)
    resolver.make(change)
    assert not link.is_symlink()
    assert "options edns0" in link.read_text()
    assert path.read_text() == BEFORE
    link.write_text(link.read_text() + "# edited\n")
    assert "link is back" in resolver.undo(change)
    assert link.readlink() == Path("resolv.conf")


def test_a_file_that_was_not_there_goes_again(tmp_path: Path) -> None:
    resolver = PlainFile(tmp_path / "resolv.conf")
    change = planned(resolver)
    resolver.make(change)
    assert (tmp_path / "resolv.conf").exists()
    resolver.undo(change)
    assert list(tmp_path.iterdir()) == []


def test_a_file_someone_else_replaced_is_left_and_told(path: Path) -> None:
    resolver = PlainFile(path)
    change = planned(resolver)
    resolver.make(change)
    path.write_text("nameserver 203.0.113.9\n")
    assert "left as it is" in resolver.undo(change)
    assert path.read_text() == "nameserver 203.0.113.9\n"


def test_lines_someone_else_added_stay_and_ours_go(path: Path) -> None:
    resolver = PlainFile(path)
    change = planned(resolver)
    resolver.make(change)
    path.write_text("# by hand\n" + path.read_text() + "options rotate\n")
    assert "theirs stay" in resolver.undo(change)
    assert path.read_text().splitlines() == [
        "# by hand",
        "nameserver 192.0.2.1",
        "search lan",
        "options edns0",
        "sortlist 10.0.0.0",
        "options rotate",
    ]


def test_a_file_changed_between_plan_and_act_is_not_overwritten(path: Path) -> None:
    resolver = PlainFile(path)
    change = planned(resolver)
    path.write_text("nameserver 203.0.113.9\n")
    with pytest.raises(PlatformError, match="at the same moment"):
        resolver.make(change)
    assert path.read_text() == "nameserver 203.0.113.9\n"


@pytest.mark.parametrize("cut", [0, 1, 40, 70])
def test_a_write_in_place_cut_by_a_crash_is_recognised(path: Path, cut: int) -> None:
    resolver = PlainFile(path)
    change = planned(resolver)
    assert isinstance(change.after, Content)
    octets = change.after.octets
    path.write_bytes(octets[:cut] + BEFORE.encode()[cut:])
    assert resolver.undo(change) == ""
    assert path.read_text() == BEFORE


names = st.sampled_from(["nameserver 10.0.0.1", "nameserver 192.0.2.1", "search a b", "options x"])
texts = st.lists(
    st.one_of(names, st.text(st.characters(codec="utf-8"), max_size=8)), max_size=6
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(texts, st.lists(st.sampled_from(["10.0.0.1", "10.9.9.9"]), max_size=3))
def test_our_lines_never_stay_behind(before: str, servers: list[str]) -> None:
    after, _ = with_tunnel(before, servers, ("corp.example",))
    rest = without_tunnel(after + "added\n", after, before)
    assert rest is not None
    lines = rest.split("\n")
    assert MARK not in lines or MARK in before.split("\n")
    assert "added" in lines
    former = [line for line in before.split("\n") if line.startswith("nameserver ")]
    assert [line for line in lines if line.startswith("nameserver ")] == former


contents = st.builds(Content, st.binary(max_size=12), st.sampled_from([0o600, 0o644]))
states = st.one_of(contents, st.builds(Symlink, st.sampled_from(["a", "b/c"])), st.just(Absent()))


@given(st.lists(states, min_size=1, max_size=4))
def test_any_state_can_be_put_over_any_other(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[FileState]
) -> None:
    path = tmp_path_factory.mktemp("etc") / "file"
    for state in wanted:
        if isinstance(state, Content):
            state = Content(state.octets, state.mode, os.getuid(), os.getgid())  # noqa: PLW2901
        file_state.put(path, state)
        assert file_state.see(path) == state
    assert len(list(path.parent.iterdir())) == (wanted[-1] != Absent())


@given(st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_torn_is_whatever_a_write_in_place_can_leave(
    old: bytes, new: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(new)))
    found = new[:cut] + old[cut:]
    assert file_state.is_torn(Content(found), Content(old), Content(new))


def test_a_file_of_another_making_is_not_torn() -> None:
    assert not file_state.is_torn(Content(b"other"), Content(b"old"), Content(b"new"))


MOUNTED = """
import sys
from pathlib import Path
from culvert.netio.resolver import NameService, PlainFile
path = Path(sys.argv[1])
before, inode = path.read_text(), path.stat().st_ino
resolver = PlainFile(path)
[change] = resolver.plan(NameService(("10.0.0.1",), ())).changes
resolver.make(change)
assert "nameserver 10.0.0.1" in path.read_text()
assert path.stat().st_ino == inode, "written in place"
assert resolver.undo(change) == ""
assert path.read_text() == before and path.stat().st_ino == inode
assert [entry.name for entry in path.parent.iterdir()] == [path.name]
"""


@pytest.mark.root
def test_a_mounted_file_is_written_in_place(tmp_path: Path) -> None:
    (tmp_path / "behind").write_text(BEFORE)
    (tmp_path / "etc").mkdir()
    target = tmp_path / "etc" / "resolv.conf"
    target.touch()
    script = f'mount --bind "{tmp_path}/behind" "{target}" && exec "$@"'
    subprocess.run(
        ("unshare", "-m", "sh", "-ec", script, "sh", sys.executable, "-c", MOUNTED, str(target)),
        check=True,
    )
    assert (tmp_path / "behind").read_text() == BEFORE
