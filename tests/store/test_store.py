"""The gateway's database: private, migrated, shared with the command line."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from culvert.errors import ConfigError, PlatformError
from culvert.identity.account import Account
from culvert.session.session import Kind
from culvert.session.table import SessionTable
from culvert.store.database import open_database, transaction
from culvert.store.lifetime import Lifetime
from culvert.store.users import Users

ANN = Account("ann", "hash", frozenset({"sales", "it"}), expires=datetime(2030, 1, 1, tzinfo=UTC))
AT = datetime(2030, 1, 7, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


def test_the_file_and_its_side_files_are_their_owners_alone(path: Path) -> None:
    connection = open_database(path)
    Users(connection).add(ANN)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600}
    connection.close()


def test_a_file_open_to_others_is_refused_with_what_to_do(path: Path) -> None:
    open_database(path).close()
    path.chmod(0o640)
    with pytest.raises(PlatformError, match="chmod 600"):
        open_database(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    path.chmod(0o600)
    with pytest.raises(PlatformError, match="not usable"):
        open_database(path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="--state-dir"):
        open_database(tmp_path / "none" / "gateway.db")


def test_a_newer_schema_is_left_alone(path: Path) -> None:
    connection = open_database(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(PlatformError, match="schema 99"):
        open_database(path)


def test_opening_again_migrates_nothing_twice(path: Path) -> None:
    connection = open_database(path)
    Users(connection).add(ANN)
    connection.close()
    again = open_database(path)
    assert Users(again).find("ann") == ANN
    again.close()


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    connection = open_database(path)
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.execute("INSERT INTO users (name, password_hash) VALUES ('x', 'h')")
        connection.execute("INSERT INTO users (name, password_hash) VALUES ('x', 'h')")
    assert Users(connection).find("x") is None
    connection.close()


def test_a_user_is_kept_with_everything(path: Path) -> None:
    connection = open_database(path)
    users = Users(connection)
    users.add(ANN)
    users.add(Account("bob", "h", enabled=False))
    assert users.all() == [ANN, Account("bob", "h", enabled=False)]
    assert users.find("nobody") is None
    connection.close()


def test_a_name_that_is_taken_is_refused_and_changes_nothing(path: Path) -> None:
    connection = open_database(path)
    users = Users(connection)
    users.add(ANN)
    with pytest.raises(ConfigError, match="passwd"):
        users.add(Account("ann", "other"))
    assert users.find("ann") == ANN
    connection.close()


@pytest.mark.parametrize("name", ["", " ann", "ann\n", "a\x00b", "x" * 129])
def test_what_cannot_be_a_name_is_refused(path: Path, name: str) -> None:
    connection = open_database(path)
    with pytest.raises(ConfigError, match="no user name"):
        Users(connection).add(Account(name, "h"))
    connection.close()


def test_removing_takes_the_memberships_along(path: Path) -> None:
    connection = open_database(path)
    users = Users(connection)
    users.add(ANN)
    assert users.remove("ann")
    assert not users.remove("ann")
    assert connection.execute("SELECT count(*) FROM user_groups").fetchone() == (0,)
    connection.close()


def test_a_change_by_another_process_is_seen_at_once(path: Path) -> None:
    running, command = open_database(path), open_database(path)
    Users(command).add(ANN)
    assert Users(running).find("ann") == ANN
    assert Users(command).set_password("ann", "new")
    found = Users(running).find("ann")
    assert found is not None
    assert found.password_hash == "new"
    running.close()
    command.close()


@pytest.mark.requirement("S4-64", part="restart")
def test_the_cumulative_count_goes_on_after_a_restart(path: Path) -> None:
    counts: list[int] = []
    for _ in range(3):
        connection = open_database(path)
        lifetime = Lifetime(connection)
        table = SessionTable(limit=0, cumulative=lifetime.load())
        for _ in range(2):
            table.admit(Kind.IPSEC_USER, "ann", at=AT, now=0.0)
            lifetime.keep(table.cumulative)
        counts.append(table.totals.cumulative)
        connection.close()
    assert counts == [2, 4, 6]


def test_a_kept_count_never_falls(path: Path) -> None:
    connection = open_database(path)
    lifetime = Lifetime(connection)
    lifetime.keep(69)
    lifetime.keep(52)
    assert lifetime.load() == 69
    connection.close()
