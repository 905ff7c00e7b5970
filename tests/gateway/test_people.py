"""From the configuration file and the store to a verdict, with real hashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import load
from culvert.gateway.people import group_keys, is_open, judge, session_table
from culvert.identity.account import Account
from culvert.ike.wire.identity import Identity
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.store.database import open_database
from culvert.store.lifetime import Lifetime
from culvert.store.users import Users
from culvert.vault.judge import PasswordJudge
from culvert.vault.password import Argon2id

PATIENCE = 10.0
INLINE = Argon2id().hash(Secret("from the file"))

CONFIG = load(
    f"""
    [gateway]
    legacy = ["aggressive-psk"]
    session_limit = 7

    [lockout]
    tries = 2

    [[pool]]
    name = "clients"
    addresses = ["40.1.1.0/24"]

    [[group]]
    name = "sales"
    key = "a key that is long enough"

    [[group]]
    name = "night"
    key = "a key that is long enough"
    hours = ["mon 00:00-00:01"]

    [[user]]
    name = "ann"
    password_hash = "{INLINE}"
    groups = ["sales"]
    """,
    "gateway.toml",
)


class Desk:
    """A judge over a real store, asked one login at a time."""

    def __init__(self, path: Path) -> None:
        self.database = open_database(path)
        self.answers: Queue[tuple[Judged, LogEvent]] = Queue()
        self.judge: PasswordJudge = judge(
            CONFIG, Users(self.database), lambda judged, event: self.answers.put((judged, event))
        )

    def ask(self, user: str, word: str, group: str = "sales") -> str:
        self.judge.judge(Judge(1, group, user, Secret(word), "192.0.2.9"))
        judged, event = self.answers.get(timeout=PATIENCE)
        assert judged.accepted == (event.code == "auth.accepted")
        return event.code


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "gateway.db")
    yield made
    made.judge.close()
    made.database.close()


def test_users_of_the_file_and_of_the_store_come_in_to_their_groups_only(desk: Desk) -> None:
    stored = Argon2id().hash(Secret("from the store"))
    Users(desk.database).add(Account("bob", stored, frozenset({"sales"})))
    assert desk.ask("ann", "from the file") == "auth.accepted"
    assert desk.ask("bob", "from the store") == "auth.accepted"
    assert desk.ask("bob", "from the store", group="night") == "auth.not-in-group"
    assert desk.ask("nobody", "x") == "auth.unknown-user"


def test_the_file_comes_before_the_store(desk: Desk) -> None:
    stored = Argon2id().hash(Secret("from the store"))
    Users(desk.database).add(Account("ann", stored, frozenset({"sales"})))
    assert desk.ask("ann", "from the store") == "auth.wrong-password"


def test_the_lockout_of_the_file_holds(desk: Desk) -> None:
    assert [desk.ask("ann", "wrong") for _ in range(3)] == [
        "auth.wrong-password",
        "auth.wrong-password",
        "auth.locked",
    ]
    assert desk.ask("ann", "from the file") == "auth.locked"


def test_hours_of_a_group_hold_and_a_group_that_is_gone_is_closed() -> None:
    monday = datetime(2030, 1, 7, tzinfo=UTC)
    assert is_open(CONFIG, "night", monday)
    assert not is_open(CONFIG, "night", monday.replace(hour=1))
    assert not is_open(CONFIG, "gone", monday)


def test_the_session_table_has_the_limit_of_the_file_and_the_count_of_the_store(
    tmp_path: Path,
) -> None:
    with closing(open_database(tmp_path / "gateway.db")) as database:
        Lifetime(database).keep(52)
        totals = session_table(CONFIG, database).totals
    assert (totals.limit, totals.cumulative, totals.active) == (7, 52, 0)


def test_group_keys_are_those_of_the_file() -> None:
    keys = group_keys(CONFIG, SeededRandom(1))
    identity = Identity.of_group("sales")
    assert keys.skeyid(identity, "sha1", b"i", b"r").group == "sales"
