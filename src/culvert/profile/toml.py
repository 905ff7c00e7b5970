"""Our own profile format: TOML text ↔ Profile. Every key stands in docs/reference/profile.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from culvert.errors import ConfigError
from culvert.profile.preset import implied
from culvert.profile.profile import KEYS, Foreign, InvalidProfile, Key, Mistake, Profile
from culvert.profile.proposal import nearest, shown, suggestion
from culvert.secret import Secret
from culvert.tables.lines import Place, key_lines, parse

LONGEST_FILE = 262_144
"""Characters of a profile file: a hundred times a real one, and parsed in a blink."""

HEADER = (
    "# Connection profile of culvert. All keys with their defaults: docs/reference/profile.toml\n"
)
EXTRA = "extra"
UNSET = {"mtu": "auto", "pfs": "none"}
"""How the file writes the keys whose value may be None."""

_PLACEHOLDER = "missing.invalid"


def read(text: str, *, name: str, path: str = "") -> Profile:
    """The profile in ``text``, called ``name``; ``path`` is for messages.

    Raises ConfigError, for a text that is not TOML, or with every mistake and its line.
    """
    document = parse(text, path=path, longest=LONGEST_FILE)
    lines = key_lines(text)
    found: list[Mistake] = []
    values: dict[str, Any] = {}
    known = KEYS.keys() | {EXTRA}
    for key, value in document.items():
        if key == EXTRA:
            values[EXTRA] = _foreign(value, found)
        elif key in KEYS:
            _take(KEYS[key], value, values, found)
        else:
            sentence = f"unknown key{suggestion(key, known)}"
            name_of_key = key if key.isprintable() else shown(key)
            found.append(Mistake(name_of_key, sentence, lines.get((key,), 0)))
    # Of a key that is misspelled it is not said that it is missing, too.
    misspelled = {nearest(key, known) for key in document.keys() - known} - document.keys()
    if "host" not in document.keys() | misspelled:
        found.append(Mistake("host", "is missing: the host name or address of the gateway"))
    authentication = values.get("authentication", default(KEYS["authentication"]))
    preset = implied(str(values.get("preset", "")), str(authentication))
    complete: dict[str, Any] = {"host": _PLACEHOLDER, **preset, **values}
    try:
        profile = Profile(name=name, **complete)
    except InvalidProfile as error:
        told = {mistake.key for mistake in found} | misspelled
        found += [mistake for mistake in error.mistakes if mistake.key not in told]
        raise _all(found, lines, path) from None
    if found:
        raise _all(found, lines, path)
    return profile


def write(profile: Profile) -> str:
    """The file of this profile: what differs from the defaults, or from its preset. `read` gives
    it back."""
    blocks = [HEADER]
    preset = implied(profile.preset, profile.authentication)
    for key in KEYS.values():
        value = getattr(profile, key.name)
        if key.name == "host" or value != preset.get(key.name, default(key)):
            blocks.append(f"{key.name} = {_toml(key, value)}\n")
    for origin in profile.extra:
        blocks.append(f"\n[{EXTRA}.{_name(origin)}]\n")
        blocks += [
            f"{_name(name)} = {_quoted(value)}\n" for name, value in profile.extra[origin].items()
        ]
    return "".join(blocks)


def default(key: Key) -> object:
    """The value that a left-out key has."""
    if key.kind == "secret":
        return None
    if not key.default:
        return ""
    value = parse(f"value = {key.default}", path="profile_keys.toml", longest=LONGEST_FILE)["value"]
    if value == UNSET.get(key.name):
        return None
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _take(key: Key, value: object, values: dict[str, Any], found: list[Mistake]) -> None:
    """Put a value of the right kind into ``values``, or its mistake into ``found``."""
    if key.name in UNSET and value == UNSET[key.name]:
        values[key.name] = None
    elif key.kind == "secret" and isinstance(value, str):
        values[key.name] = Secret(value)
    elif type(value) is SCALARS.get(key.kind):  # exactly: a bool is an int as well
        values[key.name] = value
    elif key.kind == "list" and _is_texts(value):
        values[key.name] = tuple(cast("list[str]", value))
    else:
        found.append(Mistake(key.name, f"must be {KINDS[key.kind]}{_or_unset(key)}"))


SCALARS: Mapping[str, type] = {"text": str, "choice": str, "flag": bool, "number": int}
KINDS = {
    "text": "a text in quotes",
    "secret": "a text in quotes",
    "choice": "a text in quotes",
    "flag": "true or false",
    "list": 'a list of texts, such as ["one", "two"]',
    "number": "a whole number without quotes",
}


def _or_unset(key: Key) -> str:
    return f' or "{UNSET[key.name]}"' if key.name in UNSET and key.kind == "number" else ""


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, str) for entry in cast("list[object]", value)
    )


def _foreign(value: object, found: list[Mistake]) -> Foreign:
    kept: dict[str, Mapping[str, str]] = {}
    tables = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if not isinstance(value, dict):
        found.append(Mistake(EXTRA, "must hold tables, such as [extra.pcf]"))
    for origin, entries in tables.items():
        texts = cast("dict[str, object]", entries) if isinstance(entries, dict) else None
        if texts is None or not all(isinstance(text, str) for text in texts.values()):
            found.append(Mistake(EXTRA, f"{shown(origin)} must be a table of texts in quotes"))
        else:
            kept[origin] = cast("dict[str, str]", texts)
    return kept


def _all(found: list[Mistake], lines: Mapping[Place, int], path: str) -> ConfigError:
    placed = [
        Mistake(mistake.key, mistake.sentence, mistake.line or lines.get((mistake.key,), 0))
        for mistake in found
    ]
    return InvalidProfile(tuple(sorted(placed, key=lambda mistake: mistake.line)), path=path)


def _toml(key: Key, value: object) -> str:
    match value:
        case None:
            return _quoted(UNSET[key.name])
        case Secret():
            return _quoted(value.reveal())
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case tuple():
            return f"[{', '.join(_quoted(str(one)) for one in cast('tuple[object, ...]', value))}]"
        case _:
            return _quoted(str(value))


def _name(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _quoted(text: str) -> str:
    """A TOML basic string; control characters as escapes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c == "\x7f" else c for c in escaped) + '"'
