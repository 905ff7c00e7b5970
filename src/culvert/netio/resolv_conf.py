"""The text of resolv.conf(5): ours made from what was there, and taken out of what became of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

MARK = "# Written by culvert for a connection; the former file comes back when it ends."

MAX_SERVERS = 3
"""MAXNS of the C library: it reads no further."""

MAX_DOMAINS = 32
"""Search domains kept: older C libraries read 6, newer ones any number; a peer sends the list."""

_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_LONGEST_DOMAIN = 253


def with_tunnel(
    before: str, servers: Iterable[str], domains: Iterable[str]
) -> tuple[str, tuple[str, ...]]:
    """The file while the tunnel is up, and notes on what of the wish could not be had.

    The tunnel's servers replace all others: a mix would ask them in turn and leak names. Its
    domains are searched before the former ones. ``options`` and the like stay, except
    ``trust-ad``, which was said about the former servers.
    """
    notes: list[str] = []
    good_servers = _servers(servers, notes)
    found = _domains(domains, notes)
    former = _lines(before)
    if not good_servers:
        good_servers = [line.split()[1] for line in former if _is(line, "nameserver")]
    search = list(dict.fromkeys([*found, *_former_search(former)]))
    if len(search) > MAX_DOMAINS:
        notes.append(f"only {MAX_DOMAINS} of {len(search)} search domains are used")
    lines = [MARK]
    if search:
        lines.append("search " + " ".join(search[:MAX_DOMAINS]))
    lines += [f"nameserver {server}" for server in good_servers]
    lines += filter(None, map(_kept, former))
    return "\n".join(lines) + "\n", tuple(notes)


def without_tunnel(now: str, after: str, before: str) -> str | None:
    """``now`` with our lines exchanged for the former ones; None if nothing of ours is in it.

    For a file that someone edited while it was ours: their lines stay.
    """
    former = [line for line in _lines(before) if _is(line, "nameserver", "search", "domain")]
    ours = {line for line in _lines(after) if _is(line, "nameserver") or line == MARK}
    ours -= set(former)
    lines = _lines(now)
    if not ours & set(lines):
        return None
    ours |= {line for line in _lines(after) if _is(line, "search")}
    first = next(at for at, line in enumerate(lines) if line in ours)
    kept = [line for line in lines if line not in ours and line not in former]
    place = sum(1 for line in lines[:first] if line in kept)
    return "\n".join([*kept[:place], *former, *kept[place:]]) + "\n"


def checked(
    servers: Iterable[str], domains: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What of a wish may be told to the system, and notes on the rest."""
    notes: list[str] = []
    good = tuple(_servers(servers, notes)), tuple(_domains(domains, notes)[:MAX_DOMAINS])
    return *good, tuple(notes)


def former_servers(text: str) -> tuple[str, ...]:
    """Addresses that the file names; what is no address is left out."""
    named = [line.split()[1] for line in _lines(text) if _is(line, "nameserver")]
    return tuple(_servers(named, []))


def _lines(text: str) -> list[str]:
    """Line feeds only: other characters that Python takes for the end of a line are none here."""
    return text.removesuffix("\n").split("\n") if text else []


def _servers(wished: Iterable[str], notes: list[str]) -> list[str]:
    good: list[str] = []
    for server in wished:
        try:
            good.append(str(ipaddress.ip_address(server)))
        except ValueError:
            notes.append(f"{server!r} is no address of a name server")
    if len(good) > MAX_SERVERS:
        left = ", ".join(good[MAX_SERVERS:])
        notes.append(f"the system asks {MAX_SERVERS} name servers at most; not used: {left}")
    return good[:MAX_SERVERS]


def _domains(wished: Iterable[str], notes: list[str]) -> list[str]:
    good: list[str] = []
    for domain in wished:
        # The list comes from the peer and goes into a file of the system: names only.
        if _DOMAIN.fullmatch(domain) and len(domain) <= _LONGEST_DOMAIN:
            good.append(domain)
        else:
            notes.append(f"{domain!r} is no domain name")
    return good


def _former_search(lines: Iterable[str]) -> list[str]:
    """The last ``search`` or ``domain`` line counts, as for the C library."""
    found: list[str] = []
    for line in lines:
        if _is(line, "search", "domain"):
            found = line.split()[1:]
    return found


def _kept(line: str) -> str:
    if _is(line, "options"):
        words = [word for word in line.split() if word != "trust-ad"]
        return " ".join(words) if len(words) > 1 else ""
    return line if _is(line, "sortlist") else ""


def _is(line: str, *keywords: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] in keywords
