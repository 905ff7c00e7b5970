"""``culvert gateway user``: people in the store, passwords never as an argument."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from culvert.cli.gateway_user import LONGEST_PASSWORD, user
from culvert.errors import ConfigError, PlatformError
from culvert.identity.account import Account
from culvert.secret import Secret
from culvert.store.database import open_database
from culvert.store.users import Users
from culvert.vault.password import Argon2id, FastHash


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def run(state: Path, *words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(user, [*words, "--state-dir", str(state)], input=given)


@contextmanager
def descriptor(content: bytes) -> Iterator[str]:
    """The number of a descriptor from which ``content`` can be read."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        yield str(reading)
    finally:
        os.close(reading)


@contextmanager
def from_input(content: bytes) -> Iterator[None]:
    """With ``content`` as the standard input of this process."""
    kept = os.dup(0)
    try:
        with descriptor(content) as number:
            os.dup2(int(number), 0)
            yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def stored(state: Path, name: str) -> Account:
    with closing(open_database(state / "gateway.db")) as connection:
        account = Users(connection).find(name)
    assert account is not None
    return account


def test_a_user_is_added_with_a_prompted_password(state: Path) -> None:
    done = run(state, "add", "ann", "--group", "sales", "--group", "it", given="s3cret\ns3cret\n")
    assert done.exit_code == 0, done.output
    assert "s3cret" not in done.output
    account = stored(state, "ann")
    assert account.groups == {"sales", "it"}
    assert Argon2id().matches(account.password_hash, Secret("s3cret"))


def test_a_password_from_a_descriptor_loses_its_last_line_end_only(state: Path) -> None:
    with descriptor(b"two words \n") as number:
        done = run(state, "add", "ann", "--group", "sales", "--password-fd", number)
    assert done.exit_code == 0, done.output
    assert Argon2id().matches(stored(state, "ann").password_hash, Secret("two words "))


def test_a_password_is_read_from_the_standard_input_as_by_up(state: Path) -> None:
    with from_input(b"piped\n"):
        done = run(state, "add", "ann", "--group", "sales", "--password-stdin")
    assert done.exit_code == 0, done.output
    assert Argon2id().matches(stored(state, "ann").password_hash, Secret("piped"))
    with from_input(b"another\n"):
        assert run(state, "passwd", "ann", "--password-stdin").exit_code == 0
    assert Argon2id().matches(stored(state, "ann").password_hash, Secret("another"))
    both = run(state, "add", "bob", "--group", "sales", "--password-stdin", "--password-fd", "0")
    assert both.exit_code == 2
    assert "exclude each other" in both.output


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"x" * (LONGEST_PASSWORD + 2)])
def test_what_cannot_be_a_password_is_refused_and_adds_nobody(state: Path, content: bytes) -> None:
    with descriptor(content) as number:
        done = run(state, "add", "ann", "--group", "sales", "--password-fd", number)
    assert isinstance(done.exception, ConfigError)
    assert json.loads(run(state, "list", "--json").output)["users"] == []


def test_state_and_store_are_for_their_owner_alone(state: Path) -> None:
    run(state, "list")
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "gateway.db").stat().st_mode) == 0o600


def test_the_list_shows_everybody_and_no_hash(state: Path) -> None:
    assert run(state, "list").output == "There are no users.\n"
    run(state, "add", "ann", "--group", "it", "--expires", "2030-12-31", given="x\nx\n")
    run(state, "add", "bob", "--group", "sales", "--group", "it", given="x\nx\n")
    text, whole = run(state, "list").output, run(state, "list", "--json").output
    assert text.splitlines()[1].split() == ["ann", "it", "yes", "2030-12-31"]
    assert text.splitlines()[2].split() == ["bob", "it", "sales", "yes", "never"]
    assert "argon2" not in text + whole
    assert json.loads(whole) == {
        "schema": 1,
        "users": [
            {
                "name": "ann",
                "groups": ["it"],
                "enabled": True,
                "expires": "2030-12-31T00:00:00+00:00",
            },
            {"name": "bob", "groups": ["it", "sales"], "enabled": True, "expires": None},
        ],
    }


def test_another_password_replaces_the_first(state: Path) -> None:
    run(state, "add", "ann", "--group", "sales", given="old\nold\n")
    assert run(state, "passwd", "ann", given="new\nnew\n").exit_code == 0
    scheme, now = Argon2id(), stored(state, "ann").password_hash
    assert scheme.matches(now, Secret("new"))
    assert not scheme.matches(now, Secret("old"))


def test_a_removed_user_is_gone(state: Path) -> None:
    run(state, "add", "ann", "--group", "sales", given="x\nx\n")
    assert run(state, "remove", "ann").exit_code == 0
    assert isinstance(run(state, "remove", "ann").exception, ConfigError)


def test_nobody_is_asked_for_a_password_of_who_does_not_exist(state: Path) -> None:
    done = run(state, "passwd", "nobody", given="x\nx\n")
    assert isinstance(done.exception, ConfigError)
    assert "Password" not in done.output


def test_a_name_that_is_taken_is_refused(state: Path) -> None:
    run(state, "add", "ann", "--group", "sales", given="x\nx\n")
    again = run(state, "add", "ann", "--group", "sales", given="y\ny\n")
    assert isinstance(again.exception, ConfigError)


def test_a_hash_for_the_configuration_file_is_printed() -> None:
    with descriptor(b"x") as number:
        done = CliRunner().invoke(user, ["hash", "--password-fd", number, "--backend", "fast-hash"])
    assert FastHash().matches(done.output.strip(), Secret("x"))


def test_a_state_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "state", "list")
    assert isinstance(done.exception, PlatformError)
    assert "--state-dir" in str(done.exception)


def test_no_command_takes_a_password_as_an_argument() -> None:
    for command in user.commands.values():
        options = {name for parameter in command.params for name in parameter.opts}
        assert "--password" not in options
