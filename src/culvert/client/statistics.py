"""The statistics of a connection, from when it came up or from the last reset (S4-21)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Row = Mapping[str, object]

COUNTED = (
    "bytes_in",
    "bytes_out",
    "packets_in",
    "packets_out",
    "dropped_in",
    "dropped_out",
)


@dataclass(slots=True)
class Statistics:
    """What was counted when counting began; ``beside``: packets of all adapters but the tunnel's.

    A new tunnel begins at nought itself.
    """

    beside: int = 0
    began: str = ""
    _before: dict[str, int] = field(default_factory=dict[str, int])

    def begin(self, beside: int) -> None:
        """The tunnel has just come up."""
        self.beside, self.began, self._before = beside, "", {}

    def reset(self, row: Row, beside: int, now: datetime) -> None:
        """Count from here on."""
        self.beside, self.began = beside, now.isoformat()
        self._before = {name: _whole(row, name) for name in COUNTED}

    def of(self, row: Row, beside: int, *, local_lan: bool) -> Row:
        """``row``: that of `culvert status`. ``local_lan``: the profile wants it."""
        counts = {name: max(_whole(row, name) - self._before.get(name, 0), 0) for name in COUNTED}
        # Each packet of the tunnel has also passed an adapter, sealed.
        carried = counts["packets_in"] + counts["packets_out"] + counts["dropped_in"]
        up = row.get("state") == "up"
        return {
            "name": row["name"],
            "state": row["state"],
            "client_address": row["assigned_ip"],
            "server_address": row["gateway"],
            "bytes_in": counts["bytes_in"],
            "bytes_out": counts["bytes_out"],
            "packets_decrypted": counts["packets_in"],
            "packets_encrypted": counts["packets_out"],
            "packets_discarded": counts["dropped_in"] + counts["dropped_out"],
            "packets_bypassed": max(beside - self.beside - carried, 0) if up else 0,
            "encryption": row["encryption"],
            "authentication": row["authentication"],
            "transport": row["transport"],
            "tunnel_port": row["tunnel_port"],
            "local_lan": row["local_lan"] if local_lan else [],
            "compression": row["compression"],
            "since": row["since"],
            "counted_since": self.began or row["since"],
        }


def _whole(row: Row, name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0
