"""The gateways of a connection, in the order in which they are tried (S4-20 "Backup Servers").

The profile names a first one and others; a gateway may hand out a list of its own, which then takes
the place of the profile's others (Unity BACKUP_SERVERS).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address


class Hosts:
    """One round begins with `current` and ends when each was tried once."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._all = tuple(dict.fromkeys(hosts))
        self._at = 0
        self._tried = 1
        self._known: dict[str, tuple[str, ...]] = {}

    @property
    def current(self) -> str:
        return self._all[self._at]

    @property
    def all(self) -> tuple[str, ...]:
        return self._all

    def again(self) -> None:
        """A new round, from the one that served last."""
        self._tried = 1

    def next(self) -> bool:
        """Go on to the next; false when the round is over (and then it begins anew)."""
        self._at = (self._at + 1) % len(self._all)
        self._tried += 1
        if self._tried > len(self._all):
            self._tried = 1
            return False
        return True

    def pushed(self, others: Iterable[str]) -> None:
        """The gateway's own list of others."""
        named = tuple(others)
        if named:
            self._all = tuple(dict.fromkeys((self.current, *named)))
            self._at = 0

    def resolved(self, addresses: Iterable[str]) -> str:
        """The address to call. A resolver that lies behind the lost tunnel answers nothing; what
        the name stood for before then serves again. Empty: none is known."""
        usable = tuple([address for address in addresses if ip_address(address).version == 4])
        if usable:
            self._known[self.current] = usable
        return next(iter(self._known.get(self.current, ())), "")
