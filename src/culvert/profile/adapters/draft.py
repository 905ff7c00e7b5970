"""What adapters share: foreign keys as table rows, and the profile that grows from their values.

An adapter splits its format into entries; a `Draft` takes each entry as its row says, remembers
from which line a value came, and keeps what has no meaning here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from culvert.errors import ConfigError
from culvert.profile.profile import InvalidProfile, Mistake, Profile
from culvert.profile.proposal import (
    AGGRESSIVE_PSK,
    WEAKNESSES,
    in_order,
    switch_of_group,
    switches_of,
)
from culvert.tables.loader import rows

LONGEST_FILE = 262_144
"""Characters of a foreign file: a hundred times a real one."""
ERA_GROUP = "modp1024"
"""What clients of that time use when nothing is said (DHGroup 2, dh2)."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What an adapter wants known about one key. ``line`` 0: about the profile as a whole."""

    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.sentence}" if self.key else f"{where}{self.sentence}"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A profile made from a foreign file, and what must be known about how it was made."""

    profile: Profile
    warnings: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A foreign key; columns as explained in tables/pcf.toml."""

    name: str
    meaning: str
    how: str
    since: int
    kind: str = ""
    ours: str = ""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    loses: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    export: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key and its value as they stand on ``line``; ``locked``: the user may not change it."""

    line: int
    key: str
    value: str
    locked: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    phase: int
    name: str


OFFERS = rows("pcf.toml", "proposal", _Offer)


def era_offers(group: str) -> dict[int, tuple[str, ...]]:
    """By phase: what is offered to a gateway of the time when these formats were in use."""
    return {
        1: tuple(f"{offer.name}-{group}" for offer in OFFERS if offer.phase == 1),
        2: tuple(offer.name for offer in OFFERS if offer.phase == 2),
    }


def era_switches(group: str, pfs: str | None) -> tuple[str, ...]:
    """The legacy switches which that needs."""
    needed = [AGGRESSIVE_PSK, switch_of_group(pfs) if pfs else ""]
    for phase, names in era_offers(group).items():
        for name in names:
            needed += switches_of(name, phase)
    return in_order(needed)


def by_name(table: str) -> dict[str, Row]:
    """Rows of a foreign format, by key in lower case."""
    return {row.name.lower(): row for row in rows(table, "key", Row)}


class Draft:
    """A profile in the making."""

    def __init__(self, origin: str, table: Mapping[str, Row], path: str) -> None:
        self.origin = origin
        self.path = path
        self.remarks: list[Remark] = []
        self.group = ERA_GROUP
        self.backup_enabled: bool | None = None
        self._table = table
        self._values: dict[str, Any] = {}
        self._source: dict[str, Entry] = {}
        self._kept: dict[str, str] = {}
        self._locked: list[str] = []

    def row(self, entry: Entry) -> Row | None:
        """What the table says about this entry's key."""
        return self._table.get(entry.key.lower())

    def lock(self, key: str) -> None:
        """``key`` of the profile is not to be changed by its user."""
        if key not in self._locked:
            self._locked.append(key)

    def put(self, entry: Entry, key: str, value: object) -> None:
        """``entry`` says that ``key`` of the profile is ``value``."""
        self._values[key] = value
        self._source[key] = entry

    def get(self, key: str) -> Any:
        """What ``key`` of the profile is so far; None when nothing was said."""
        return self._values.get(key)

    def imply(self, key: str, value: object) -> None:
        """``key`` of the profile is ``value`` because of the format, not of an entry."""
        self._values[key] = value

    def drop(self, key: str) -> Entry:
        """Forget what was said about ``key``; the entry that said it."""
        del self._values[key]
        return self._source.pop(key)

    def keep(self, entry: Entry, sentence: str = "") -> None:
        """Keep an entry that has no meaning here, so that it survives a round trip."""
        mark = "!" if entry.locked else ""
        self._kept[mark + clean(entry.key)] = clean(entry.value)
        if sentence:
            self.warn(entry, sentence)
        if clean(entry.value) != entry.value:
            self.warn(entry, "control characters in the value were replaced by spaces")

    def warn(self, entry: Entry, sentence: str) -> None:
        self.remarks.append(Remark(entry.line, clean(entry.key)[:64], sentence))

    def refuse(self, entry: Entry, sentence: str) -> ConfigError:
        """The error for a value that cannot be taken; its secret parts stay out of it."""
        return ConfigError(f"{clean(entry.key)[:64]}: {sentence}", path=self.path, line=entry.line)

    def finish(self, name: str) -> Adapted:
        """The profile, with the proposals and weak things that this format implies.

        Raises ConfigError with every mistake in the foreign file's own words and lines.
        """
        self._values |= {
            "phase1": era_offers(self.group)[1],
            "phase2": era_offers(self.group)[2],
            "legacy": era_switches(self.group, self._values.get("pfs")),
            "locked": tuple(self._locked),
        }
        if self._values.get("authentication") == "certificate":
            # As the Cisco client: its own certificate goes encrypted.
            self._values["exchange_mode"] = "main"
        self._warn_of_weak()
        if self._kept:
            self._values["extra"] = {self.origin: self._kept}
        complete: dict[str, Any] = {"host": "", **self._values}
        try:
            profile = Profile(name=name, **complete)
        except InvalidProfile as error:
            told = tuple(self._in_their_words(mistake) for mistake in error.mistakes)
            raise InvalidProfile(told, path=self.path) from None
        return Adapted(profile, tuple(sorted(self.remarks, key=_by_line)))

    def _warn_of_weak(self) -> None:
        for switch in self._values["legacy"]:
            sentence = f'allows "{switch}", which is weak: {WEAKNESSES[switch]}'
            self.remarks.append(Remark(0, "legacy", sentence))
        # Loud, because whoever imports such a file seldom reads the list above to its end.
        self.remarks.append(
            Remark(
                0,
                "",
                "gateways of this time offer nothing better; when yours does, take the weak "
                "proposals and their switches out of the profile",
            )
        )

    def _in_their_words(self, mistake: Mistake) -> Mistake:
        entry = self._source.get(mistake.key)
        if entry:
            return Mistake(clean(entry.key), mistake.sentence, entry.line)
        foreign = next(
            (row.name for row in self._table.values() if row.ours == mistake.key), mistake.key
        )
        if mistake.key in ("host", "group"):
            return Mistake(foreign, "is missing or empty; no connection is possible without it")
        return Mistake(foreign, mistake.sentence)


def _by_line(remark: Remark) -> tuple[bool, int]:
    return (not remark.line, remark.line)


def clean(text: str) -> str:
    """``text`` with a space for each control character."""
    return "".join(
        " " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text
    )
