"""Configurations of vpnc: one ``Key value`` per line, keys of several words, no separator.

As vpnc reads them: keys in any case, the first of two counts, values may stand in quotes, a line
with ``#`` first is a comment, and a switch is on whatever stands behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from culvert.errors import ConfigError
from culvert.profile.adapters.draft import LONGEST_FILE, Adapted, Draft, Entry, Remark, Row, by_name
from culvert.profile.adapters.exported import (
    Exported,
    Kept,
    group_number,
    implied_offers,
    losses,
    quoted,
    text_of,
)
from culvert.profile.adapters.kinds import CISCO_UDP, implied_by_idle_time, take_all
from culvert.profile.obfuscation import encode
from culvert.profile.profile import Profile
from culvert.profile.proposal import group_of
from culvert.profile.topology import EVERYTHING
from culvert.rng import Random
from culvert.secret import Secret

ORIGIN = "vpnc"
KEYS = by_name("vpnc_keys.toml")

# Longer keys first, because "Debug" must not be found in a key that begins like it.
_NAMES = sorted(KEYS, key=len, reverse=True)


def adapt(text: str, *, name: str, path: str = "") -> Adapted:
    """The profile in ``text``, called ``name``; ``path`` is for messages.

    Raises ConfigError: no gateway, a value that cannot be, or a way to connect that comes later.
    """
    if len(text) > LONGEST_FILE:
        raise ConfigError(f"longer than {LONGEST_FILE} characters: not a vpnc file", path=path)
    draft = Draft(ORIGIN, KEYS, path)
    take_all(draft, _entries(text, draft.remarks))
    # vpnc has no word for it: a password in its file is one that was meant to be saved.
    draft.imply("save_password", draft.get("password") is not None)
    return draft.finish(name)


def _entries(text: str, remarks: list[Remark]) -> Iterator[Entry]:
    for line, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        content = raw.strip(" \t\ufeff")
        if not content or content.startswith("#"):
            continue
        if raw[0] in " \t":
            remarks.append(Remark(line, "", "begins with a space, so vpnc ignores it; read here"))
        entry = _entry(line, content)
        row = KEYS.get(entry.key.lower())
        if row and row.kind == "switch":
            if entry.value:
                remarks.append(Remark(line, row.name, "is a switch: on, whatever stands behind it"))
            yield Entry(line, row.name, "")
        elif row and not entry.value:
            remarks.append(Remark(line, row.name, "has no value; left out"))
        else:
            yield entry


def _entry(line: int, content: str) -> Entry:
    for name in _NAMES:
        if not content.lower().startswith(name):
            continue
        row, rest = KEYS[name], content[len(name) :]
        if row.kind == "switch" or not rest or rest[0] in " \t":
            return Entry(line, row.name, _unquoted(rest.strip(" \t")))
    # Unknown: at most two words are taken for the key, so that a value is not told as one.
    words = content.split(maxsplit=2)
    count = max(1, min(2, len(words) - 1))
    return Entry(line, " ".join(words[:count]), " ".join(words[count:]))


def _unquoted(value: str) -> str:
    quoted = len(value) >= 2 and value.startswith('"') and value.endswith('"')
    return value[1:-1] if quoted else value


def export(profile: Profile, rng: Random) -> Exported:
    """``profile`` as vpnc reads it; ``rng`` for the obfuscated passwords."""
    kept = Kept(profile, ORIGIN)
    lines: list[str] = []
    for row in KEYS.values():
        saved = kept.take(row.name)
        value = _value(row, profile, rng)
        if saved and (value is None or row.loses):
            value = saved[1]
        elif value is None:
            continue
        lines.append(f"{row.name} {_shielded(value)}".rstrip(" \t"))
    lines += [f"{key} {_shielded(value)}".rstrip(" \t") for key, value in kept.rest().items()]
    carried = {row.ours for row in KEYS.values() if row.ours} - {"phase1"}
    implied = {
        **implied_offers(profile, profile.pfs),
        **implied_by_idle_time(profile.dpd_delay),
        "save_password": profile.password is not None,
        "ipsec_over_udp": _over_udp(profile),
    }
    warnings = list(losses(profile, ORIGIN, carried, implied))
    if len(profile.remote_networks) > 1:
        warnings.append("remote_networks: vpnc knows only one, so only the first is written")
    if set(profile.ca) - {_authority(profile)}:
        warnings.append("ca: vpnc knows one file, so only the first is written, and no name")
    return Exported("".join(f"{line}\n" for line in lines), tuple(warnings))


def _over_udp(profile: Profile) -> bool:
    return profile.ipsec_over_udp and profile.nat_traversal == "off"


def _authority(profile: Profile) -> str:
    """The first authority that is a file, not a name in our store."""
    return next((one for one in profile.ca if "/" in one), "")


# vpnc offers weak algorithms only when told so; older versions warn of these keys and go on.
_SWITCHES = {"Enable weak encryption": "3des", "Enable weak authentication": "md5"}


def _value(row: Row, profile: Profile, rng: Random) -> str | None:
    """What the profile has for this key ("" for a switch that is on); None for nothing."""
    match row.kind:
        case "choice" if row.ours == "nat_traversal" and _over_udp(profile):
            return CISCO_UDP
        case "text" | "choice":
            return text_of(row, profile) or None
        case "switch":
            return "" if _SWITCHES.get(row.name) in profile.legacy else None
        case "obfuscated":
            secret: Secret | None = getattr(profile, row.ours)
            return encode(secret, rng) if secret else None
        case "group":
            return f"dh{group_number(group_of(profile.phase1[0]))}"
        case "pfs":
            return f"dh{group_number(profile.pfs)}" if profile.pfs else None
        case "dpd":
            return str(profile.dpd_delay)
        case "mtu":
            return str(profile.mtu) if profile.mtu else None
        case "file":
            return _authority(profile) or None
        case "networks":
            first = profile.remote_networks[0]
            return None if first == EVERYTHING else first
        case _:
            return None  # also a secret in clear: the obfuscated key beside it says it


def _shielded(value: str) -> str:
    return quoted(value, taken_off=_unquoted(value) != value)
