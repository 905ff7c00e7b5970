"""The gateway's database: one SQLite file, readable by its owner alone, migrated when opened."""

from __future__ import annotations

import errno
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

LEAST_ROOM = 65536
"""Octets: a file system with less has none for SQLite, whose side files begin with 32 KiB."""

LOW_BITS = 0xFF
"""Of an SQLite result: which kind of problem; those above say where."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


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
        raise unusable(path, error) from error
    except PlatformError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """All or nothing; writers of other processes wait. Raises PlatformError, as `in_words`."""
    with in_words(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have ended it already
                connection.execute("ROLLBACK")
            raise


@contextmanager
def in_words(connection: sqlite3.Connection) -> Generator[None]:
    """What the database cannot do inside is raised as PlatformError, with what to do."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # about what was asked, not about the file
    except sqlite3.DatabaseError as error:
        _, _, name = connection.execute("PRAGMA database_list").fetchone()
        raise unusable(Path(name), error) from error


def unusable(path: Path, error: sqlite3.Error) -> PlatformError:
    """The same in words."""
    code = getattr(error, "sqlite_errorcode", 0) & LOW_BITS
    if code == sqlite3.SQLITE_FULL or (
        code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and not _has_room(path.parent)
    ):
        what = f"{path} cannot be written: its file system is full ({error})"
        return PlatformError(what, action=free_space(path.parent))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what = f"{path} is held by another process ({error})"
        return PlatformError(what, action=f"Try again; `fuser {path}` shows who has it.")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        what = f"{path} cannot be read or written ({error})"
        action = f"Look at the file's owner and its file system (`ls -l {path}`, `dmesg`)."
        return PlatformError(what, action=action)
    return PlatformError(
        f"{path} is not usable as the gateway's database ({error})",
        action="Restore it from a backup, or move it away to begin with an empty one.",
    )


def free_space(folder: Path) -> str:
    """What to do about a full file system."""
    return f"Free space on the file system of {folder} (`df {folder}` shows it), then try again."


def _has_room(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return True  # unknown: then it is not what is told
    return found.f_bavail * found.f_frsize >= LEAST_ROOM


def _make_private(path: Path) -> None:
    """The file exists afterwards, 0600; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        mode = path.stat().st_mode
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be opened ({error.strerror})",
            action=free_space(path.parent)
            if error.errno in NO_ROOM
            else "Run as the gateway's user, or name its state directory with --state-dir.",
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
