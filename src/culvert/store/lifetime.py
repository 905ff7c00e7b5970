"""Lifetime: counters that only grow and survive a restart (S4-64)."""

from __future__ import annotations

import sqlite3

from culvert.store.database import in_words, transaction

CUMULATIVE_SESSIONS = "cumulative-sessions"


class Lifetime:
    """Whoever runs a `SessionTable` loads its count at start and keeps it whenever it has grown."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self, name: str = CUMULATIVE_SESSIONS) -> int:
        with in_words(self._connection):
            row = self._connection.execute(
                "SELECT value FROM lifetime WHERE name = ?", (name,)
            ).fetchone()
        return int(row[0]) if row else 0

    def keep(self, value: int, name: str = CUMULATIVE_SESSIONS) -> None:
        """A value smaller than the kept one changes nothing. Raises PlatformError when it cannot
        be written."""
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO lifetime (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
                (name, value),
            )
