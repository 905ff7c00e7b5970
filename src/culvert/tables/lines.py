"""Where the keys of a TOML text stand (TOML 1.0), so that a mistake can be told with its line.

The standard parser gives values without places. This one reads a text that `tomllib` has already
accepted, and looks only at what may hold a line break or a key: headers, keys, strings, brackets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from culvert.errors import ConfigError

Place = tuple[str | int, ...]
"""Keys from the outermost table inwards; a number is an index in an array of tables."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*(\.?)""")
# One thing within a value: a whole string, or a comment, or a bracket, or a line's end, or text.
_PIECE = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|"""|\'\'\'(?:[^']|'(?!''))*'{3,5}'''
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n|[^"'#\[\]{}\n]+""",
    re.DOTALL,
)
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse(text: str, *, path: str, longest: int) -> dict[str, Any]:
    """The document in ``text``.

    Raises ConfigError with the line, for a text that is not TOML or has more than ``longest``
    characters.
    """
    if len(text) > longest:
        raise ConfigError(f"longer than {longest} characters: not a file of this kind", path=path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError("brackets are nested too deeply", path=path) from None
    except ValueError as error:
        # The parser's message never repeats a value, so no secret gets out with it.
        found = _AT.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        what = _AT.sub("", str(error))
        raise ConfigError(f"not TOML: {what}", path=path, line=line) from None


def key_lines(text: str) -> Mapping[Place, int]:
    """The line on which each key and each table's header stands; keys within inline tables not."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    line, counted, at = 1, 0, _skip(text, 0)
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        if text.startswith("[", at):
            repeated = text.startswith("[[", at)
            names, at = _key(text, at + 1 + repeated)
            table = _opened(names, counts, repeated)
            at += 1 + repeated
            found.setdefault(table, line)
        else:
            names, at = _key(text, at)
            found.setdefault((*table, *names), line)
            at = _after_value(text, at + 1)
        at = _skip(text, at)
    return found


def _skip(text: str, at: int) -> int:
    matched = _BLANK.match(text, at)
    return matched.end() if matched else at


def _key(text: str, at: int) -> tuple[tuple[str, ...], int]:
    names: list[str] = []
    while matched := _KEY.match(text, at):
        quoted, literal, bare, dot = matched.groups()
        names.append(bare or literal or _unescaped(quoted or ""))
        at = matched.end()
        if not dot:
            break
    return tuple(names), at


def _unescaped(quoted: str) -> str:
    return quoted if "\\" not in quoted else str(tomllib.loads(f'k = "{quoted}"')["k"])


def _opened(names: tuple[str, ...], counts: dict[Place, int], repeated: bool) -> Place:
    """The place that a header opens; arrays of tables on its way stand for their last entry."""
    place: Place = ()
    for depth, name in enumerate(names, start=1):
        place = (*place, name)
        last = depth == len(names)
        if last and repeated:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place


def _after_value(text: str, at: int) -> int:
    depth = 0
    while matched := _PIECE.match(text, at):
        piece = matched[0]
        if piece == "\n" and depth == 0:
            break
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        at = matched.end()
    return at if at < len(text) and text[at] == "\n" else len(text)
