"""The machine as a client or gateway wants it: every change by the undo log, and back again.

All of it blocks (netlink, files): call it from a thread, one of these per process.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from culvert.changes import executor, recovery
from culvert.changes.change import (
    AddressAdded,
    Change,
    FileReplaced,
    IpsecMade,
    LinkSet,
    NamesGiven,
    RouteAdded,
    RuleAdded,
    SysctlSet,
    TableRoute,
    TunMade,
)
from culvert.changes.closed import guard
from culvert.changes.executor import Undone
from culvert.changes.log import ChangeLog
from culvert.changes.owner import Owner
from culvert.changes.plan import (
    FORWARDING,
    Plan,
    ServedNetwork,
    Surroundings,
    destinations,
    plan_client,
    plan_gateway,
)
from culvert.effects import TunnelSettings
from culvert.errors import PlatformError
from culvert.netio import ipsec_link, link, name_program, route, rule, sysctl
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.name_program import SystemResolver
from culvert.netio.resolver import NameService, Resolver
from culvert.netio.tun import Tun, free_name

STATE_DIRECTORY = Path("/var/lib/culvert/changes")
"""On a disk that outlives a reboot: routes go with it, a replaced resolv.conf does not."""

_DEVICE_SCOPE = "device "
_GUARD = " (closed)"
"""Behind a connection's name: what keeps the machine closed for it."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a connection's set-up came to. ``notes`` are sentences for the event log."""

    interface: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


class Machine:
    """This process's hand on the system; what it changed is undone by `restore` or `recover`."""

    def __init__(
        self,
        *,
        directory: Path = STATE_DIRECTORY,
        resolver: Resolver | None = None,
        owner: Owner | None = None,
    ) -> None:
        """``owner``: in whose name this process goes on, if not in its own."""
        self._directory = directory
        self._resolver: Resolver = resolver or SystemResolver()
        self._acts = _Acts(self._resolver)
        self.owner = owner or Owner.here()
        self._log = ChangeLog.of(directory, self.owner)
        self._busy = threading.RLock()

    def open_tun(self, name: str = "", *, lanes: int = 0, virtio: bool = False) -> Tun:
        """A TUN device of exactly this name; without one ``culvert0`` or the first free number.

        ``virtio``: with virtio headers, where the kernel has them (`Tun.virtio` tells). ``lanes``:
        with so many queues more (`Tun.lanes`).
        """
        with self._busy:
            name = name or free_name()
            [entry] = self._log.plan(_DEVICE_SCOPE + name, [TunMade(name)])
            try:
                if lanes:
                    tun = Tun.open_lanes(name, lanes, virtio=virtio)
                else:
                    tun = Tun.open(name, virtio=virtio)
            except PlatformError:
                self._log.undone(entry)
                raise
            self._log.amend(entry, TunMade(tun.name, socket.if_nametoindex(tun.name)))
            self._log.made(entry)
            return tun

    def open_ipsec(self, number: int, name: str = "") -> IpsecLink:
        """A virtual interface of the kernel's IPsec; named as `open_tun` does."""
        with self._busy:
            name = name or free_name()
            made = IpsecMade(name, number)
            executor.make(self._log, self._acts, _DEVICE_SCOPE + name, [made])
            return IpsecLink(name, number)

    def close_tun(self, tun: Tun | IpsecLink) -> None:
        """Close the device; it is gone when its last queue closes. Without a queue, now."""
        with self._busy:
            if isinstance(tun, IpsecLink):
                executor.undo(self._log, self._acts, _DEVICE_SCOPE + tun.name)
                return
            tun.close()
            for entry in self._log.in_scope(_DEVICE_SCOPE + tun.name)[-1:]:
                self._log.undone(entry)

    def apply(self, settings: TunnelSettings, tun_name: str) -> Applied:
        """Make the machine fit the tunnel; an earlier set-up of this connection is undone first.

        All of it or, with a `PlatformError`, nothing.
        """
        with self._busy:
            earlier = executor.undo(self._log, self._acts, settings.connection)
            seen = self._see(tun_name, destinations(settings))
            wished = NameService(
                settings.dns_servers, settings.search_domains, settings.split_domains
            )
            plans = (plan_client(settings, seen), self._resolver.plan(wished, seen.device))
            self._guard(settings)
            return self._make(settings.connection, tun_name, plans, earlier)

    def serve(self, served: ServedNetwork, tun_name: str) -> Applied:
        """Make the machine fit a gateway: its device, the routes to its pools, forwarding."""
        with self._busy:
            earlier = self.restore(served.name)
            seen = self._see(tun_name, ())
            return self._make(served.name, tun_name, (plan_gateway(served, seen),), earlier)

    @property
    def splits_names(self) -> bool:
        """Whether this system's resolver can have servers of their own for some domains."""
        return self._resolver.splits

    def name_servers(self) -> tuple[str, ...]:
        """Who answers names now."""
        return self._resolver.servers()

    def restore(self, connection: str) -> Undone:
        """Undo what was made for this connection; nothing, if nothing was."""
        with self._busy:
            undone = executor.undo(self._log, self._acts, connection)
            return undone + executor.undo(self._log, self._acts, connection + _GUARD)

    def _guard(self, settings: TunnelSettings) -> None:
        """Close the machine before the tunnel opens its one way; it stays closed while that is
        made anew."""
        scope = settings.connection + _GUARD
        if settings.closed and not self._log.in_scope(scope):
            executor.make(self._log, self._acts, scope, guard())

    def close(self) -> Undone:
        """Undo everything of this process, at its end."""
        with self._busy:
            return executor.undo(self._log, self._acts)

    def leave(self) -> None:
        """All of it stays: another process goes on in this one's name."""
        with self._busy:
            self._log.close()

    def recover(self) -> Undone:
        """Undo everything that owners left who are dead; living ones are not touched."""
        with self._busy:
            return recovery.recover(self._directory, self._acts)

    def leftovers(self) -> tuple[Change, ...]:
        """What `recover` would undo."""
        logs = recovery.leftovers(self._directory)
        return tuple(entry.change for log in logs for entry in log.entries)

    def _see(self, tun_name: str, addresses: tuple[str, ...]) -> Surroundings:
        settings = {key: sysctl.see(key) for key in FORWARDING.values()}
        return Surroundings(
            link.see(tun_name), route.next_hops(addresses), route.see_routes(), settings
        )

    def _make(self, scope: str, tun_name: str, plans: tuple[Plan, ...], earlier: Undone) -> Applied:
        changes = tuple(change for plan in plans for change in plan.changes)
        notes = executor.make(self._log, self._acts, scope, changes)
        planned = tuple(note for plan in plans for note in plan.notes)
        return Applied(tun_name, changes, (*earlier.notes, *earlier.failed, *planned, *notes))


