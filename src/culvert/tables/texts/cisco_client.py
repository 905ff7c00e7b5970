"""The words of the Cisco VPN Client's log (cisco_client.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from culvert.tables.loader import document, rows

TABLE = "texts/cisco_client.toml"


@dataclass(frozen=True, slots=True)
class ClientLevel:
    """A severity: 1 critical to 6 informational."""

    level: int
    word: str
    label: str
    seen: bool = False


@dataclass(frozen=True, slots=True)
class ClientModule:
    name: str
    prefix: str
    about: str


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """An event by id such as ``IKE/0x63000013``, with every wording of its first line."""

    id: str
    level: int
    texts: tuple[str, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientWord:
    """A word that the texts use, and what it means."""

    kind: Literal["exchange", "encrypted", "attribute"]
    text: str
    meaning: str


def line_form() -> str:
    """The first line of a record."""
    return str(document(TABLE)["form"])


@cache
def client_levels() -> Mapping[int, ClientLevel]:
    return MappingProxyType({row.level: row for row in rows(TABLE, "level", ClientLevel)})


@cache
def client_modules() -> Mapping[str, ClientModule]:
    return MappingProxyType({row.name: row for row in rows(TABLE, "module", ClientModule)})


@cache
def client_events() -> Mapping[str, ClientEvent]:
    return MappingProxyType({row.id: row for row in rows(TABLE, "event", ClientEvent)})


@cache
def client_words() -> tuple[ClientWord, ...]:
    return rows(TABLE, "word", ClientWord)
