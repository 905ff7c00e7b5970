"""The event log of a VPN 3000: ``57 10/20/2002 13:01:02.310 SEV=4 IKE/49 …`` (S4-60)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import own
from culvert.eventlog.render.foreign import Facts, split
from culvert.eventlog.wording import one_line
from culvert.tables.loader import document
from culvert.tables.texts.vpn3000 import TABLE, gateway_wordings, line_form

STYLE = "vpn3000"
OURS = 999
"""The number of an event that this product does not have."""

PEERS = ("peer", "public", "source", "new")


class Vpn3000:
    """Sequence numbers rise by the lines used; RPT counts an event's repeats. Times are UTC."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._sequence = 1
        self._repeats: Counter[str] = Counter()

    def render(self, entry: Entry) -> str:
        """The records for one entry, each with its text on the lines below its head."""
        ours = (f"{entry.row.event_class}/{OURS}", [own.marked(entry)])
        found = self._facts.whole(entry, STYLE, ours)
        return "\n".join(self._record(entry, id, lines) for id, lines in found)

    def _record(self, entry: Entry, id: str, lines: list[str]) -> str:
        self._repeats[id] += 1
        at = entry.at.astimezone(UTC)
        wordings = [row.severity for row in gateway_wordings(id) if _same(row.text, lines[0])]
        severity = wordings[0] if wordings else entry.row.severity
        first = head(self._sequence, at, severity, id, self._repeats[id], _peer(entry))
        whole = [first, *_who(entry), *lines]
        self._sequence += len(whole)
        return "\n".join((*whole, ""))


def head(sequence: int, at: datetime, severity: int, id: str, repeat: int, peer: str) -> str:
    """The first line of a record; ``peer`` may be empty."""
    name, _, number = id.partition("/")
    made = line_form().format(
        sequence=sequence,
        date=f"{at:%m/%d/%Y}",
        time=f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
        severity=severity,
        number=number,
        repeat=repeat,
        address=peer,
        **{"class": name},
    )
    return made.rstrip()


def _peer(entry: Entry) -> str:
    found = next((str(peer) for name in PEERS if (peer := entry.field(name))), "")
    return one_line(split(found)[0])


def _who(entry: Entry) -> list[str]:
    """``Group [sales] User [ann]``, as far as it is known."""
    group, user = entry.field("group"), entry.field("user")
    if not (group and user):
        return [one_line(f"Group [{group}]")] if group else []
    return [one_line(str(document(TABLE)["who"]).format(group=group, user=user))]


def _same(wording: str, line: str) -> bool:
    return line.startswith(wording.partition("{")[0])
