"""Names of the Network Visibility collector (nvm.toml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from culvert.tables.loader import rows

TABLE = "texts/nvm.toml"


@dataclass(frozen=True, slots=True)
class CollectorKey:
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class ProfileElement:
    """An element of the client's profile; ``unit`` is its attribute, where it has one."""

    name: str
    about: str
    unit: str = ""
    sample: str = ""

    @property
    def opening(self) -> str:
        """The element's name with its attribute, as it opens."""
        return f'{self.name} unit="{self.unit}"' if self.unit else self.name


@dataclass(frozen=True, slots=True)
class RestWord:
    text: str
    about: str


@cache
def collector_keys() -> tuple[CollectorKey, ...]:
    return rows(TABLE, "key", CollectorKey)


@cache
def profile_elements() -> tuple[ProfileElement, ...]:
    return rows(TABLE, "element", ProfileElement)


@cache
def rest_words() -> tuple[RestWord, ...]:
    return rows(TABLE, "rest", RestWord)
