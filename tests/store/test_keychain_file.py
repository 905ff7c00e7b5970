"""The encrypted file of secrets: kept, given back, refused when damaged or open to others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import PlatformError
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.store.keychain_file import KeychainFile, KeychainPlaces, keychain_places


def opened(folder: Path) -> KeychainFile:
    return KeychainFile(places(folder), SeededRandom(1))


def places(folder: Path) -> KeychainPlaces:
    return KeychainPlaces(folder / "data" / "k.json", folder / "config" / "k.key")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_what_is_put_is_given_back(
    tmp_path_factory: pytest.TempPathFactory, connection: str, value: str
) -> None:
    folder = tmp_path_factory.mktemp("home")
    opened(folder).put(connection, "password", Secret(value))
    opened(folder).put(connection, "group_key", Secret("other"))
    assert opened(folder).get(connection, "password") == Secret(value)
    assert opened(folder).erase(connection, "password")
    assert not opened(folder).erase(connection, "password")
    assert opened(folder).get(connection, "password") is None
    assert opened(folder).get(connection, "group_key") == Secret("other")


def test_a_secret_moved_to_another_name_or_with_another_key_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).put("office", "password", Secret("x"))
    where = places(tmp_path)
    text = where.secrets.read_text()
    where.secrets.write_text(text.replace("office", "elsewhere"))
    with pytest.raises(PlatformError, match="do not belong together"):
        opened(tmp_path).get("elsewhere", "password")
    where.secrets.write_text(text)
    where.key.write_bytes(bytes(32))
    with pytest.raises(PlatformError, match="do not belong together"):
        opened(tmp_path).get("office", "password")


@pytest.mark.parametrize("damage", ["", "[]", '{"a": 1}', "{", "[" * 100_000])
def test_a_damaged_file_is_told(tmp_path: Path, damage: str) -> None:
    opened(tmp_path).put("office", "password", Secret("x"))
    places(tmp_path).secrets.write_text(damage)
    if not damage:
        assert opened(tmp_path).get("office", "password") is None
        return
    with pytest.raises(PlatformError, match="is damaged"):
        opened(tmp_path).get("office", "password")


def test_files_that_others_may_read_are_not_used(tmp_path: Path) -> None:
    opened(tmp_path).put("office", "password", Secret("x"))
    for file in (places(tmp_path).secrets, places(tmp_path).key):
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o640)
        with pytest.raises(PlatformError, match="read by others"):
            opened(tmp_path).get("office", "password")
        file.chmod(0o600)


def test_nothing_stands_in_clear(tmp_path: Path) -> None:
    opened(tmp_path).put("office", "password", Secret("correct horse"))
    for file in (places(tmp_path).secrets, places(tmp_path).key):
        assert b"correct horse" not in file.read_bytes()


def test_they_lie_apart_where_the_desktop_says() -> None:
    found = keychain_places({"XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c"})
    assert str(found.secrets) == "/d/culvert/keychain.json"
    assert str(found.key) == "/c/culvert/keychain.key"
