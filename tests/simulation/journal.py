"""The journal of a simulation: every event and datagram in order, and its sequence diagram.

     0.030 C1>  AG SA,KE,NON,ID,VID,VID
     0.070 G<   AG SA,KE,NON,ID,VID,VID
     0.070 G>x  AG SA,KE,NON,ID,HASH
     1.030 C1>  AG SA,KE,NON,ID,VID,VID (again)
     2.312 C1   client.up address=40.1.1.1 …

``x`` is lost on the way, ``2`` doubled, ``?`` nobody was there to take it. Messages are drawn from
the ends' own events ike.sending and ike.received; a datagram without one by its size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from culvert.eventlog.event import LogEvent
from culvert.inet.address import Address

MARKER = bytes(4)

DRAWN_ANYHOW = frozenset(
    ("ike.sending", "ike.retransmit", "ike.vendor-id", "ike.peer-supports", "config.attribute")
)
"""Events that the messages themselves show."""

CROWDED = ("cookies", "session", "connection", "group", "user")
"""Keys that stand on every line of a log and would hide the rest here."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, who told it and when."""

    at: float
    name: str
    event: LogEvent


@dataclass(slots=True)
class Seen:
    """One datagram on its way. ``fate``: empty when it arrived once."""

    at: float
    name: str
    octets: bytes
    source: Address
    to: Address
    fate: str = ""
    arrivals: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    @property
    def message(self) -> bytes:
        """The octets without the non-ESP marker."""
        return self.octets.removeprefix(MARKER)


Journal = list[Told | Seen]


def diagram(journal: Journal) -> str:
    """The whole journal as text."""
    pen = _Pen()
    return "\n".join([line for entry in journal for line in pen.draw(entry)])


class _Pen:
    """Draws entry by entry; remembers what each message looked like when it was first sent."""

    def __init__(self) -> None:
        self._pictures: dict[bytes, str] = {}
        self._about_to_send: dict[str, str] = {}

    def draw(self, entry: Told | Seen) -> list[str]:
        if isinstance(entry, Seen):
            arrow = f"{entry.name}>{entry.fate}"
            return [f"{entry.at:10.3f} {arrow:<5}{self._picture(entry)}"]
        code, fields = entry.event.code, entry.event.fields
        if code == "ike.sending":
            self._about_to_send[entry.name] = _payloads(entry.event)
        if code in DRAWN_ANYHOW:
            return []
        if code == "ike.received":
            return [f"{entry.at:10.3f} {entry.name + '<':<5}{_payloads(entry.event)}"]
        shown = " ".join(f"{k}={v}" for k, v in fields.items() if k not in CROWDED)
        return [f"{entry.at:10.3f} {entry.name:<5}{code} {shown}".rstrip()]

    def _picture(self, seen: Seen) -> str:
        message = seen.message
        if known := self._pictures.get(message):
            return f"{known} (again)"
        if drawn := self._about_to_send.pop(seen.name, ""):
            self._pictures[message] = drawn
            return drawn
        return f"{len(seen.octets)} octets"


def _payloads(event: LogEvent) -> str:
    fields = event.fields
    star = "*" if fields["encrypted"] else ""
    return f"{fields['exchange']}{star} {str(fields['payloads']).replace(', ', ',')}"
