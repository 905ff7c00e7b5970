"""Making changes and undoing them, each written down before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from culvert.changes.change import Change, FileReplaced, describe
from culvert.changes.log import ChangeLog, Entry
from culvert.errors import PlatformError


class Acts(Protocol):
    """What touches the machine. Both may be repeated after a crash at any instant between."""

    def make(self, change: Change) -> bool:
        """Make it. False: it was so already and is not ours. Raises `PlatformError`."""
        ...

    def undo(self, change: Change) -> str:
        """Undo what is still ours of it; empty, or a sentence about what was left and why.

        Nothing there, or nothing of ours, is a success. Raises `PlatformError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undoing came to. ``changes`` are those that needed no undoing any more after it;
    ``failed`` stay in the log and are tried again."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def __add__(self, other: Undone) -> Undone:
        return Undone(
            self.changes + other.changes, self.notes + other.notes, self.failed + other.failed
        )


def make(log: ChangeLog, acts: Acts, scope: str, changes: Iterable[Change]) -> tuple[str, ...]:
    """Make all of them for ``scope``, or none: what was made is undone before the error rises.

    Returns a note for each that was so already.
    """
    notes: list[str] = []
    for entry in log.plan(scope, changes):
        try:
            made = acts.make(entry.change)
        except PlatformError:
            undo(log, acts, scope)
            raise
        if made:
            log.made(entry)
        else:
            log.undone(entry)
            notes.append(f"{describe(entry.change)} was there already and is left alone")
    return tuple(notes)


def undo(log: ChangeLog, acts: Acts, scope: str | None = None) -> Undone:
    """Undo everything of ``scope`` (None: everything), the last one first."""
    entries = log.entries if scope is None else log.in_scope(scope)
    return sum((_undo_one(log, acts, entry) for entry in reversed(entries)), Undone())


def _undo_one(log: ChangeLog, acts: Acts, entry: Entry) -> Undone:
    try:
        note = _hand_over(log, entry) or acts.undo(entry.change)
    except PlatformError as error:
        return Undone(failed=(f"{describe(entry.change)}: {error}",))
    except Exception as error:  # a damaged record: the others are undone all the same
        what = f"{type(error).__name__}: {error}"
        return Undone(failed=(f"{describe(entry.change)}: its record is damaged ({what})",))
    log.undone(entry)
    return Undone((entry.change,), (note,) if note else ())


def _hand_over(log: ChangeLog, entry: Entry) -> str:
    """When another scope still needs it, it stays: a sentence, or empty.

    The same route may serve two connections. A file that was replaced twice is a pile: taking
    one out of the middle gives the one above it the older content to return to.
    """
    for other in log.entries:
        if other.number == entry.number or other.scope == entry.scope:
            continue
        if other.change == entry.change:
            return f"{describe(entry.change)} stays for {other.scope}"
        if _is_above(other.change, entry.change) and isinstance(other.change, FileReplaced):
            below = entry.change
            if isinstance(below, FileReplaced):
                log.amend(other, replace(other.change, before=below.before))
            return f"{describe(entry.change)} stays for {other.scope}"
    return ""


def _is_above(upper: Change, lower: Change) -> bool:
    return (
        isinstance(upper, FileReplaced)
        and isinstance(lower, FileReplaced)
        and upper.path == lower.path
        and upper.before == lower.after
    )
