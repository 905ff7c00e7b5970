"""Users: the people who may log in, kept in the gateway's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from culvert.errors import ConfigError
from culvert.identity.account import Account
from culvert.store.database import in_words, transaction

LONGEST_NAME = 128
"""Characters of a user name: what the session table and the logs can still show."""


class Users:
    """Accounts by name. May be asked from several threads; other processes may write meanwhile.
    Each method raises PlatformError where the file cannot be read or written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    def find(self, name: str) -> Account | None:
        with self._lock, in_words(self._connection):
            row = self._connection.execute(
                "SELECT name, password_hash, enabled, expires FROM users WHERE name = ?", (name,)
            ).fetchone()
            return None if row is None else self._account(row)

    def all(self) -> list[Account]:
        """Everybody, by name."""
        with self._lock, in_words(self._connection):
            found = self._connection.execute(
                "SELECT name, password_hash, enabled, expires FROM users ORDER BY name"
            ).fetchall()
            return [self._account(row) for row in found]

    def add(self, account: Account) -> None:
        """Raises ConfigError for a name that is taken or cannot be one."""
        check_name(account.name)
        expires = account.expires.isoformat() if account.expires else None
        with self._lock, transaction(self._connection):
            try:
                self._connection.execute(
                    "INSERT INTO users (name, password_hash, enabled, expires) VALUES (?, ?, ?, ?)",
                    (account.name, account.password_hash, account.enabled, expires),
                )
            except sqlite3.IntegrityError:
                raise ConfigError(
                    f"there is a user {account.name} already; change it with "
                    f"`culvert gateway user passwd {account.name}`"
                ) from None
            self._join(account.name, account.groups)

    def remove(self, name: str) -> bool:
        """False if there was nobody of that name."""
        return self._change("DELETE FROM users WHERE name = ?", (name,))

    def set_password(self, name: str, password_hash: str) -> bool:
        """False if there is nobody of that name."""
        return self._change(
            "UPDATE users SET password_hash = ? WHERE name = ?", (password_hash, name)
        )

    def _change(self, statement: str, values: tuple[str, ...]) -> bool:
        with self._lock, transaction(self._connection):
            return self._connection.execute(statement, values).rowcount > 0

    def _join(self, name: str, groups: Iterable[str]) -> None:
        self._connection.executemany(
            "INSERT INTO user_groups (user, group_name) VALUES (?, ?)",
            [(name, group) for group in groups],
        )

    def _account(self, row: tuple[str, str, int, str | None]) -> Account:
        name, password_hash, enabled, expires = row
        groups = self._connection.execute(
            "SELECT group_name FROM user_groups WHERE user = ?", (name,)
        ).fetchall()
        return Account(
            name,
            password_hash,
            frozenset(group for (group,) in groups),
            bool(enabled),
            datetime.fromisoformat(expires) if expires else None,
        )


def check_name(name: str) -> None:
    """Raises ConfigError for what no user can be called."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ConfigError(
            f"{name[:LONGEST_NAME]!r} is no user name: 1 to {LONGEST_NAME} printable characters, "
            "no space at either end"
        )
