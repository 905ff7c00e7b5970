"""One line that sums up an attempt: mode, login time, NAT, address, SAs, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from culvert.eventlog.diagnosis import TABLE, UP
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field
from culvert.eventlog.wording import fill, one_line, spoken
from culvert.tables.loader import rows

WHOLE_SECONDS = 10.0
"""From here on a duration is told in whole seconds."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of the line."""

    id: str
    text: str


@cache
def clauses() -> Mapping[str, str]:
    return {row.id: row.text for row in rows(TABLE, "clause", Clause)}


def summary(entries: Sequence[Entry]) -> str:
    """The clauses that the entries of one attempt have facts for, joined; empty without any."""
    last = {entry.code: entry for entry in entries}
    said = (
        *_mode(last),
        *_login(last),
        *_nat(last),
        *_address(entries, last),
        *_sas(entries),
        *_connected(entries),
        *_weak(entries),
    )
    return one_line("; ".join(said))


Last = Mapping[str, Entry]


def _clause(id: str, **fields: Field) -> str:
    return fill(clauses()[id], fields)


def _mode(last: Last) -> Iterator[str]:
    started, established = last.get("ike.phase1-started"), last.get("ike.phase1-established")
    if started and established:
        mode = str(started.field("mode")).capitalize()
        known = spoken("authentication", established.field("authentication"))
        # A log in another product's words may not have it.
        yield _clause("mode", mode=mode, authentication=known or "authenticated")


def _login(last: Last) -> Iterator[str]:
    asked, answered = last.get("xauth.asked"), last.get("xauth.answered")
    if asked and answered and answered.now >= asked.now:
        yield _clause("xauth", seconds=answered.now - asked.now)


def _nat(last: Last) -> Iterator[str]:
    if found := last.get("ike.nat-detected"):
        ends = (bool(found.field("local")), bool(found.field("remote")))
        client, gateway = ends if found.side == "client" else reversed(ends)
        behind = {(True, True): "both", (True, False): "client", (False, True): "gateway"}
        yield _clause(f"nat-{behind.get((client, gateway), 'none')}")
    if agreed := last.get("ike.natt-negotiated"):
        yield _clause(f"natt-{agreed.side}", port=agreed.field("port"))


def _address(entries: Sequence[Entry], last: Last) -> Iterator[str]:
    """As the gateway gave it, as the client got it, or as it stood when all was done."""
    for code, name in (
        ("client.up", "address"),
        ("session.started", "assigned"),
        ("config.sent", "address"),
    ):
        if code in last:
            yield _clause("address", address=last[code].field(name))
            return
    for entry in entries:
        if entry.code == "config.attribute" and entry.field("name") == "INTERNAL_IP4_ADDRESS":
            yield _clause("address", address=entry.field("value"))
            return


def _sas(entries: Sequence[Entry]) -> Iterator[str]:
    """The first pair and what was added to it; a pair that replaces one is not counted."""
    pairs = [entry for entry in entries if entry.code == "quick.established"]
    count = min(len(pairs), 1) + sum(one.field("additional") is True for one in pairs[1:])
    if count == 1:
        yield _clause("one-sa")
    elif count:
        yield _clause("sas", count=spoken("count", count))


def _connected(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.code in UP:
            seconds = max(entry.now - entries[0].now, 0.0)
            exact = f"{seconds:.0f}" if seconds >= WHOLE_SECONDS else f"{seconds:.1f}"
            yield _clause("connected", seconds=exact)
            return


def _weak(entries: Sequence[Entry]) -> Iterator[str]:
    found = dict.fromkeys(str(one.field("what")) for one in entries if one.code == "ike.weak")
    if found:
        yield _clause("weak", what=", ".join(found))
