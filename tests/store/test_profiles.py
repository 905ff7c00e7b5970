"""Profiles on disk: finding, refusing, replacing, erasing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from culvert.errors import ConfigError, PlatformError
from culvert.profile.profile import Profile
from culvert.secret import Secret
from culvert.store.profiles import (
    MOST_OCTETS,
    ProfileExists,
    ProfileNotFound,
    ProfileStore,
    directories,
    load_file,
    write_private,
)

OFFICE = Profile(
    name="office",
    host="vpn.example.com",
    group="staff",
    group_key=Secret("sharedsecret"),
    password=Secret("hunter2"),
    save_password=True,
    legacy=("aggressive-psk",),
)


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore((tmp_path / "own" / "profiles", tmp_path / "system"))


def test_what_is_saved_is_loaded_and_nobody_else_may_read_it(store: ProfileStore) -> None:
    path = store.save(OFFICE)
    assert store.load("office") == OFFICE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["office.toml"]


@pytest.mark.parametrize(("mode", "safe"), [(0o600, True), (0o640, True), (0o644, False)])
def test_secrets_that_everybody_can_read_are_refused(
    store: ProfileStore, mode: int, safe: bool
) -> None:
    path = store.save(OFFICE)
    path.chmod(mode)
    if safe:
        assert store.load("office") == OFFICE
    else:
        with pytest.raises(PlatformError, match="read by everybody") as caught:
            store.load("office")
        assert "chmod 600" in caught.value.action


def test_a_profile_without_secrets_may_be_read_but_not_written_by_everybody(
    store: ProfileStore,
) -> None:
    public = Profile(name="open", host="h", group="g", legacy=("aggressive-psk",))
    path = store.save(public)
    path.chmod(0o644)
    assert store.load("open") == public
    path.chmod(0o646)
    with pytest.raises(PlatformError, match="changed by everybody"):
        store.load("open")


def test_a_profile_is_replaced_only_when_asked_for(store: ProfileStore) -> None:
    path = store.save(OFFICE)
    other = Profile(name="office", host="h2", group="g", legacy=("aggressive-psk",))
    with pytest.raises(ProfileExists):
        store.save(other)
    assert store.load("office") == OFFICE
    store.save(other, replacing=True)
    assert store.load("office") == other
    assert [entry.name for entry in path.parent.iterdir()] == ["office.toml"]


def test_the_user_s_profile_hides_that_of_the_system(store: ProfileStore, tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    text = 'host = "{}"\ngroup = "g"\nlegacy = ["aggressive-psk"]\n'
    for name in ("office", "both"):
        (tmp_path / "system" / f"{name}.toml").write_text(text.format("system"))
    store.save(Profile(name="both", host="own", group="g", legacy=("aggressive-psk",)))
    assert [(s.name, s.hidden, s.path.parent.name) for s in store.saved()] == [
        ("both", False, "profiles"),
        ("both", True, "system"),
        ("office", False, "system"),
    ]
    assert (store.load("both").host, store.load("office").host) == ("own", "system")


@pytest.mark.parametrize("name", ["offce", "../system/office", "", "a\0b", "x" * 300])
def test_a_name_that_is_not_there_is_refused(store: ProfileStore, name: str) -> None:
    store.save(OFFICE)
    with pytest.raises(ProfileNotFound) as caught:
        store.load(name)
    assert ("did you mean" in str(caught.value)) == (name == "offce")


@pytest.mark.requirement("S0-45", part="the stored secret is gone from the file")
def test_erasing_the_password_leaves_the_rest_of_the_file_alone(store: ProfileStore) -> None:
    path = store.save(OFFICE)
    text = "# mine\n" + path.read_text() + "# end\n"
    path.write_text(text)
    assert store.erase_password("office")
    assert path.read_text() == text.replace('password = "hunter2"\n', "", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.load("office").password is None
    assert not store.erase_password("office")


def test_a_password_over_several_lines_is_erased_too(store: ProfileStore) -> None:
    path = store.save(OFFICE)
    path.write_text(path.read_text().replace('= "hunter2"', '= """\\\nhunter2"""'))
    assert store.load("office").password == Secret("hunter2")
    assert store.erase_password("office")
    assert "hunter2" not in path.read_text()


def test_files_of_every_format_are_loaded(tmp_path: Path) -> None:
    own, theirs, vpnc = tmp_path / "a.toml", tmp_path / "My Office.PCF", tmp_path / "c.conf"
    own.write_text('host = "h"\ngroup = "g"\nlegacy = ["aggressive-psk"]\n')
    theirs.write_bytes(b"[main]\r\nHost=h\r\nGroupName=g\r\nDescription=B\xfcro\r\n")
    vpnc.write_text("IPSec gateway h\nIPSec ID g\n")
    assert [load_file(path).profile.name for path in (own, theirs, vpnc)] == ["a", "My Office", "c"]
    assert load_file(theirs, name="x").profile.description == "Büro"


def test_a_foreign_file_open_to_everybody_is_read_with_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "a.pcf"
    file.write_text("[main]\nHost=h\nGroupName=g\nGroupPwd=x\n")
    file.chmod(0o644)
    assert any("chmod 600" in str(remark) for remark in load_file(file).warnings)
    file.chmod(0o600)
    assert not any("chmod 600" in str(remark) for remark in load_file(file).warnings)


def test_what_is_no_ordinary_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="not an ordinary file"):
            load_file(path)
    large = tmp_path / "large.pcf"
    with large.open("wb") as file:
        file.truncate(MOST_OCTETS + 1)
    with pytest.raises(ConfigError, match="more than"):
        load_file(large)
    with pytest.raises(ProfileNotFound):
        load_file(tmp_path / "none")


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="cannot be written"):
        ProfileStore((tmp_path / "file" / "x",)).save(OFFICE)
    with pytest.raises(PlatformError, match="cannot be written"):
        write_private(tmp_path / "none" / "x", b"", replacing=False)


def test_the_places_of_profiles_follow_the_environment() -> None:
    assert directories({"CULVERT_PROFILES": "/a:/b"}) == (Path("/a"), Path("/b"))
    system = Path("/etc/culvert/profiles")
    assert directories({"XDG_CONFIG_HOME": "/c"}) == (Path("/c/culvert/profiles"), system)
    assert (
        directories({"XDG_CONFIG_HOME": "relative"})[0]
        == Path("~/.config/culvert/profiles").expanduser()
    )
