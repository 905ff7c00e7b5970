"""Every event that the program makes is a row of the vocabulary, with the fields the row wants."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import culvert
from culvert.cli.exit_code import exit_codes
from culvert.driver.pump import DROPS
from culvert.eventlog.vocabulary import vocabulary
from culvert.identity.verdict import Cause

SOURCE = Path(culvert.__file__).parent

COMPUTED = {
    "driver/pump.py": frozenset(DROPS.values()),
    "identity/verdict.py": frozenset(f"auth.{cause}" for cause in Cause),
    # These hand on what they are given.
    "client/joint.py": frozenset[str](),
    "eventlog/event.py": frozenset[str](),
    "eventlog/log.py": frozenset[str](),
    "eventlog/render/json_lines.py": frozenset[str](),
    "explain/written.py": frozenset[str](),
    "ike/channel.py": frozenset[str](),
    "ike/called.py": frozenset(("ike.group-key-mismatch", "ike.group-unknown")),
}
"""Files that make events whose code is not written there, and the codes they can have."""

AREAS = tuple({f"{code.partition('.')[0]}." for code in vocabulary()})

FILES = (".toml", ".sock", ".db")
"""Names of files look like codes too."""

ERRORS = frozenset(code for row in exit_codes() for code in row.codes) - vocabulary().keys()
"""Codes of errors have the same shape."""

AWAITED = frozenset(
    {
        "ike.not-authentic",
        "xauth.silence",
    }
)
"""Rows that nothing needs to write yet. A row that is neither written nor here is a dead one."""


@dataclass(frozen=True)
class Written:
    """One place that makes an event; ``fields`` is None if they are not all written out there."""

    where: str
    code: str
    fields: frozenset[str] | None


def test_every_code_that_is_written_is_a_row() -> None:
    unknown = [one for one in written() if one.code not in vocabulary()]
    assert not unknown, unknown
    computed = frozenset[str]().union(*COMPUTED.values())
    assert computed <= vocabulary().keys()


def test_every_row_is_written_somewhere() -> None:
    used = {one.code for one in written()}.union(*COMPUTED.values())
    unused = vocabulary().keys() - used - AWAITED
    assert not unused, unused


def test_every_event_carries_what_its_row_wants() -> None:
    lacking = [
        (one.where, one.code, sorted(missing))
        for one in written()
        if one.fields is not None and one.code in vocabulary()
        if (missing := {*vocabulary()[one.code].fields} - one.fields)
    ]
    assert not lacking, lacking


def test_a_code_that_is_not_written_out_is_declared_here() -> None:
    made = {name for name, call in calls() if _name(call) == "LogEvent" and not _codes(call)}
    assert made <= COMPUTED.keys()


def written() -> Iterator[Written]:
    """Calls whose first argument reads like an event code: LogEvent, and whatever wraps it."""
    for name, call in calls():
        if _name(call) == "get":
            continue  # reading is not writing
        for code in _codes(call):
            if code.startswith(AREAS) and code not in ERRORS and not code.endswith(FILES):
                yield Written(f"{name}:{call.lineno}", code, _fields(call))


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield name, node


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _codes(call: ast.Call) -> tuple[str, ...]:
    """What the first argument can be: a literal, or one of two literals."""
    match call.args:
        case [ast.Constant(value=str(code)), *_]:
            return (code,)
        case [
            ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))),
            *_,
        ]:
            return (one, other)
        case _:
            return ()


def _fields(call: ast.Call) -> frozenset[str] | None:
    named = [keyword.arg for keyword in call.keywords]
    match call.args[1:]:
        case []:
            keys = named
        case [ast.Dict(keys=given)]:
            literal = [key.value if isinstance(key, ast.Constant) else None for key in given]
            keys = [*named, *(None if key is None else str(key) for key in literal)]
        case _:
            return None
    return None if None in keys else frozenset(map(str, keys))
