"""The words of the VPN 3000 Concentrator's event log (vpn3000.toml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from culvert.tables.loader import document, rows

TABLE = "texts/vpn3000.toml"


@dataclass(frozen=True, slots=True)
class GatewayClass:
    """A class of events, by which the log is filtered."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """One wording of an event such as ``IKE/49``; several events share ``IKEDBG/0``."""

    id: str
    severity: int
    text: str
    lines: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    emitted: bool = False


def line_form() -> str:
    """The first line of a record; the address may be missing."""
    return str(document(TABLE)["form"])


def exchange_title(short: str) -> str:
    """How the decoder of headers names an exchange."""
    return str(document(TABLE)["exchanges"].get(short, short))


@cache
def gateway_classes() -> tuple[GatewayClass, ...]:
    return rows(TABLE, "event_class", GatewayClass)


@cache
def gateway_events() -> tuple[GatewayEvent, ...]:
    return rows(TABLE, "event", GatewayEvent)


def gateway_wordings(id: str) -> tuple[GatewayEvent, ...]:
    """All wordings of one event number."""
    return tuple(row for row in gateway_events() if row.id == id)
