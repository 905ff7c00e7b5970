"""The gateway's database: one SQLite file, readable by its owner alone, migrated when opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from culvert.errors import PlatformError

FILE_NAME = "gateway.db"

BUSY_SECONDS = 5.0
"""How long one process waits for another's write; each write here takes milliseconds."""

OTHERS = 0o077


def open_database(path: Path) -> sqlite3.Connection:
    """The database at ``path``, made if it is not there, brought to the newest schema.

    The connection may pass between threads; `transaction` keeps writers apart.
    Raises PlatformError if it cannot be opened, is readable by others, or is newer than we are.
    """
    _make_private(path)
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise PlatformError(
            f"{path} cannot be opened ({error})", action="Check the path and its permissions."
        ) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise PlatformError(
            f"{path} is not usable as the gateway's database ({error})",
            action="Restore it from a backup, or move it away to begin with an empty one.",
        ) from error
    except PlatformError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """All or nothing; writers of other processes wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _make_private(path: Path) -> None:
    """The file exists afterwards, 0600; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        mode = path.stat().st_mode
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be opened ({error.strerror})",
            action="Run as the gateway's user, or name its state directory with --state-dir.",
        ) from error
    if mode & OTHERS:
        raise PlatformError(
            f"{path} holds password hashes and is open to others (mode {mode & 0o777:o})",
            action=f"chmod 600 {path}",
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    steps = _migrations()
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(steps):
            raise PlatformError(
                f"{path} has schema {version}, this culvert knows up to {len(steps)}",
                action="Install the newer version again.",
            )
        for number, script in enumerate(steps[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _migrations() -> list[str]:
    """The scripts in order; the n-th brings schema n-1 to schema n."""
    folder = files("culvert.store").joinpath("migrations")
    scripts = {one.name: one for one in folder.iterdir() if one.name.endswith(".sql")}
    return [scripts[name].read_text("utf-8") for name in sorted(scripts)]


def _statements(script: str) -> Iterator[str]:
    """Statement by statement: `executescript` would commit the transaction around it."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
