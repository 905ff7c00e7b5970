"""What exporters share: a profile as a foreign file, and what that file cannot say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from culvert.profile.adapters.draft import Row, era_offers, era_switches
from culvert.profile.profile import KEYS, Profile
from culvert.profile.proposal import group_of
from culvert.profile.toml import default
from culvert.tables.algorithms import GROUPS

COMMON_NATT = frozenset({"auto", "off", "force"})
"""What foreign files can say of NAT traversal."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A foreign file, and a sentence for everything that it leaves out or changes."""

    text: str
    warnings: tuple[str, ...]


def group_number(token: str) -> int:
    """Number of a (valid) Diffie-Hellman group."""
    return next(group.number for group in GROUPS if group.token == token)


def text_of(row: Row, profile: Profile) -> str:
    """The value of a row of kind text, choice or flag in ``profile``, in the foreign words."""
    value = getattr(profile, row.ours)
    match row.kind:
        case "flag":
            return "1" if value else "0"
        case "choice":
            return next((theirs for theirs, ours in row.values.items() if ours == value), "")
        case _:
            return str(value)


class Kept:
    """Foreign keys that an adapter kept; each is handed out once, the rest at the end."""

    def __init__(self, profile: Profile, origin: str) -> None:
        self._left = dict(profile.extra.get(origin, {}))

    def take(self, key: str) -> tuple[str, str] | None:
        """The key as it was written, and its value."""
        for written in self._left:
            if written.removeprefix("!").lower() == key.lower():
                return written, self._left.pop(written)
        return None

    def rest(self) -> Mapping[str, str]:
        return self._left


def losses(
    profile: Profile, origin: str, carried: Collection[str], implied: Mapping[str, object]
) -> Iterator[str]:
    """A sentence for each key that the foreign file does not give back.

    ``implied``: what an adapter concludes for keys that have no place of their own.
    """
    for key in KEYS.values():
        value = getattr(profile, key.name)
        if key.name not in carried and value != implied.get(key.name, default(key)):
            yield f"{key.name} has no place in this format and is left out"
    if profile.nat_traversal not in COMMON_NATT:
        yield f"nat_traversal has no word for {profile.nat_traversal} here and becomes auto"
    for other in profile.extra:
        if other != origin:
            yield f"extra: keys kept from {other} are left out"


def implied_offers(profile: Profile, pfs: str | None) -> dict[str, object]:
    """The proposals that an adapter will conclude from the group alone, and their switches."""
    group = group_of(profile.phase1[0])
    offers = era_offers(group)
    return {"phase1": offers[1], "phase2": offers[2], "legacy": era_switches(group, pfs)}


def quoted(value: str, *, taken_off: bool) -> str:
    """In quotes where a reader would take off blanks or quotes that belong to the value."""
    return f'"{value}"' if taken_off or value != value.strip(" \t") else value
