"""Record files: one session's inputs, times and random draws, and what the core made of them.

    {"culvert-record": 1, "version": …, "secrets": false, …}     what the core was made from
    {"in": "receive", "at": 12.5, "given": {…}, "draws": […], "derived": […], "out": […], …}

JSON lines (docs/reference/record.md). Files come from strangers with a bug report: everything read
here is taken apart by type, and anything else is a `RecordError` with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from math import inf, isfinite
from typing import NoReturn, cast

from culvert.driver.message import OCTETS, MessageError, plain, value_of
from culvert.effects import (
    Answer,
    CertificateJudged,
    EchoAnswered,
    HumanAnswered,
    Judged,
    MachineConfigured,
    NetworksWanted,
    PairWorn,
    PeerMoved,
    Replied,
    Resolved,
    Signed,
    StreamOpened,
    Traffic,
)
from culvert.errors import ConfigError, CulvertError
from culvert.ike.question import Question
from culvert.inet.address import Path
from culvert.rng import Random
from culvert.secret import Secret

VERSION = 1
KIND = "culvert-record"
MOST = 64 << 20
"""Octets of a record: some 20,000 inputs, weeks of a quiet connection."""
LONGEST = 4 << 20
"""Octets of one line: a datagram of 64 KiB asks for few others."""

ANSWERS: Mapping[str, type] = {
    one.__name__: one
    for one in (
        CertificateJudged,
        EchoAnswered,
        HumanAnswered,
        Judged,
        MachineConfigured,
        NetworksWanted,
        PairWorn,
        PeerMoved,
        Question,
        Replied,
        Resolved,
        Signed,
        StreamOpened,
        Traffic,
        NetworksWanted,
    )
}
KEYS = frozenset(("key", "cipher_key", "salt", "integrity_key"))
"""Octets of an output that are told by their SHA-256 alone."""


class RecordError(ConfigError):
    """A record file that is none, or is damaged."""


class Diverged(CulvertError):
    """The core asks for what the record does not hold at this place."""


@dataclass(frozen=True, slots=True)
class Given:
    """One input: a datagram (``octets`` and ``path``), an ``answer``, or a command: its name, and
    a ``word`` where it takes one."""

    name: str
    at: float
    octets: bytes = b""
    path: Path | None = None
    answer: Answer | None = None
    word: str = ""


Derived = tuple[str, bytes, bytes]
"""A hash's name, both nonces, SKEYID."""

Told = tuple[str, object]
"""What a core asked of what it shares with others, and the answer, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An input with its chance, and what the core made of it, as JSON says it."""

    given: Given
    draws: tuple[bytes, ...]
    derived: tuple[Derived, ...]
    out: tuple[object, ...]
    deadline: float
    raised: str = ""
    told: tuple[Told, ...] = ()


# --- chance ------------------------------------------------------------------------------------


