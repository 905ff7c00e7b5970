"""Prefixes as masks: does a set of networks hold this address, given as its octets."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import NamedTuple

from culvert.errors import MisuseError


class Prefix(NamedTuple):
    """A network. ``octets`` is 4 or 16: the length of its addresses."""

    octets: int
    length: int
    mask: int
    value: int


def prefix(text: str) -> Prefix:
    """``10.0.0.0/8``, ``192.0.2.1`` or ``2001:db8::/32``. Raises MisuseError."""
    try:
        network = ip_network(text)
    except ValueError as error:
        raise MisuseError(f"{text!r} is no prefix: {error}") from error
    return Prefix(
        network.max_prefixlen // 8,
        network.prefixlen,
        int(network.netmask),
        int(network.network_address),
    )


class PrefixSet:
    """Networks of both families, asked per packet."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        known = tuple(prefixes)
        self._v4 = tuple((p.mask, p.value) for p in known if p.octets == 4)
        self._v6 = tuple((p.mask, p.value) for p in known if p.octets == 16)

    def holds(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        for mask, value in self._v4 if len(address) == 4 else self._v6:
            if number & mask == value:
                return True
        return False
