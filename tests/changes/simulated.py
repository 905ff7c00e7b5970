"""A machine of dictionaries that can be struck dead between any two of its acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from culvert.changes.change import (
    Absent,
    AddressAdded,
    Change,
    FileReplaced,
    FileState,
    LinkSet,
    RouteAdded,
    SysctlSet,
    TunMade,
)
from culvert.errors import PlatformError


class Killed(BaseException):
    """kill -9: nothing between here and the test may catch it."""


@dataclass
class Countdown:
    """Dies at the given step; never at a negative one."""

    left: int = -1

    def step(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


@dataclass
class SimulatedMachine:
    """Acts on it as `culvert.netio.machine` does on the real one: only on what is ours."""

    life: Countdown = field(default_factory=Countdown)
    routes: set[RouteAdded] = field(default_factory=set)
    foreign_routes: set[str] = field(default_factory=set)
    addresses: set[AddressAdded] = field(default_factory=set)
    links: dict[str, tuple[int, bool]] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    impossible: set[Change] = field(default_factory=set)

    def state(self) -> object:
        files = {path: state for path, state in self.files.items() if state != Absent()}
        return (
            frozenset(self.routes),
            frozenset(self.foreign_routes),
            frozenset(self.addresses),
            dict(self.links),
            dict(self.sysctls),
            files,
        )

    def make(self, change: Change) -> bool:
        self.life.step()
        if change in self.impossible:
            raise PlatformError("impossible", action="give up")
        made = self._make(change)
        self.life.step()
        return made

    def _make(self, change: Change) -> bool:
        match change:
            case RouteAdded(destination=destination):
                if destination in self.foreign_routes:
                    return False
                self.routes.add(change)
            case AddressAdded():
                self.addresses.add(change)
            case LinkSet(interface=interface, mtu=mtu):
                self.links[interface] = (mtu, True)
            case SysctlSet(key=key, after=after):
                self.sysctls[key] = after
            case FileReplaced(path=path, before=before, after=after):
                if self.files.get(path, Absent()) != before:
                    raise PlatformError("changed meanwhile")
                self.files[path] = after
            case TunMade():
                pass
        return True

    def undo(self, change: Change) -> str:
        self.life.step()
        note = self._undo(change)
        self.life.step()
        return note

    def _undo(self, change: Change) -> str:
        match change:
            case RouteAdded():
                self.routes.discard(change)
            case AddressAdded():
                self.addresses.discard(change)
            case LinkSet(interface=interface, mtu=mtu, mtu_before=before, up_before=up):
                if self.links.get(interface, (0, True))[0] == mtu:
                    self.links[interface] = (before, up)
            case SysctlSet(key=key, before=before, after=after):
                if self.sysctls.get(key) == after:
                    self.sysctls[key] = before
            case FileReplaced(path=path, before=before, after=after):
                found = self.files.get(path, Absent())
                if found == after:
                    self.files[path] = before
                elif found != before:
                    return f"{path} was changed by someone else and is left alone"
            case TunMade():
                pass
        return ""
