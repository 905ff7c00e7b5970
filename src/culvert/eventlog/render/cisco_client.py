"""The log of the Cisco VPN Client: ``42 17:33:05.000 10/18/02 Sev=Info/4 …`` (S4-50)."""

from __future__ import annotations

from datetime import UTC, datetime

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import own
from culvert.eventlog.render.foreign import Facts
from culvert.tables.texts.cisco_client import (
    client_events,
    client_levels,
    client_modules,
    line_form,
)

STYLE = "cisco_client"
OURS = "F000"
"""Last digits of the id of an event that this product does not have."""

MODULES = {
    "CLIENT": "CM",
    "SESSION": "CM",
    "AUTH": "CM",
    "SYSTEM": "DIALER",
    "IPSEC": "IPSEC",
    "IPSECDBG": "IPSEC",
}
"""Which module tells the events of our classes; the others are IKE's."""


class CiscoClient:
    """Numbers records from 1; times are UTC."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._number = 0

    def render(self, entry: Entry) -> str:
        """The records for one entry, each with its text on the lines below its head."""
        found = self._facts.whole(entry, STYLE, _ours(entry))
        return "\n".join(self._record(entry, id, lines) for id, lines in found)

    def _record(self, entry: Entry, id: str, lines: list[str]) -> str:
        self._number += 1
        level = client_events()[id].level if id in client_events() else scaled(entry.row.severity)
        whole = (head(self._number, entry.at.astimezone(UTC), level, id), *lines, "")
        return "\n".join(whole)


def head(number: int, at: datetime, level: int, id: str) -> str:
    """The first line of a record."""
    module, _, code = id.partition("/0x")
    return line_form().format(
        number=f"{number:<6}",
        time=f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
        date=f" {at:%m/%d/%y} ",
        word=client_levels()[level].word,
        level=f"{level}  ",
        module=module,
        code=code,
    )


def scaled(severity: int) -> int:
    """Our severity, 1 to 13, on the client's scale, 1 to 6 (S0-04)."""
    return min(severity, max(client_levels()))


def _ours(entry: Entry) -> tuple[str, list[str]]:
    module = MODULES.get(entry.row.event_class, "IKE")
    return f"{module}/0x{client_modules()[module].prefix}{OURS}", [own.marked(entry)]
