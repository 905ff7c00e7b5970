"""Profiles of the Cisco VPN client (.pcf): INI text with one section, ``[main]``.

CR LF or LF; keys in any case; ``!`` before a key: the user may not change it; unknown keys survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from culvert.errors import ConfigError
from culvert.profile.adapters.draft import (
    LONGEST_FILE,
    Adapted,
    Draft,
    Entry,
    Remark,
    Row,
    by_name,
    clean,
)
from culvert.profile.adapters.exported import (
    Exported,
    Kept,
    group_number,
    implied_offers,
    losses,
    quoted,
    text_of,
)
from culvert.profile.adapters.kinds import (
    LONGEST_PEER_TIMEOUT,
    SHORTEST_PEER_TIMEOUT,
    implied_by_timeout,
    take_all,
)
from culvert.profile.obfuscation import encode
from culvert.profile.profile import Profile
from culvert.profile.proposal import group_of
from culvert.profile.topology import EVERYTHING
from culvert.rng import Random
from culvert.secret import Secret

ORIGIN = "pcf"
SECTION = "main"
BLANKS = " \t"
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
    _settle_tcp(draft)
    return draft.finish(name)


def _entries(text: str, remarks: list[Remark]) -> Iterator[Entry]:
    section = SECTION
    for line, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        content = raw.removeprefix("\ufeff").strip(BLANKS)
        if not content or content.startswith((";", "#")):
            continue
        if header := _SECTION.fullmatch(content):
            section = header[1].strip(BLANKS)
            continue
        key, equals, value = content.partition("=")
        locked = key.startswith("!")
        key = key.lstrip("!").strip(BLANKS)
        if not equals or not key:
            remarks.append(Remark(line, "", "is not of the form key=value; left out"))
        elif section.lower() == SECTION:
            value = value.strip(BLANKS)
            if _unquoted(value) != value:
                remarks.append(Remark(line, clean(key)[:64], "its quotes were taken off"))
            yield Entry(line, key, _unquoted(value), locked)
        else:
            yield Entry(line, f"[{section}]{key}", value.strip(BLANKS), locked)


def _unquoted(value: str) -> str:
    """Windows' own reader of INI files takes off a pair of quotes, and so does this one."""
    paired = len(value) >= 2 and value.startswith('"') and value.endswith('"')
    return value[1:-1] if paired else value


def _settle_backup(draft: Draft) -> None:
    if draft.get("backup_hosts") is not None and not draft.backup_enabled:
        entry = draft.drop("backup_hosts")
        draft.keep(entry, "is not used, because EnableBackup is not 1; kept")


def _settle_password(draft: Draft) -> None:
    if draft.get("password") is not None and not draft.get("save_password"):
        entry = draft.drop("password")
        draft.warn(entry, "not taken over, because SaveUserPassword is not 1; you will be asked")


def _settle_tcp(draft: Draft) -> None:
    if draft.get("ipsec_over_tcp") and draft.get("nat_traversal") == "off":
        entry = draft.drop("ipsec_over_tcp")
        draft.keep(entry, "is not used, because EnableNat is 0; kept")


def export(profile: Profile, rng: Random) -> Exported:
    """``profile`` as the Cisco client reads it; ``rng`` for the obfuscated passwords."""
    kept = Kept(profile, ORIGIN)
    lines = [f"[{SECTION}]"]
    for row in KEYS.values():
        saved = kept.take(row.name)
        value = _value(row, profile, rng)
        if value is None:
            key, value = saved or (row.name, row.export)
        else:
            key = f"!{row.name}" if row.ours in profile.locked else row.name
        if value or key.startswith("!"):
            lines.append(f"{key}={value}")
    lines += _other_sections(kept.rest())
    carried = {row.ours for row in KEYS.values() if row.ours} - {"phase1"}
    implied = {
        **implied_offers(profile, pfs=None),
        **implied_by_timeout(profile.peer_timeout),
        "locked": tuple(key for key in profile.locked if key in carried | {"phase1"}),
    }
    warnings = [*losses(profile, ORIGIN, carried, implied), *_limits(profile)]
    return Exported("".join(f"{line}\r\n" for line in lines), tuple(warnings))


def _value(row: Row, profile: Profile, rng: Random) -> str | None:
    """What the profile has for this key; None when it has nothing to say about it."""
    match row.kind:
        case "":
            return None
        case "text" | "flag" | "port":
            value = text_of(row, profile)
            return quoted(value, taken_off=_unquoted(value) != value)
        case "choice" if row.name == "X-NM-Force-NAT-T":
            return "1" if profile.nat_traversal == "force" else ""
        case "choice":
            return text_of(row, profile) or "1"
        case "secret":
            return ""  # in clear never: the obfuscated key beside it says it
        case "obfuscated":
            secret: Secret | None = getattr(profile, row.ours)
            return encode(secret, rng) if secret else ""
        case "backup":
            return "1" if profile.backup_hosts else "0"
        case "hosts":
            return ",".join(profile.backup_hosts) or None
        case "group":
            return str(group_number(group_of(profile.phase1[0])))
        case "timeout":
            seconds = min(max(profile.peer_timeout, SHORTEST_PEER_TIMEOUT), LONGEST_PEER_TIMEOUT)
            return str(seconds)
        case _:
            everything = profile.remote_networks == (EVERYTHING,)
            return "" if everything else " ".join(profile.remote_networks)


def _other_sections(rest: Mapping[str, str]) -> Iterator[str]:
    """Unknown keys of [main] first, then those of other sections under their headers."""
    inside = [key for key in rest if not key.removeprefix("!").startswith("[")]
    yield from (f"{key}={rest[key]}" for key in inside)
    section = ""
    for key in (key for key in rest if key not in inside):
        name, _, plain = key.removeprefix("!")[1:].partition("]")
        if name != section:
            section = name
            yield f"[{name}]"
        yield f"{'!' if key.startswith('!') else ''}{plain}={rest[key]}"


def _limits(profile: Profile) -> Iterator[str]:
    number = group_number(group_of(profile.phase1[0]))
    if number not in (1, 2, 5):
        yield f"the Cisco client knows the groups 1, 2 and 5; it will not understand {number}"
    if not SHORTEST_PEER_TIMEOUT <= profile.peer_timeout <= LONGEST_PEER_TIMEOUT:
        yield "peer_timeout was brought into the client's range of 30 to 480 seconds"
    if profile.ipsec_over_tcp and profile.nat_traversal == "off":
        yield "ipsec_over_tcp goes only with transparent tunnelling, which is off: it is not used"
    if profile.remote_networks != (EVERYTHING,):
        yield "remote_networks is written for NetworkManager; the Cisco client ignores it"
    if profile.nat_traversal == "force":
        yield "that NAT-T is forced is written for NetworkManager; the Cisco client ignores it"
