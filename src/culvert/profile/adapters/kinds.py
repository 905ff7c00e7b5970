"""How the value of a foreign key becomes a value of a profile, by the kind that its row names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network

from culvert.errors import ConfigError
from culvert.profile.adapters.draft import Draft, Entry, Row, clean
from culvert.profile.inside import unusable
from culvert.profile.obfuscation import decode
from culvert.profile.proposal import shown
from culvert.secret import Secret
from culvert.tables.algorithms import GROUPS

LONGEST_NUMBER = 9
"""Digits of a number; more cannot be meant."""
DPD_DELAY = 30
"""Seconds of silence before the first question, where the time-out leaves room for it."""
CISCO_UDP = "cisco-udp"
MOST_PORTS = 1 << 16
SHORTEST_PEER_TIMEOUT, LONGEST_PEER_TIMEOUT = 30, 480
"""The range that the Cisco client allows."""


def take_all(draft: Draft, entries: Iterable[Entry]) -> None:
    """Every entry as its row says; of a key that comes twice the first one counts."""
    seen: dict[str, int] = {}
    for entry in entries:
        name = entry.key.lower()
        if name in seen:
            draft.warn(entry, f"is given twice; the value of line {seen[name]} counts")
            continue
        seen[name] = entry.line
        row = draft.row(entry)
        if row is None:
            draft.keep(entry, "is unknown; kept as it is, without effect")
        else:
            _take(draft, row, entry)


def _take(draft: Draft, row: Row, entry: Entry) -> None:
    if entry.locked and row.ours:
        draft.lock(row.ours)
    if entry.value in row.quiet:
        if entry.locked and not row.ours:
            draft.keep(entry)  # for its lock
    elif row.kind:
        KINDS[row.kind](draft, row, entry)
    else:
        draft.keep(entry, row.how)


def implied_by_timeout(seconds: int) -> dict[str, int]:
    """How the gateway's life is watched, when it may be silent for ``seconds``."""
    return {"dpd_timeout": seconds, "dpd_delay": min(DPD_DELAY, seconds // 3)}


def implied_by_idle_time(seconds: int) -> dict[str, int]:
    """How long questions may stay unanswered, when they begin after ``seconds`` of silence."""
    return {"dpd_timeout": max(90, seconds + 60)}


def number(text: str) -> int | None:
    """A whole number, or None; digits of other scripts and endless ones are not meant."""
    return int(text) if re.fullmatch(rf"[0-9]{{1,{LONGEST_NUMBER}}}", text) else None


def _text(draft: Draft, row: Row, entry: Entry) -> None:
    value = clean(entry.value)
    if value != entry.value:
        draft.warn(entry, "control characters in the value were replaced by spaces")
    if value:
        draft.put(entry, row.ours, value)


def _choice(draft: Draft, row: Row, entry: Entry) -> None:
    value = row.values.get(entry.value.lower())
    if value is None and not entry.value:
        return
    if value is None:
        known = ", ".join(row.values)
        raise draft.refuse(entry, f"{shown(entry.value)} is not one of {known} ({row.meaning})")
    # Another key may already have said something stronger (X-NM-Force-NAT-T after EnableNat).
    if draft.get(row.ours) != "force":
        draft.put(entry, row.ours, value)
    if entry.value.lower() == CISCO_UDP:  # vpnc's word for both: no NAT traversal, and this
        draft.put(entry, "ipsec_over_udp", True)
    if entry.value.lower() in row.loses:
        draft.keep(entry, row.how)


def _flag(draft: Draft, row: Row, entry: Entry) -> None:
    if entry.value not in ("", "0", "1"):
        raise draft.refuse(entry, f"{shown(entry.value)} is neither 0 nor 1")
    draft.put(entry, row.ours, entry.value == "1")


def _port(draft: Draft, row: Row, entry: Entry) -> None:
    if not entry.value:
        return
    found = number(entry.value)
    if found is None or not 0 < found < MOST_PORTS:
        raise draft.refuse(entry, f"{shown(entry.value)} is no port ({row.meaning})")
    draft.put(entry, row.ours, found)


def _switch(draft: Draft, row: Row, entry: Entry) -> None:
    draft.keep(entry, row.how)


def _secret(draft: Draft, row: Row, entry: Entry) -> None:
    _put_secret(draft, row, entry, Secret(entry.value), clear=True)


def _obfuscated(draft: Draft, row: Row, entry: Entry) -> None:
    if not entry.value:
        return
    try:
        secret = decode(entry.value)
    except ConfigError as error:
        raise draft.refuse(entry, error.what) from None
    _put_secret(draft, row, entry, secret, clear=False)


def _put_secret(draft: Draft, row: Row, entry: Entry, secret: Secret, *, clear: bool) -> None:
    if not secret:
        return
    if draft.get(row.ours) is not None:
        draft.warn(entry, "the password stands here twice; the one in clear counts")
        if not clear:
            return
    draft.put(entry, row.ours, secret)
    if not clear:
        draft.warn(entry, "was only obfuscated: whoever had the file has had the password")
    if not secret.reveal().isascii():
        draft.warn(
            entry,
            "has letters beyond ASCII, which this program sends as UTF-8; if the gateway refuses "
            "it, that is why",
        )


def _hosts(draft: Draft, row: Row, entry: Entry) -> None:
    hosts = tuple(host for part in clean(entry.value).split(",") if (host := part.strip()))
    if hosts:
        draft.put(entry, row.ours, hosts)


def _file(draft: Draft, row: Row, entry: Entry) -> None:
    """The only file of what is a list here."""
    if value := clean(entry.value):
        draft.put(entry, row.ours, (value,))


def _backup(draft: Draft, row: Row, entry: Entry) -> None:
    if entry.value not in ("", "0", "1"):
        raise draft.refuse(entry, f"{shown(entry.value)} is neither 0 nor 1 ({row.meaning})")
    draft.backup_enabled = entry.value == "1"


def _group_named(draft: Draft, row: Row, entry: Entry) -> str:
    wanted = number(entry.value.lower().removeprefix("dh"))
    token = next((group.token for group in GROUPS if group.number == wanted), "")
    if not token:
        known = ", ".join(str(group.number) for group in GROUPS)
        raise draft.refuse(
            entry, f"{shown(entry.value)} is not one of the groups {known} ({row.meaning})"
        )
    return token


def _group(draft: Draft, row: Row, entry: Entry) -> None:
    if entry.value:
        draft.group = _group_named(draft, row, entry)


def _pfs(draft: Draft, row: Row, entry: Entry) -> None:
    draft.put(entry, row.ours, _group_named(draft, row, entry))


def _timeout(draft: Draft, row: Row, entry: Entry) -> None:
    seconds = number(entry.value)
    if entry.value in ("", "0"):
        draft.warn(entry, "is not set; 90 seconds are used")
        return
    if seconds is None:
        raise draft.refuse(entry, f"{shown(entry.value)} is not a number of seconds")
    if not SHORTEST_PEER_TIMEOUT <= seconds <= LONGEST_PEER_TIMEOUT:
        seconds = min(max(seconds, SHORTEST_PEER_TIMEOUT), LONGEST_PEER_TIMEOUT)
        draft.warn(entry, f"is outside of 30 to 480 seconds; {seconds} are used")
    draft.put(entry, row.ours, seconds)
    for key, value in implied_by_timeout(seconds).items():
        draft.put(entry, key, value)


def _dpd(draft: Draft, row: Row, entry: Entry) -> None:
    seconds = number(entry.value)
    if seconds is None or (seconds and not 10 <= seconds <= 86_340):
        raise draft.refuse(entry, f"{shown(entry.value)} is neither 0 nor 10 to 86340 seconds")
    draft.put(entry, row.ours, seconds)
    for key, value in implied_by_idle_time(seconds).items():
        draft.put(entry, key, value)


def _mtu(draft: Draft, row: Row, entry: Entry) -> None:
    octets = number(entry.value)
    if octets is None:
        raise draft.refuse(entry, f"{shown(entry.value)} is not a number of octets")
    draft.put(entry, row.ours, octets or None)


def _networks(draft: Draft, row: Row, entry: Entry) -> None:
    found: list[str] = []
    for text in re.split(r"[\s,]+", entry.value.strip()):
        try:
            network = str(IPv4Network(text, strict=False))
        except ValueError:
            raise draft.refuse(entry, unusable(text, "192.168.2.0/24")) from None
        # 10.1.2.3/255.0.0.0 names a network by one of its hosts, which these programs allow.
        if not text.startswith(network.split("/", maxsplit=1)[0]):
            draft.warn(entry, f"{shown(text)} was taken as {network}")
        found.append(network)
    draft.put(entry, row.ours, tuple(dict.fromkeys(found)))


KINDS: Mapping[str, Callable[[Draft, Row, Entry], None]] = {
    "text": _text,
    "choice": _choice,
    "flag": _flag,
    "switch": _switch,
    "secret": _secret,
    "obfuscated": _obfuscated,
    "hosts": _hosts,
    "file": _file,
    "backup": _backup,
    "group": _group,
    "pfs": _pfs,
    "timeout": _timeout,
    "dpd": _dpd,
    "mtu": _mtu,
    "port": _port,
    "networks": _networks,
}
