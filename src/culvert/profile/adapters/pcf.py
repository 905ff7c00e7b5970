"""Profiles of the Cisco VPN client (.pcf): INI text with one section, ``[main]``.

CR LF or LF; keys in any case; ``!`` before a key: the user may not change it; unknown keys survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from culvert.errors import ConfigError
from culvert.profile.adapters.draft import (
    LONGEST_FILE,
    Adapted,
    Draft,
    Entry,
    Remark,
    by_name,
    clean,
)
from culvert.profile.adapters.kinds import take_all

ORIGIN = "pcf"
SECTION = "main"
KEYS = by_name("pcf.toml")

_SECTION = re.compile(r"\[([^\]]*)\]")


def adapt(text: str, *, name: str, path: str = "") -> Adapted:
    """The profile in ``text``, called ``name``; ``path`` is for messages.

    Raises ConfigError: no host, a value that cannot be, or a way to connect that comes later.
    """
    if len(text) > LONGEST_FILE:
        raise ConfigError(f"longer than {LONGEST_FILE} characters: not a .pcf file", path=path)
    draft = Draft(ORIGIN, KEYS, path)
    take_all(draft, _entries(text, draft.remarks))
    _settle_backup(draft)
    _settle_password(draft)
    return draft.finish(name)


def _entries(text: str, remarks: list[Remark]) -> Iterator[Entry]:
    section = SECTION
    for line, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        content = raw.strip().removeprefix("\ufeff")
        if not content or content.startswith((";", "#")):
            continue
        if header := _SECTION.fullmatch(content):
            section = header[1].strip()
            continue
        key, equals, value = content.partition("=")
        locked = key.startswith("!")
        key = key.lstrip("!").strip()
        if not equals or not key:
            remarks.append(Remark(line, "", "is not of the form key=value; left out"))
        elif section.lower() == SECTION:
            yield Entry(line, key, _unquoted(line, key, value.strip(), remarks), locked)
        else:
            yield Entry(line, f"[{section}]{key}", value.strip(), locked)


def _unquoted(line: int, key: str, value: str, remarks: list[Remark]) -> str:
    """Windows' own reader of INI files takes off a pair of quotes, and so does this one."""
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    remarks.append(Remark(line, clean(key)[:64], "quotes around the value were taken off"))
    return value[1:-1]


def _settle_backup(draft: Draft) -> None:
    if draft.get("backup_hosts") is not None and not draft.backup_enabled:
        entry = draft.drop("backup_hosts")
        draft.keep(entry, "is not used, because EnableBackup is not 1; kept")


def _settle_password(draft: Draft) -> None:
    if draft.get("password") is not None and not draft.get("save_password"):
        entry = draft.drop("password")
        draft.warn(entry, "not taken over, because SaveUserPassword is not 1; you will be asked")
