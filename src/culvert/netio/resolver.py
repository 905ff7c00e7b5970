"""Who answers names: the back ends that change it, behind one interface.

Here the plain file resolv.conf(5). The services that own that file on other systems
(systemd-resolved, resolvconf) are told by `culvert.netio.name_program`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from culvert.changes.change import Absent, Change, Content, FileReplaced, FileState, Symlink
from culvert.changes.plan import Device, Plan
from culvert.errors import PlatformError
from culvert.netio import file_state
from culvert.netio.resolv_conf import former_servers, with_tunnel, without_tunnel

RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class NameService:
    """What a connection wishes. ``split``: only these domains are for its servers."""

    servers: Sequence[str]
    search: Sequence[str]
    split: Sequence[str] = ()


class Resolver(Protocol):
    """One way to change who answers names. `make` and `undo` as in `culvert.changes.executor`."""

    def plan(self, wished: NameService, device: Device | None = None) -> Plan:
        """The changes that bring it about for a tunnel's device; empty when nothing is wished."""
        ...

    @property
    def splits(self) -> bool:
        """Whether some domains can have servers of their own."""
        ...

    def servers(self) -> tuple[str, ...]:
        """Who answers now, as programs are told."""
        ...

    def make(self, change: FileReplaced) -> bool: ...
    def undo(self, change: FileReplaced) -> str: ...


class PlainFile:
    """resolv.conf itself. A symbolic link is replaced by a file and put back in the end."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path

    @property
    def splits(self) -> bool:
        return False

    def servers(self) -> tuple[str, ...]:
        return former_servers(_text(self._path, file_state.see(self._path)))

    def plan(self, wished: NameService, device: Device | None = None) -> Plan:
        if not wished.servers and not wished.search:
            return Plan(())
        before = file_state.see(self._path)
        text, notes = with_tunnel(_text(self._path, before), wished.servers, wished.search)
        if wished.split:
            notes = (
                *notes,
                "a plain resolv.conf cannot ask the tunnel's name servers for some domains only:"
                " all names go to them",
            )
        after = Content(_encoded(text), *_owner(self._path, before))
        if after == before:
            return Plan((), notes)
        changes: tuple[Change, ...] = (FileReplaced(str(self._path), before, after),)
        return Plan(changes, notes)

    def make(self, change: FileReplaced) -> bool:
        path = Path(change.path)
        if file_state.see(path) != change.before:
            raise PlatformError(
                f"{path} was changed by someone else at the same moment", action="connect again"
            )
        file_state.put(path, change.after)
        return True

    def undo(self, change: FileReplaced) -> str:
        """Put the former file back; if someone wrote to it since, take out what is ours."""
        path = Path(change.path)
        file_state.clear(path)
        now = file_state.see(path)
        if now == change.before:
            return ""
        if now == change.after or _half_written(now, change):
            file_state.put(path, change.before)
            return ""
        rest = _without_ours(now, change)
        if rest is None:
            return f"{path} was changed by someone else since and is left as it is"
        if isinstance(change.before, Symlink):
            # What the link leads to is another service's; our lines have no place in it.
            file_state.put(path, change.before)
            return f"{path} was changed by someone else since; the former link is back"
        file_state.put(path, rest)
        return f"{path} was changed by someone else since: our lines were taken out, theirs stay"


def _half_written(now: FileState, change: FileReplaced) -> bool:
    return file_state.is_torn(now, change.before, change.after) or file_state.is_torn(
        now, change.after, change.before
    )


def _without_ours(now: FileState, change: FileReplaced) -> Content | None:
    if not isinstance(now, Content) or not isinstance(change.after, Content):
        return None
    before = _text(Path(change.path), change.before)
    rest = without_tunnel(_decoded(now.octets), _decoded(change.after.octets), before)
    return None if rest is None else Content(_encoded(rest), now.mode, now.uid, now.gid)


def _text(path: Path, state: FileState) -> str:
    match state:
        case Content(octets=octets):
            return _decoded(octets)
        case Symlink(target=target):
            # What the link shows now: read through it, the link itself is what is kept.
            behind = file_state.see(path.parent / target)
            return _decoded(behind.octets) if isinstance(behind, Content) else ""
        case Absent():
            return ""


def _owner(path: Path, state: FileState) -> tuple[int, int, int]:
    if isinstance(state, Content):
        return state.mode, state.uid, state.gid
    return 0o644, path.parent.stat().st_uid, path.parent.stat().st_gid


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
