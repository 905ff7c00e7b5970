"""Layout: C structures of the kernel's messages, packed and read by the rows of xfrm.toml."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import ip_address

from culvert.errors import MisuseError
from culvert.octets.cursor import Cursor
from culvert.tables.xfrm import STRUCTURES

Value = int | bytes
Values = Mapping[str, Value]

ADDRESS = 16
_FORMS = {
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "u64": "Q",
    "i32": "i",
    "be16": "2s",
    "be32": "4s",
    "address": f"{ADDRESS}s",
    "text64": "64s",
}
_NETWORK = {"be16": 2, "be32": 4}
FAMILIES = {4: 2, 6: 10}
"""AF_INET and AF_INET6, by IP version."""


class Structure:
    """One C structure. Its fields are named with dots: ``selector.family``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fields = tuple(_flat(name, ""))
        form = "".join(
            f"{kind[3:]}x" if kind.startswith("pad") else _FORMS[kind] for _, kind in self._fields
        )
        self._struct = struct.Struct(f"={form}")
        self._named = [(key, kind) for key, kind in self._fields if key]
        if self._struct.size != STRUCTURES[name].octets:
            raise MisuseError(f"xfrm.toml: {name} has {self._struct.size} octets by its fields")

    @property
    def octets(self) -> int:
        return self._struct.size

    def pack(self, values: Values) -> bytes:
        """What is not named is zero. Raises MisuseError for a name that is not there, and for a
        number that has no room."""
        known = {key for key, _ in self._named}
        if strange := values.keys() - known:
            raise MisuseError(f"{self.name} has no {sorted(strange)}")
        try:
            return self._struct.pack(*[_packed(values.get(key), kind) for key, kind in self._named])
        except (struct.error, OverflowError) as error:
            raise MisuseError(f"{self.name} has no room for a number: {error}") from error

    def read(self, cursor: Cursor) -> dict[str, Value]:
        """Raises WireError when it is cut short."""
        found = self._struct.unpack(cursor.take(self.octets, self.name))
        return {
            key: int.from_bytes(value, "big") if kind in _NETWORK else value
            for (key, kind), value in zip(self._named, found, strict=True)
        }


@cache
def structure(name: str) -> Structure:
    return Structure(name)


def _flat(name: str, before: str) -> Iterator[tuple[str, str]]:
    """The fields of a structure and of those in it; padding has no name."""
    for row in STRUCTURES[name].fields:
        key, _, kind = row.partition(" ")
        if not kind:
            yield "", key
        elif kind in _FORMS:
            yield before + key, kind
        else:
            yield from _flat(kind, f"{before}{key}.")


def _packed(value: Value | None, kind: str) -> Value:
    if kind in _NETWORK:
        number = value if isinstance(value, int) else 0
        return number.to_bytes(_NETWORK[kind], "big")
    if value is not None:
        return value
    return b"" if kind in ("address", "text64") else 0


def number(values: Values, key: str) -> int:
    found = values[key]
    return found if isinstance(found, int) else 0


def host(values: Values, key: str, family: int) -> str:
    """The address in ``key`` as text, by the family beside it."""
    found = values[key]
    octets = found if isinstance(found, bytes) else b""
    return str(ip_address(octets[:4] if family == FAMILIES[4] else octets))
