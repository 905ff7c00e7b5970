"""A full disk under a running gateway: sessions go on, and it is told once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from culvert.driver.channel import ENDED
from culvert.driver.process_end import told
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.gateway.store_door import StoreDoor
from culvert.identity.account import Account
from culvert.store.database import open_database
from culvert.store.lifetime import Lifetime
from culvert.store.users import Users
from small_disk import fill, mounted
from waiting import until

SOON = 0.02
NOT_GIVEN = 4
"""Exit status of what the machine does not give (exit_codes.toml)."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, of one megabyte."""
    folder = tmp_path / "small"
    with mounted(folder, 1):
        yield folder


def with_store(folder: Path, work: Callable[..., Any]) -> None:
    """``work`` gets the door, the database and the events."""

    async def lived() -> None:
        with closing(open_database(folder / "gateway.db")) as database:
            events: list[LogEvent] = []
            users = Users(database)
            users.add(Account("ann", "hash"))
            door = StoreDoor(users, Lifetime(database), events.append, again=SOON)
            try:
                await work(door, database, events)
            finally:
                door.close()

    asyncio.run(lived())


def test_what_cannot_be_written_is_told_once_and_written_when_there_is_room(tmp_path: Path) -> None:
    async def work(door: StoreDoor, database: Any, events: list[LogEvent]) -> None:
        database.execute("PRAGMA query_only = ON")
        door.keep(7)
        door.keep(9)
        door.keep(8)
        assert [one.code for one in events] == ["gateway.store-failed"]
        assert "gateway.db" in str(door.status["store_problem"])
        assert door.status["store_unwritten"] == 3
        database.execute("PRAGMA query_only = OFF")
        await until(lambda: door.status["store_problem"] == "")
        assert Lifetime(database).load() == 9
        assert [one.code for one in events] == ["gateway.store-failed", "gateway.store-works"]
        assert door.status["store_unwritten"] == 0

    with_store(tmp_path, work)


def test_a_login_while_the_users_cannot_be_read_is_one_of_nobody_and_the_next_may_work(
    tmp_path: Path,
) -> None:
    async def work(door: StoreDoor, database: Any, events: list[LogEvent]) -> None:
        database.execute("ALTER TABLE users RENAME TO elsewhere")
        assert await asyncio.to_thread(door.find, "ann") is None
        assert await asyncio.to_thread(door.find, "ann") is None
        await until(lambda: bool(events))
        database.execute("ALTER TABLE elsewhere RENAME TO users")
        await until(lambda: door.status["store_problem"] == "")
        assert [one.code for one in events] == ["gateway.store-failed", "gateway.store-works"]
        found = await asyncio.to_thread(door.find, "ann")
        assert found is not None
        assert found.name == "ann"

    with_store(tmp_path, work)


@pytest.mark.root
def test_on_a_full_file_system_the_count_waits_until_there_is_room(small: Path) -> None:
    async def work(door: StoreDoor, _: Any, events: list[LogEvent]) -> None:
        file = fill(small)
        door.keep(5)
        assert "its file system is full" in str(door.status["store_problem"])
        assert "Free space" in str(events[0].fields["action"])
        door.keep(6)
        assert len(events) == 1
        file.unlink()
        await until(lambda: door.status["store_problem"] == "")

    with_store(small, work)
    with closing(open_database(small / "gateway.db")) as database:
        assert Lifetime(database).load() == 6


@pytest.mark.root
def test_at_a_start_a_full_file_system_is_to_be_cleared_and_nothing_restored(small: Path) -> None:
    open_database(small / "gateway.db").close()
    fill(small)
    for name in ("gateway.db", "new.db"):
        with pytest.raises(PlatformError, match="its file system is full") as caught:
            open_database(small / name)
        assert "Free space" in caught.value.action
        assert "backup" not in caught.value.action


@pytest.mark.root
def test_a_user_who_cannot_be_added_for_want_of_room_is_said_in_words(small: Path) -> None:
    with closing(open_database(small / "gateway.db")):
        fill(small)
        words = ["add", "ann", "--group", "g", "--password-stdin", "--state-dir", str(small)]
        found = subprocess.run(
            [sys.executable, "-m", "culvert", "gateway", "user", *words],
            input="secret enough\n",
            capture_output=True,
            text=True,
            check=False,
        )
    assert "its file system is full" in found.stderr
    assert "Free space on the file system" in found.stderr
    assert "Traceback" not in found.stderr
    assert found.returncode == NOT_GIVEN


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("raise SystemExit(3)", "it ended with exit code 3"),
        (f"import os; os.kill(os.getpid(), {signal.SIGKILL})", "it ended by signal 9 (SIGKILL)"),
    ],
)
def test_of_a_process_that_ended_its_signal_or_exit_code_is_told(program: str, how: str) -> None:
    async def lived() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        assert await told(ENDED, process) == how
        assert await told("it said what makes no sense", process) == "it said what makes no sense"

    asyncio.run(lived())
