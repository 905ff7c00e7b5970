"""Reads the gateway's TOML file by the rows of tables/gateway_keys.toml, noting every mistake.

Nothing here stops at the first mistake: a value that is wrong is noted with its line and replaced
by the key's default, so that everything behind it is looked at too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

from culvert.errors import ConfigError
from culvert.profile.proposal import shown, suggestion
from culvert.tables.lines import Place, key_lines, parse
from culvert.tables.loader import rows
from culvert.tables.presets import preset_values

TABLE = "gateway_keys.toml"

LONGEST_FILE = 4_194_304
"""Characters of a configuration file: some ten thousand groups, and parsed in seconds."""
LONGEST_TEXT = 1024
"""Characters in one text value: far above any real name or key, so a binary file fails early."""
LONGEST_LIST = 256
"""Entries of one list: a Mode Config answer with more networks would not fit its datagram."""

REPEATED = ("pool", "group", "site", "user")
"""Sections that are arrays of tables."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file; the columns are explained in the table's head."""

    section: str
    name: str
    kind: str
    default: str
    scope: str
    meaning: str
    per_group: bool = False
    unit: str = ""
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    @property
    def value(self) -> object:
        """The default as a value; None where the file must give one."""
        if not self.default:
            return None
        return parse(f"v = {self.default}", path=TABLE, longest=LONGEST_TEXT)["v"]


@cache
def keys() -> Mapping[str, Mapping[str, Key]]:
    """Section → name → key, with the per-group ones under ``group`` and ``site`` too."""
    found: dict[str, dict[str, Key]] = {}
    for key in rows(TABLE, "key", Key):
        found.setdefault(key.section, {})[key.name] = key
    shared = {name: key for name, key in found["gateway"].items() if key.per_group}
    found["group"] |= shared
    found["site"] |= shared
    return found


class Findings:
    """Every mistake and every warning about one file, with its line."""

    def __init__(self, path: str, lines: Mapping[Place, int]) -> None:
        self.path = path
        self.problems: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        self._lines = lines

    def problem(self, place: Place, what: str) -> None:
        self.problems.append(self._at(place, what))

    def warning(self, place: Place, what: str) -> None:
        self.warnings.append(self._at(place, what))

    def _at(self, place: Place, what: str) -> ConfigError:
        """The line of ``place`` itself, else of the table around it."""
        line = self._lines.get(place) or self._lines.get(place[:-1]) or 0
        return ConfigError(what, path=self.path, line=line)


