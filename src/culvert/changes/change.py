"""The changes this product makes to a machine, as values that say how to undo them.

Each carries what was there before and what was put there, so that whoever undoes it can see
whether what it finds is still ours. Written to and read from the undo log as JSON objects.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import cast

from culvert.errors import CulvertError


class DamagedRecord(CulvertError):
    """A line of the undo log that is not a record: a torn write, or a damaged disk."""

    code = "platform.undo-log"


@dataclass(frozen=True, slots=True)
class TunMade:
    """A TUN device. The kernel removes it with its last descriptor; this is for the case that a
    child of a killed process still holds one. ``index`` is 0 until the device is there."""

    interface: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class IpsecMade:
    """A virtual interface of the kernel's IPsec. It outlives its owner, with every SA and policy
    that carries its ``number``: undoing removes those, too."""

    interface: str
    number: int


@dataclass(frozen=True, slots=True)
class LinkSet:
    """An interface brought up with an MTU."""

    interface: str
    index: int
    mtu: int
    mtu_before: int
    up_before: bool


@dataclass(frozen=True, slots=True)
class AddressAdded:
    interface: str
    index: int
    address: str
    prefix_length: int


@dataclass(frozen=True, slots=True)
class RouteAdded:
    """A route in the main table, marked as ours by its protocol number.

    ``via`` is empty for a route straight into the interface.
    """

    destination: str
    interface: str
    index: int
    via: str = ""
    metric: int = 0


@dataclass(frozen=True, slots=True)
class TableRoute:
    """A route in a table of our own. ``how`` "unreachable" or "throw": without a device."""

    destination: str
    table: int
    interface: str = ""
    index: int = 0
    how: str = "unicast"
    metric: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class RuleAdded:
    """A routing rule: packets of IP ``version`` to ``destination`` (empty: any) look into
    ``table``. ``carries`` is an IP protocol, ``port`` the port they go to, ``source_port`` the one
    they come from; 0: any."""

    priority: int
    table: int
    version: int
    destination: str = ""
    carries: int = 0
    port: int = 0
    source_port: int = 0


@dataclass(frozen=True, slots=True)
class SysctlSet:
    """``key`` as below /proc/sys: ``net/ipv4/ip_forward``."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Content:
    """A regular file."""

    octets: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Symlink:
    target: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No such file."""


FileState = Content | Symlink | Absent


@dataclass(frozen=True, slots=True)
class FileReplaced:
    """The one kind that outlives a reboot."""

    path: str
    before: FileState
    after: FileState


@dataclass(frozen=True, slots=True)
class NamesGiven:
    """A program of the system was told who answers names for ``interface``: ``servers`` and
    ``domains`` with blanks between. ``split``: these domains only."""

    program: str
    interface: str
    index: int
    servers: str
    domains: str
    split: bool


Change = (
    TunMade
    | IpsecMade
    | LinkSet
    | AddressAdded
    | RouteAdded
    | TableRoute
    | RuleAdded
    | SysctlSet
    | FileReplaced
    | NamesGiven
)

_KINDS: dict[str, type[Change]] = {
    "tun": TunMade,
    "ipsec": IpsecMade,
    "link": LinkSet,
    "address": AddressAdded,
    "route": RouteAdded,
    "table-route": TableRoute,
    "rule": RuleAdded,
    "sysctl": SysctlSet,
    "file": FileReplaced,
    "names": NamesGiven,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_record(change: Change) -> dict[str, object]:
    """The change as JSON can hold it."""
    record: dict[str, object] = {"kind": _NAMES[type(change)]}
    for field in fields(change):
        value: object = getattr(change, field.name)
        if isinstance(value, Content | Symlink | Absent):
            value = _file_record(value)
        record[field.name] = value
    return record


def parse_record(record: object) -> Change:
    """The inverse of `to_record`. Raises `DamagedRecord`."""
    values = _object(record)
    kind = _KINDS.get(str(values.get("kind")))
    if kind is None:
        raise DamagedRecord(f"no change of the kind {values.get('kind')!r}")
    arguments: dict[str, object] = {}
    for field in fields(kind):
        value = values.get(field.name)
        if field.type == "FileState":
            value = _parse_file(value)
        elif type(value).__name__ != field.type:
            raise DamagedRecord(f"{values['kind']}: {field.name} is no {field.type}")
        arguments[field.name] = value
    return kind(**arguments)  # type: ignore[arg-type]  # checked field by field above


def describe(change: Change) -> str:
    """A few words for a person."""
    match change:
        case TunMade(interface=interface):
            return f"device {interface}"
        case IpsecMade(interface=interface):
            return f"IPsec interface {interface} with what belongs to it"
        case LinkSet(interface=interface, mtu=mtu):
            return f"MTU {mtu} of {interface}"
        case AddressAdded(interface=interface, address=address, prefix_length=length):
            return f"address {address}/{length} of {interface}"
        case RouteAdded(destination=destination, interface=interface, via=via):
            return f"route to {destination}" + (f" via {via}" if via else "") + f" on {interface}"
        case TableRoute(destination=destination, table=table, how=way):
            how = "" if way == "unicast" else f" ({way})"
            return f"route to {destination}{how} in table {table}"
        case RuleAdded(priority=priority, destination=destination, table=table):
            what = destination or "everything"
            return f"rule {priority}: {what} by table {table}"
        case SysctlSet(key=key, after=after):
            return f"kernel setting {key} = {after}"
        case FileReplaced(path=path):
            return f"file {path}"
        case NamesGiven(program=program, interface=interface):
            return f"name servers of {interface} by {program}"


def _file_record(state: FileState) -> dict[str, object]:
    match state:
        case Content(octets=octets, mode=mode, uid=uid, gid=gid):
            text = base64.b64encode(octets).decode()
            return {"base64": text, "mode": mode, "uid": uid, "gid": gid}
        case Symlink(target=target):
            return {"symlink": target}
        case Absent():
            return {"absent": True}


def _parse_file(record: object) -> FileState:
    values = _object(record)
    match values:
        case {"base64": str(text), "mode": int(mode), "uid": int(uid), "gid": int(gid)}:
            try:
                return Content(base64.b64decode(text, validate=True), mode, uid, gid)
            except (binascii.Error, ValueError) as error:
                raise DamagedRecord("a file's content is not base64") from error
        case {"symlink": str(target)}:
            return Symlink(target)
        case {"absent": True}:
            return Absent()
        case _:
            raise DamagedRecord("a file's state is not one")


def _object(record: object) -> Mapping[str, object]:
    if not isinstance(record, dict):
        raise DamagedRecord("not an object")
    return cast("Mapping[str, object]", record)
