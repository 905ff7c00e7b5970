"""Sessions for others to read: rows for JSON, and the tables of the session page (S4-41..44)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache

from culvert.session.session import Kind, Session
from culvert.session.table import SessionTable, Totals
from culvert.tables.loader import rows

TABLE = "session_tables.toml"

SCHEMA = 1
"""Rises when a key disappears or changes its meaning; new keys do not raise it."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""As the original writes them in every language."""

SUMMARY = "summary"
GAP = "  "

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table of the page; ``empty`` is what stands there instead of no rows."""

    id: str
    title: str
    empty: str


@dataclass(frozen=True, slots=True)
class Column:
    table: str
    headings: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transport:
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Actions:
    table: str
    actions: tuple[str, ...]


@cache
def page_table(id: str) -> PageTable:
    return next(row for row in rows(TABLE, "table", PageTable) if row.id == id)


@cache
def columns(table: str) -> tuple[Column, ...]:
    """The columns of ``table`` in their order."""
    return tuple(row for row in rows(TABLE, "column", Column) if row.table == table)


@cache
def actions(table: str) -> tuple[str, ...]:
    return next((row.actions for row in rows(TABLE, "actions", Actions) if row.table == table), ())


@cache
def _labels() -> Mapping[str, str]:
    return {row.id: row.label for row in rows(TABLE, "transport", Transport)}


# --- JSON --------------------------------------------------------------------------------------


def row(session: Session, *, now: float) -> Row:
    """One session; the keys are documented and stable (`SCHEMA`)."""
    counters, problem = session.counters, session.problem
    host, port = session.public
    return {
        "number": session.number,
        "kind": str(session.kind),
        "name": session.user,
        "user": session.user,
        "group": session.group,
        "state": str(session.state),
        "protocol": session.protocol,
        "transport": session.transport,
        "tunnel_port": session.tunnel_port,
        "assigned_ip": session.assigned,
        "public_ip": host,
        "public_port": port,
        "encryption": session.encryption,
        "authentication": session.authentication,
        "ike_suite": session.ike_suite,
        "method": session.method,
        "exchange_mode": session.exchange_mode,
        "host_name": session.host_name,
        "client_type": session.client_type,
        "client_version": session.client_version,
        "since": session.began.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": int(max(0.0, now - session.since)),
        "ike_expires_in": _left(session.ike_expires, now),
        "bytes_in": counters.octets_in,
        "bytes_out": counters.octets_out,
        "packets_in": counters.packets_in,
        "packets_out": counters.packets_out,
        "dropped_in": counters.dropped_in,
        "dropped_out": counters.dropped_out,
        "spis": [
            {
                "inbound": f"0x{pair.inbound:08X}",
                "outbound": f"0x{pair.outbound:08X}",
                "local": pair.local,
                "remote": pair.remote,
                "suite": pair.suite,
            }
            for pair in session.spis
        ],
        "weak": list(session.weak),
        "problem": asdict(problem) if problem is not None else None,
    }


def summary(totals: Totals) -> Row:
    """The session summary, by the names of `Totals`."""
    return asdict(totals)


def document(table: SessionTable, *, now: float) -> Row:
    """All sessions and the summary."""
    return {
        "schema": SCHEMA,
        "summary": summary(table.totals),
        "sessions": [row(session, now=now) for session in table],
    }


def _left(expires: float, now: float) -> int | None:
    return int(max(0.0, expires - now)) if expires else None


# --- the page as text --------------------------------------------------------------------------


def login_time(at: datetime) -> str:
    """``Oct 20 20:13:35``, in the zone of ``at``."""
    return f"{MONTHS[at.month - 1]} {at.day:02} {at:%H:%M:%S}"


def duration(seconds: float) -> str:
    """``0:04:04``; hours run on beyond a day."""
    minutes, second = divmod(int(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def protocol(session: Session) -> str:
    """``IPSec/NAT-T``; plain ESP shows the protocol alone."""
    label = _labels().get(session.transport, session.transport)
    return f"{session.protocol}/{label}" if label else session.protocol


def cells(session: Session, *, now: float) -> Mapping[str, str]:
    """Every value that a column may name."""
    return {
        "name": session.user,
        "group": session.group,
        "assigned_ip": session.assigned,
        "public_ip": session.public[0],
        "protocol": protocol(session),
        "encryption": session.encryption,
        "login_time": login_time(session.began),
        "duration": duration(now - session.since),
        "host_name": session.host_name,
        "client_type": session.client_type,
        "client_version": session.client_version,
        "bytes_out": str(session.counters.octets_out),
        "bytes_in": str(session.counters.octets_in),
        "actions": f"[{' | '.join(actions(session.kind))}]",
    }


def summary_text(totals: Totals) -> str:
    """The summary table: headings, one row."""
    values: Mapping[str, object] = summary(totals)
    return _table(SUMMARY, [lambda field: str(values[field])])


def sessions_text(kind: Kind, sessions: Iterable[Session], *, now: float) -> str:
    """The table of one kind, or the words that stand in place of an empty one."""
    found = [cells(session, now=now) for session in sessions if session.kind is kind]
    if not found:
        return page_table(kind).empty
    return _table(kind, [one.__getitem__ for one in found])


def page_text(table: SessionTable, *, now: float) -> str:
    """The whole page: the summary and the three tables, each under its title."""
    parts = [(page_table(SUMMARY).title, summary_text(table.totals))]
    parts += [
        (page_table(kind).title, sessions_text(kind, table, now=now))
        for kind in (Kind.LAN_TO_LAN, Kind.IPSEC_USER, Kind.MANAGEMENT)
    ]
    return "\n\n".join(f"{title}\n{text}" for title, text in parts)


def _table(name: str, values: Sequence[Callable[[str], str]]) -> str:
    """Headings, then one block per entry; a block has as many lines as the highest column."""
    wanted = columns(name)
    height = max(len(column.headings) for column in wanted)
    blocks = [[column.headings for column in wanted]]
    blocks += [[tuple(map(value, column.fields)) for column in wanted] for value in values]
    widths = [max(len(text) for block in blocks for text in block[i]) for i in range(len(wanted))]
    lines = [
        GAP.join(
            (cell[line] if line < len(cell) else "").ljust(width)
            for cell, width in zip(block, widths, strict=True)
        ).rstrip()
        for block in blocks
        for line in range(height)
    ]
    return "\n".join(lines)