class Heard:
    """Chance from ``rng``, remembered until `taken`."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._draws: list[bytes] = []

    def octets(self, count: int) -> bytes:
        drawn = self._rng.octets(count)
        self._draws.append(drawn)
        return drawn

    def taken(self) -> tuple[bytes, ...]:
        draws, self._draws = tuple(self._draws), []
        return draws


class Fed:
    """Chance, SKEYIDs and other answers from a record. ``problem``: what the core wanted and is
    not there."""

    def __init__(self) -> None:
        self.problem = ""
        self._draws: list[bytes] = []
        self._derived: list[Derived] = []
        self._told: list[Told] = []

    def feed(
        self, draws: Iterable[bytes], derived: Iterable[Derived], told: Iterable[Told] = ()
    ) -> None:
        self.problem = ""
        self._draws, self._derived, self._told = list(draws), list(derived), list(told)

    @property
    def left(self) -> int:
        return len(self._draws) + len(self._derived) + len(self._told)

    def octets(self, count: int) -> bytes:
        if not self._draws:
            self._missing(f"draws {count} octets of chance more than the record has")
        drawn = self._draws.pop(0)
        if len(drawn) != count:
            self._missing(f"draws {count} octets of chance where the record has {len(drawn)}")
        return drawn

    def derive(self, name: str, _key: bytes, nonces: bytes) -> bytes:
        if not self._derived:
            self._missing("derives keys once more than the record has")
        hash_name, known, skeyid = self._derived.pop(0)
        if (hash_name, known) != (name, nonces):
            self._missing(f"derives keys with {name} from other nonces, or with another hash")
        return skeyid

    def ask(self, kind: str) -> object:
        """The next answer, if it is one to this question."""
        if not self._told or self._told[0][0] != kind:
            self._missing(f"asks for {kind}, and the record has no answer to that here")
        return self._told.pop(0)[1]

    def _missing(self, what: str) -> NoReturn:
        self.problem = what
        raise Diverged(what)


# --- lines -------------------------------------------------------------------------------------


def line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def entry_line(entry: Entry) -> bytes:
    given = entry.given
    said: dict[str, object] = {"in": given.name, "at": given.at}
    if given.path is not None:
        said |= {"octets": given.octets.hex(), "path": list(given.path)}
    if given.answer is not None:
        said["answer"] = plain(given.answer, ANSWERS)
    if given.word:
        said["word"] = given.word
    if entry.told:
        said["told"] = [list(one) for one in entry.told]
    said |= {
        "draws": [one.hex() for one in entry.draws],
        "derived": [[name, nonces.hex(), key.hex()] for name, nonces, key in entry.derived],
        "out": list(entry.out),
        "next": entry.deadline if entry.deadline < inf else None,
    }
    return line(said | ({"raised": entry.raised} if entry.raised else {}))


def shown(value: object, name: str = "") -> object:
    """An output as the record says it: keys and secrets by their hash."""
    match value:
        case bytes():
            if name in KEYS and value:
                return {"sha256": sha256(value).hexdigest()}
            return {OCTETS: value.hex()}
        case Secret():
            return {"sha256": sha256(value.octets()).hexdigest()}
        case float() if not isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            found = cast("Mapping[object, object]", value)
            return {str(key): shown(one, str(key)) for key, one in found.items()}
        case tuple() | list() | set() | frozenset():
            return [shown(one) for one in cast("Iterable[object]", value)]
        case _ if is_dataclass(value):
            named = {one.name: shown(getattr(value, one.name), one.name) for one in fields(value)}
            return {"~": type(value).__name__, **named}
        case _:
            return str(value)


def head(octets: bytes) -> Mapping[str, object]:
    """The first line. Raises RecordError."""
    found = _object(octets, 1)
    if found.get(KIND) != VERSION:
        what = "is no record of culvert" if KIND not in found else "has a format not known here"
        raise RecordError(f"{what}: its first line must say {KIND!r}: {VERSION}")
    return found


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """All lines but the first. Raises RecordError with the number of the line."""
    for number, octets in enumerate(lines, start=2):
        try:
            yield _entry(_object(octets, number))
        except (KeyError, TypeError, ValueError, MessageError):
            what = f"line {number} makes no sense: the file is damaged, or was changed by hand"
            raise RecordError(what) from None


def _object(octets: bytes, number: int) -> dict[str, object]:
    if len(octets) > LONGEST:
        raise RecordError(f"line {number} is longer than {LONGEST} octets")
    try:
        found: object = json.loads(octets, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"line {number} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise RecordError(f"line {number} is no JSON object")
    return cast("dict[str, object]", found)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _entry(found: dict[str, object]) -> Entry:
    given = Given(_text(found["in"]), _number(found["at"]))
    if given.name == "receive":
        path = _path(found["path"])
        given = Given(given.name, given.at, bytes.fromhex(_text(found["octets"])), path)
    elif given.name == "step":
        answer = value_of(found["answer"], ANSWERS)
        if type(answer) not in ANSWERS.values() or isinstance(answer, Question):
            raise ValueError("an answer of no known kind")
        given = Given(given.name, given.at, answer=cast("Answer", answer))
    else:
        given = Given(given.name, given.at, word=_text(found.get("word", "")))
    derived: list[Derived] = []
    for one in _list(found["derived"]):
        name, nonces, key = map(_text, _list(one))
        derived.append((name, bytes.fromhex(nonces), bytes.fromhex(key)))
    return Entry(
        given,
        octets_of(found["draws"]),
        tuple(derived),
        tuple(_list(found["out"])),
        inf if found["next"] is None else _number(found["next"]),
        _text(found.get("raised", "")),
        tuple([(_text(kind), value) for kind, value in map(_list, _list(found.get("told", [])))]),
    )


def _path(found: object) -> Path:
    local, remote, encapsulated = _list(found)
    ends: list[tuple[str, int]] = []
    for end in (local, remote):
        host, port = _list(end)
        if not isinstance(port, int):
            raise TypeError("a port that is no number")
        ends.append((_text(host), port))
    return Path(ends[0], ends[1], encapsulated=encapsulated is True)


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError("something else where text must be")
    return found


def _number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError("something else where a number must be")
    return float(found) if isinstance(found, int) and abs(found) < 1 << 53 else found


def octets_of(found: object) -> tuple[bytes, ...]:
    """A list of octets in hex. Raises TypeError or ValueError."""
    return tuple([bytes.fromhex(_text(one)) for one in _list(found)])


def _list(found: object) -> list[object]:
    if not isinstance(found, list):
        raise TypeError("something else where a list must be")
    return cast("list[object]", found)
