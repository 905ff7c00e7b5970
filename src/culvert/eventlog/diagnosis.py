"""Finds out what was wrong: the rows of tables/diagnoses.toml against the events of one attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf

from culvert.errors import MisuseError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field
from culvert.eventlog.sentence import fits, words
from culvert.eventlog.wording import fill, one_line
from culvert.tables.loader import rows

TABLE = "diagnoses.toml"

UP = frozenset({"client.up", "session.started"})
"""The events that say a connection stands."""

ENDS = ("client.down", "session.ended", "ike.over")
"""The events that say it is over, and why. The last is the end of a negotiation only: it counts as
long as nothing stands; later a connection may outlive it."""

SEE_LOG = "the log names it"
"""In place of a problem that a diagnosis would name."""

Condition = Mapping[str, Field]
"""``code`` of an event and fields it must have; or ``end``, the reason why all is over. ``times``:
it was told at least so often; ``after``: when an event of that code had been told."""

CONTROL = frozenset({"code", "end", "times", "after"})
"""Keys of a condition that are no fields."""


@dataclass(frozen=True, slots=True)
class DiagnosisRow:
    """One diagnosis; the columns are explained in the table's head."""

    id: str
    outcome: str
    strength: int
    title: str
    why: str
    side: str = ""
    stage: str = ""
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    none: tuple[Condition, ...] = ()
    causes: tuple[str, ...] = ()
    actions: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, and who can: user, administrator or network."""

    text: str
    who: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened, why, what to do."""

    id: str
    outcome: str
    what: str
    why: str
    causes: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def good(self) -> bool:
        """Nothing is wrong: it works, or ended because somebody here wanted it to."""
        return self.id.startswith("ok.")


@cache
def diagnoses() -> tuple[DiagnosisRow, ...]:
    """All rows, the strongest first."""
    return tuple(sorted(rows(TABLE, "diagnosis", DiagnosisRow), key=lambda row: row.strength))


def diagnose(entries: Sequence[Entry]) -> Verdict:
    """The strongest diagnosis that holds for the entries of one attempt."""
    side = entries[0].side if entries else "client"
    last = _by_code(entries)
    for row in diagnoses():
        if row.side in ("", side) and (decisive := _decided_by(row, last)) is not None:
            return _told(row, entries, decisive)
    raise MisuseError(f"{TABLE} has no row that holds when nothing is known")


ByCode = Mapping[str, list[Entry]]


def _by_code(entries: Sequence[Entry]) -> ByCode:
    """The entries of each code, the newest first."""
    found: dict[str, list[Entry]] = {}
    for entry in reversed(entries):
        found.setdefault(entry.code, []).append(entry)
    return found


def _decided_by(row: DiagnosisRow, entries: ByCode) -> tuple[Entry, ...] | None:
    """The entries that meet the conditions of ``row``, or None if it does not hold."""
    if row.stage and (row.stage == "after-up") != _up(entries):
        return None
    if any(_last(condition, entries) for condition in row.none):
        return None
    needed = [_last(condition, entries) for condition in row.all]
    one_of = [found for condition in row.any if (found := _last(condition, entries))]
    if None in needed or (row.any and not one_of):
        return None
    return (*one_of, *(found for found in needed if found))


def _up(entries: ByCode) -> bool:
    return not UP.isdisjoint(entries)


def _last(condition: Condition, entries: ByCode) -> Entry | None:
    """The newest entry that meets ``condition``, if enough of them do."""
    wanted = {name: value for name, value in condition.items() if name not in CONTROL}
    codes: tuple[str, ...] = (str(condition.get("code")),)
    if "end" in condition:
        codes = ENDS[:2] if _up(entries) else ENDS
        wanted["reason"] = condition["end"]
    met = [e for code in codes for e in entries.get(code, ()) if fits(e, wanted)]
    if after := str(condition.get("after", "")):
        begun = min((entry.number for entry in entries.get(after, ())), default=inf)
        met = [entry for entry in met if entry.number > begun]
    return met[0] if met and len(met) >= int(str(condition.get("times", 1))) else None


def _told(row: DiagnosisRow, entries: Sequence[Entry], decisive: tuple[Entry, ...]) -> Verdict:
    known: dict[str, Field] = {}
    for entry in (*entries, *reversed(decisive)):
        known.update({name: value for name, value in words(entry).items() if value != ""})
    # What was wrong has another name in faults of the service, and where a proof was refused.
    if "problem" not in known:
        known["problem"] = known.get("what", known.get("detail", SEE_LOG))
        known.setdefault("advice", "")
    known.setdefault("what", known["problem"])
    return _filled(row, known)


def verdict(id: str, fields: Mapping[str, Field]) -> Verdict:
    """The diagnosis ``id`` for somebody who has found it by counting, with these fields."""
    return _filled(next(row for row in diagnoses() if row.id == id), fields)


def _filled(row: DiagnosisRow, known: Mapping[str, Field]) -> Verdict:
    def said(wording: str) -> str:
        return one_line(fill(wording, known)).strip()

    return Verdict(
        row.id,
        row.outcome,
        said(row.title),
        said(row.why),
        tuple(said(cause) for cause in row.causes),
        tuple(Action(said(action["text"]), action["who"]) for action in row.actions),
    )
