"""Account: what is on record about a person, and where records are looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """``groups``: the groups this person may log in to; none named means none."""

    name: str
    password_hash: str = field(repr=False)
    groups: frozenset[str] = frozenset()
    enabled: bool = True
    expires: datetime | None = None
    """First moment (aware) at which the account no longer serves."""


class Accounts(Protocol):
    """Where accounts are looked up."""

    def find(self, name: str) -> Account | None: ...
