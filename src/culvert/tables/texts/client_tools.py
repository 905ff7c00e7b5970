"""Labels, switches and names that users of other VPN clients know (client_tools.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import rows

TABLE = "texts/client_tools.toml"


@dataclass(frozen=True, slots=True)
class EntryLabel:
    """A label of the connection entry, and the .pcf key (and value) that means the same."""

    text: str
    key: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class VpnguiSwitch:
    switch: str
    about: str
    argument: str = ""
    only_with: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetMtuSwitch:
    switch: str
    about: str
    argument: str = ""
    reboot: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A word to choose or to know, and what it means."""

    text: str
    about: str


@dataclass(frozen=True, slots=True)
class KnownName:
    """A name that programs and administrators know; ``key`` is ours for the same thing."""

    text: str
    about: str
    key: str = ""


@cache
def entry_labels() -> tuple[EntryLabel, ...]:
    return rows(TABLE, "entry", EntryLabel)


@cache
def vpngui_switches() -> Mapping[str, VpnguiSwitch]:
    return MappingProxyType({row.switch: row for row in rows(TABLE, "vpngui", VpnguiSwitch)})


@cache
def setmtu_switches() -> Mapping[str, SetMtuSwitch]:
    return MappingProxyType({row.switch: row for row in rows(TABLE, "setmtu", SetMtuSwitch)})


@cache
def switch_prefixes() -> tuple[Choice, ...]:
    return rows(TABLE, "prefix", Choice)


@cache
def mtu_choices() -> tuple[Choice, ...]:
    return rows(TABLE, "mtu", Choice)


@cache
def known_names() -> tuple[KnownName, ...]:
    return rows(TABLE, "name", KnownName)


@cache
def report_commands() -> tuple[Choice, ...]:
    return rows(TABLE, "report", Choice)


@cache
def policies() -> tuple[Choice, ...]:
    return rows(TABLE, "policy", Choice)