class _Acts:
    """Each kind of change to the module that makes it."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def make(self, change: Change) -> bool:
        match change:
            case TunMade():
                return True  # `Machine.open_tun` holds its descriptor
            case IpsecMade():
                return ipsec_link.make(change)
            case LinkSet():
                return link.set_up(change)
            case AddressAdded():
                return link.add_address(change)
            case RouteAdded():
                return route.add(change)
            case TableRoute():
                return rule.add_route(change)
            case RuleAdded():
                return rule.add(change)
            case SysctlSet():
                return sysctl.put(change)
            case FileReplaced():
                return self._resolver.make(change)
            case NamesGiven():
                return name_program.make(change)
            case _:
                assert_never(change)

    def undo(self, change: Change) -> str:
        match change:
            case TunMade():
                return link.delete_tun(change)
            case IpsecMade():
                return ipsec_link.undo_make(change)
            case LinkSet():
                return link.undo_set_up(change)
            case AddressAdded():
                return link.undo_add_address(change)
            case RouteAdded():
                return route.undo_add(change)
            case TableRoute():
                return rule.undo_add_route(change)
            case RuleAdded():
                return rule.undo_add(change)
            case SysctlSet():
                return sysctl.undo_put(change)
            case FileReplaced():
                return self._resolver.undo(change)
            case NamesGiven():
                return name_program.undo(change)
            case _:
                assert_never(change)