class Table:
    """One table of the file, with defaults for what it leaves out."""

    def __init__(
        self,
        place: Place,
        given: Mapping[str, object],
        known: Mapping[str, Key],
        findings: Findings,
        inherited: Table | None = None,
    ) -> None:
        self.place = place
        self._findings = findings
        self._inherited = inherited
        self._values: dict[str, object] = {}
        for name, value in given.items():
            if name not in known:
                what = f"unknown key {shown(name)} in {self.heading}{suggestion(name, known)}"
                self.problem(name, what)
            elif mistake := _mistake(known[name], value):
                self.problem(name, f"{name} {mistake}")
            else:
                self._values[name] = value
        for name, key in known.items():
            if not key.default and name not in given:
                self.problem(name, f"{self.heading} has no {name}: {key.meaning}")
        self._known = known
        self._preset: Mapping[str, object] = {}
        if "preset" in known:
            self._preset = preset_values(self.text("preset"))

    @property
    def heading(self) -> str:
        section = str(self.place[0])
        return f"[[{section}]]" if section in REPEATED else f"[{section}]"

    def problem(self, name: str, what: str) -> None:
        self._findings.problem((*self.place, name), what)

    def warning(self, name: str, what: str) -> None:
        self._findings.warning((*self.place, name), what)

    def gives(self, name: str) -> bool:
        """Whether it stands here, and rightly."""
        return name in self._values

    def text(self, name: str) -> str:
        return str(self._value(name) or "")

    def number(self, name: str) -> int:
        return cast("int", self._value(name))

    def flag(self, name: str) -> bool:
        return cast("bool", self._value(name))

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(cast("list[str]", self._value(name) or []))

    def each(self, name: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
        """Every entry of a list through ``read``; what that refuses is noted and left out."""
        found: list[Value] = []
        for entry in self.texts(name):
            try:
                found.append(read(entry))
            except ConfigError as error:
                self.problem(name, f"{name}: {error.what}")
            except ValueError as error:
                self.problem(name, f"{name}: {error}")
        return tuple(found)

    def _value(self, name: str) -> object:
        if name in self._values:
            return self._values[name]
        if self._inherited is not None and self._known[name].per_group:
            return self._inherited._value(name)
        if name in self._preset:
            return self._preset[name]
        return self._known[name].value


@dataclass(frozen=True, slots=True)
class Tables:
    """The whole file by section."""

    single: Mapping[str, Table]
    repeated: Mapping[str, Sequence[Table]]
    findings: Findings


def read(text: str, path: str) -> Tables:
    """Raises ConfigError only for a text that is not TOML at all."""
    document = parse(text, path=path, longest=LONGEST_FILE)
    findings = Findings(path, key_lines(text))
    for name in document.keys() - keys().keys():
        findings.problem((name,), f"unknown section {shown(name)}{suggestion(name, keys())}")
    single = {
        section: Table((section,), _table(document, section, findings), known, findings)
        for section, known in keys().items()
        if section not in REPEATED
    }
    repeated = {
        section: [
            Table((section, number), given, keys()[section], findings, single["gateway"])
            for number, given in enumerate(_entries(document, section, findings))
        ]
        for section in REPEATED
    }
    return Tables(single, repeated, findings)


def _table(document: Mapping[str, object], section: str, found: Findings) -> Mapping[str, object]:
    value = document.get(section, {})
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    found.problem((section,), f"{section} must be one table, headed [{section}]")
    return {}


def _entries(
    document: Mapping[str, object], section: str, found: Findings
) -> list[Mapping[str, object]]:
    value = document.get(section, [])
    entries = cast("list[object]", value) if isinstance(value, list) else [None]
    tables = [cast("dict[str, object]", one) for one in entries if isinstance(one, dict)]
    if len(tables) < len(entries):
        found.problem((section,), f"{section} must be a list of tables, each headed [[{section}]]")
    return list(tables)


def _mistake(key: Key, value: object) -> str:
    """What is wrong with a value, never repeating it: it may be a secret."""
    match key.kind:
        case "text" if isinstance(value, str):
            return "" if len(value) <= LONGEST_TEXT else f"is longer than {LONGEST_TEXT} characters"
        case "flag" if isinstance(value, bool):
            return ""
        case "number" if isinstance(value, int) and not isinstance(value, bool):
            within = key.low <= value <= key.high
            return "" if within else f"must be {key.low} to {key.high} ({key.unit})"
        case "choice" if isinstance(value, str):
            return "" if value in key.choices else f"must be one of {', '.join(key.choices)}"
        case "list" if isinstance(value, list):
            return _mistake_in_list(cast("list[object]", value))
        case _:
            return f"must be {KINDS[key.kind]}"


def _mistake_in_list(entries: list[object]) -> str:
    if len(entries) > LONGEST_LIST:
        return f"has more than {LONGEST_LIST} entries"
    texts = [entry for entry in entries if isinstance(entry, str)]
    if len(texts) < len(entries):
        return f"must be {KINDS['list']}"
    if any(len(text) > LONGEST_TEXT for text in texts):
        return f"has an entry longer than {LONGEST_TEXT} characters"
    return ""


KINDS = {
    "text": "a text in quotes",
    "choice": "a text in quotes",
    "flag": "true or false",
    "list": 'a list of texts, such as ["one", "two"]',
    "number": "a whole number without quotes",
}
