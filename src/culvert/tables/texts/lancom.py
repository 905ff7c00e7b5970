"""The words of LANCOM's VPN-Status trace (lancom.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import document, rows

TABLE = "texts/lancom.toml"


@dataclass(frozen=True, slots=True)
class StampStyle:
    """A form of time stamp, and the year from which it is seen."""

    year: int
    stamp: str
    sample: str


@dataclass(frozen=True, slots=True)
class Speaker:
    prefix: str
    about: str


@dataclass(frozen=True, slots=True)
class CourseMessage:
    """One message of a normal connection, in the order of the course."""

    number: int
    text: str
    says: str


@dataclass(frozen=True, slots=True)
class RoleWord:
    text: str
    meaning: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class FailureMessage:
    id: str
    text: str
    says: str


@dataclass(frozen=True, slots=True)
class ErrorSide:
    """What the letter after the first hyphen of an error name means."""

    letter: str
    meaning: str


@dataclass(frozen=True, slots=True)
class LancomError:
    """An error with its three blocks: meaning, causes, what to do."""

    code: str
    name: str
    meaning: str
    causes: tuple[str, ...]
    actions: tuple[str, ...]
    printed: bool = False


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A special value of the keepalive; any other number is the idle time in seconds."""

    value: str
    meaning: str
    printed: bool = False


def trace_commands() -> tuple[str, str]:
    """The console commands that switch the trace on and off."""
    return str(document(TABLE)["trace_on"]), str(document(TABLE)["trace_off"])


@cache
def stamp_styles() -> tuple[StampStyle, ...]:
    return rows(TABLE, "style", StampStyle)


@cache
def speakers() -> tuple[Speaker, ...]:
    return rows(TABLE, "speaker", Speaker)


@cache
def course() -> Mapping[int, CourseMessage]:
    return MappingProxyType({row.number: row for row in rows(TABLE, "message", CourseMessage)})


@cache
def roles() -> tuple[RoleWord, ...]:
    return rows(TABLE, "role", RoleWord)


@cache
def failures() -> Mapping[str, FailureMessage]:
    return MappingProxyType({row.id: row for row in rows(TABLE, "failure", FailureMessage)})


@cache
def error_sides() -> Mapping[str, ErrorSide]:
    return MappingProxyType({row.letter: row for row in rows(TABLE, "side", ErrorSide)})


@cache
def lancom_errors() -> Mapping[str, LancomError]:
    return MappingProxyType({row.code: row for row in rows(TABLE, "error", LancomError)})


@cache
def keepalives() -> Mapping[str, Keepalive]:
    return MappingProxyType({row.value: row for row in rows(TABLE, "keepalive", Keepalive)})
