"""Why a session ended: rows of tables/endings.toml, and the words said about it at the end.

Reason numbers travel in a "delete with reason"; where they lie on the wire is `ike`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from culvert.errors import MisuseError
from culvert.tables.loader import rows

TABLE = "endings.toml"

Side = Literal["client", "gateway", "either"]


@dataclass(frozen=True, slots=True)
class Ending:
    """One reason. What each field means stands at the head of the table."""

    id: str
    sentence: str
    action: str
    who: Literal["user", "administrator", "network", "nobody"]
    side: Side
    severity: int
    tell_peer: bool
    delete_code: int

    @property
    def delete_text(self) -> str:
        """What a peer shows for `delete_code`; empty where no code fits."""
        return delete_text(self.delete_code) if self.delete_code else ""


@dataclass(frozen=True, slots=True)
class DeleteReason:
    """A reason number of the "delete with reason" and its exact text.

    ``ending_from_client`` is what the number means when a client says it, where that differs:
    "manually disconnected" is an administrator's doing only if the gateway says it.
    """

    code: int
    name: str
    text: str
    ending: str
    ending_from_client: str = ""
    printed: bool = True


@dataclass(frozen=True, slots=True)
class Opening:
    """How a line of a closing message begins; only ``written`` ones are ours."""

    kind: Literal["local", "peer", "reason", "duration"]
    text: str
    written: bool = False


@cache
def endings() -> Mapping[str, Ending]:
    """All reasons by id."""
    return MappingProxyType({row.id: row for row in rows(TABLE, "ending", Ending)})


@cache
def delete_reasons() -> Mapping[int, DeleteReason]:
    """All reason numbers."""
    found = rows(TABLE, "delete_reason", DeleteReason)
    return MappingProxyType({row.code: row for row in found})


@cache
def openings() -> tuple[Opening, ...]:
    """Every spelling of a closing message's lines, ours and those only read."""
    return rows(TABLE, "opening", Opening)


def ending(id: str) -> Ending:
    """The row ``id``. An id that no row has is a bug of the caller."""
    try:
        return endings()[id]
    except KeyError:
        raise MisuseError(f"no row {id!r} in {TABLE}") from None


def delete_text(code: int) -> str:
    """The text for a reason number; an unknown number reads as the unknown error it is."""
    if reason := delete_reasons().get(code):
        return reason.text
    return f"{delete_reasons()[4].text} ({code})"


def heard(code: int, *, from_client: bool) -> Ending:
    """What it means when the other end gives reason ``code`` (0: it gave none)."""
    reason = delete_reasons().get(code)
    if reason is None:
        return ending("by-user" if from_client and code == 0 else "peer-deleted")
    return ending((from_client and reason.ending_from_client) or reason.ending)


def closing_words(reason: str, *, peer: str = "", code: int = 0) -> tuple[str, ...]:
    """The closing message, line by line: who ended it and, where known, why (S0-21, S0-22).

    ``reason`` is a row's id. ``peer`` is the address of the other end if that ended it, ``code``
    the reason number that it gave: a plain delete says no more than that it is over.
    """
    if peer and code:
        return _closing(delete_text(code), peer)
    return _closing("" if peer and reason == "peer-deleted" else ending(reason).sentence, peer)


def _closing(reason: str, peer: str) -> tuple[str, ...]:
    written = {row.kind: row.text for row in openings() if row.written}
    first = written["peer"].format(address=peer) if peer else written["local"]
    return (first, written["reason"].format(text=reason)) if reason else (first,)
